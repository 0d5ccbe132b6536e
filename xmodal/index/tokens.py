"""The token store: the encoder's own patch tokens of every vector row, the reranker's product side.

Shapes: K candidates, T tokens of a picture, C channels of a token.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xmodal.index.layout import SCALES, TOKENS


class Tokens(Protocol):
    """Whatever gives tokens of vector rows."""

    def take(self, vector_rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Tokens of the rows as float32 (..., T, C)."""
        ...


class TokenStore:
    """Memory-mapped int8 tokens; a candidate costs one read of T x C bytes."""

    def __init__(self, folder: Path) -> None:
        self._tokens = np.load(folder / TOKENS, mmap_mode="r")
        self._scales = np.load(folder / SCALES, mmap_mode="r")

    def __len__(self) -> int:
        return int(self._tokens.shape[0])

    def take(self, vector_rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Tokens of the rows as float32 (..., T, C); zeros for the row of a text."""
        scales = np.asarray(self._scales[vector_rows], dtype=np.float32)[..., None, None]
        tokens: NDArray[np.float32] = self._tokens[vector_rows].astype(np.float32) * scales
        return tokens
