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
    progress: Callable[[int], None] = lambda _: None,
) -> TextStore:
    """Write `embed`'s features of `texts` to `folder` (float32 as float16), unless it is there.

    Args:
        embed: a chunk of texts to arrays with one row a text; their widths may differ by chunk
            where texts are padded (with zeros), and are padded to the widest here.
        progress: told the texts of each chunk that is done.
    """
    if not (folder / NAMES).exists():
        # Texts of one length share a batch: less padding, less time.
        order = np.argsort([len(text) for text in texts], kind="stable")
        parts: dict[str, list[NDArray[np.generic]]] = {}
        for start in range(0, len(texts), chunk):
            made = embed([texts[row] for row in order[start : start + chunk]])
            for name, rows in made.items():
                parts.setdefault(name, []).append(_narrow(rows))
            progress(len(order[start : start + chunk]))
        with publish(folder) as temporary:
            for name in list(parts):
                _write(temporary / f"{name}.npy", parts.pop(name), order)
            write_json_atomic(temporary / NAMES, sorted(made))
    return TextStore(folder)


def _narrow(rows: NDArray[np.generic]) -> NDArray[np.generic]:
    return rows.astype(np.float16) if rows.dtype == np.float32 else rows


def _write(path: Path, parts: list[NDArray[np.generic]], order: NDArray[np.int64]) -> None:
    """Parts, one under the other, as rows `order` of a file; padded with zeros to the widest."""
    width, tail = max(part.shape[1] for part in parts), parts[0].shape[2:]
    shape = (len(order), width, *tail)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=parts[0].dtype, shape=shape)
    start = 0
    for part in parts:
        out[order[start : start + len(part)], : part.shape[1]] = part
        start += len(part)
    out.flush()
