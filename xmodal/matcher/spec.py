"""The spec of an encoder: all that its weights do not say. Saved as `encoder/spec.json`."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from xmodal.errors import MatcherError

Family = Literal["towers", "open_clip", "transformers"]
Fit = Literal["pad", "crop", "stretch"]
Head = Literal["tuned", "linear"]


@dataclass(frozen=True)
class EncoderSpec:
    """Shape of an encoder and of its inputs; with the weights, enough to build it anywhere."""

    family: Family
    base: str
    """The id the user gave, for example `offline`."""
    dim: int
    """Size D of the shared space."""
    image_size: tuple[int, int]
    """Height and width that pictures are brought to, in pixels."""
    fit: Fit = "pad"
    """How a picture of another aspect is fitted: white borders, a centre crop, or a stretch."""
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Per channel, of pixels in [0, 1]."""
    trained_blocks: int = 0
    """Upper image blocks that are trained; what lies below is frozen and its output cached."""
    train_text: bool = False
    dropout: float = 0.0
    head: Head = "tuned"
    mirrored: bool = False
    """A picture's vector is the mean of the picture's own and of its mirror image's."""
    image_model: str = ""
    """What the image tower is: timm's name of it, or the model type of a dual encoder."""
    max_tokens: int = 32
    """Longest text in the text tower's own tokens."""
    max_words: int = 64
    """Most vocabulary ids W of a text."""

    def save(self, path: Path) -> None:
        """Write the spec as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "EncoderSpec":
        """Read what `save` wrote. Raises MatcherError where the file is missing or damaged."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            unknown = set(document) - {field.name for field in fields(cls)}
            if unknown:
                raise ValueError(f"unknown fields {sorted(unknown)}: made by a newer version?")
            for name in ("image_size", "mean", "std"):
                document[name] = tuple(document[name])
            return cls(**document)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MatcherError(
                f"{path}: cannot read the encoder's spec ({error}); copy the matcher folder again"
            ) from error
