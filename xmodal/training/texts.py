"""The captions' features below the trained part: computed once, then opened memory-mapped.

Shapes: U unique captions.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmodal.storage import publish, read_json, write_json_atomic
from xmodal.training.captions import Ints

NAMES = "names.json"


class TextStore:
    """Features by caption number, one memory-mapped array a name."""

    def __init__(self, folder: Path) -> None:
        """Open what `write_texts` left. Raises StorageError if it is not there."""
        names = read_json(folder / NAMES)
        assert isinstance(names, list)
        self._arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}

    def take(self, rows: Ints) -> dict[str, NDArray[np.generic]]:
        """Return the features of `rows`, in their order, as fresh arrays."""
        return {name: array[rows] for name, array in self._arrays.items()}


def write_texts(
    folder: Path,
    texts: Sequence[str],
    embed: Callable[[list[str]], Mapping[str, NDArray[np.generic]]],
    chunk: int = 4096,
) -> TextStore:
    """Write `embed`'s features of `texts` to `folder` (float32 as float16), unless it is there.

    Args:
        embed: a chunk of texts to arrays with one row a text; their widths may differ by chunk
            where texts are padded (with zeros), and are padded to the widest here.
    """
    if not (folder / NAMES).exists():
        # Texts of one length share a batch: less padding, less time.
        order = np.argsort([len(text) for text in texts], kind="stable")
        chunks = [
            embed([texts[row] for row in order[start : start + chunk]])
            for start in range(0, len(texts), chunk)
        ]
        with publish(folder) as temporary:
            for name in chunks[0]:
                stacked = _stack([part[name] for part in chunks])
                np.save(temporary / f"{name}.npy", stacked[np.argsort(order)])
            write_json_atomic(temporary / NAMES, sorted(chunks[0]))
    return TextStore(folder)


def _stack(parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
    """All rows under each other, padded with zeros to the widest; float32 becomes float16."""
    width = max(part.shape[1] for part in parts)
    padded = [
        np.pad(part, [(0, 0), (0, width - part.shape[1])] + [(0, 0)] * (part.ndim - 2))
        for part in parts
    ]
    stacked: NDArray[np.generic] = np.concatenate(padded)
    return stacked.astype(np.float16) if stacked.dtype == np.float32 else stacked
