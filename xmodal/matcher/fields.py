"""How much each field of a product counts in its one vector: pictures, title, attributes.

    vectors of the fields -> x weight, summed -> unit length: the product's vector

Fitted by training/fields.py and saved beside the encoder. Shapes: P products, D embedding.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import MatcherError

Floats = NDArray[np.float32]
FIELDS = ("picture", "title", "attributes")
FILE = "fields.json"


@dataclass(frozen=True)
class FieldWeights:
    """The weight of each field; positive, so that a product of any one field has a vector."""

    weights: Mapping[str, float]
    figures: Mapping[str, float] = field(default_factory=dict)
    """On the val queries that chose them: of pictures alone, of all fields."""

    def fuse(self, vector_PD: Mapping[str, Floats]) -> Floats:
        """The products' vectors (P, D), at unit length.

        Args:
            vector_PD: of each field, unit vectors, 0 where a product lacks it.
        """
        found = [np.float32(self.weights[name]) * vector_PD[name] for name in FIELDS]
        total_PD = np.sum(found, axis=0, dtype=np.float32)
        length_P1 = np.linalg.norm(total_PD, axis=1, keepdims=True)
        return np.asarray(total_PD / np.maximum(length_P1, 1e-12), dtype=np.float32)

    def rows(self) -> dict[str, str]:
        """For a job's table."""
        found = {name: f"{self.weights[name]:.3f}" for name in FIELDS}
        return found | {name: f"{value:.4g}" for name, value in self.figures.items()}

    def save(self, folder: Path) -> None:
        """Write to `folder`, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "FieldWeights":
        """Read what `save` wrote. Raises MatcherError where the file is missing or damaged."""
        try:
            document = json.loads((folder / FILE).read_text(encoding="utf-8"))
            weights = {name: float(document["weights"][name]) for name in FIELDS}
            return cls(weights, document["figures"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MatcherError(
                f"{folder}: cannot read the weights of the fields ({error}); copy the matcher "
                "folder again"
            ) from error


def attributes_text(attributes: Mapping[str, str]) -> str:
    """The values as one line, in order of their names; numbers, which say nothing, are left out.

    >>> attributes_text({"kind": "Shoes", "colour": "Red", "size": "42"})
    'Red Shoes'
    """
    values = [attributes[name] for name in sorted(attributes)]
    return " ".join(value for value in values if any(map(str.isalpha, value)))
