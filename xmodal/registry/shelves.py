"""A catalogue's vectors kept in few bytes, as a stage of the search: to measure what that costs.

    vectors -> first dimensions -> float, or codes whose candidates exact vectors order -> products

Searched by `retrieval/codes.py`, in numpy. Shapes: Q queries, N pictures, K products, R candidates,
D embedding, T C patch tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from xmodal.index.facets import Filter
from xmodal.index.version import Kind
from xmodal.matcher.tokens import dequantise
from xmodal.retrieval.codes import Codes, int8_codes, prefix, search_codes, sign_codes
from xmodal.retrieval.store import FeatureStore
from xmodal.retrieval.topk import NO_ROW, Floats, Ints, topk
from xmodal.search.query import Candidates, Extra

Coding = Literal["float", "int8", "sign bits"]
CODINGS: tuple[Coding, ...] = ("float", "int8", "sign bits")
RESCORED = 200  # candidates of codes whose exact vectors are read


@dataclass(frozen=True)
class PrefixCodes:
    """Codes of first dimensions, which are asked with whole queries."""

    codes: Codes
    dim: int

    @property
    def bytes_per_vector(self) -> int:
        """What one vector takes."""
        return self.codes.bytes_per_vector

    def candidates(self, query_QD: Floats, count: int) -> Ints:
        """Rows (Q, R) of the best `count` by the codes alone, best first; -1 past the last."""
        return self.codes.candidates(prefix(query_QD, self.dim), count)


class Shelf:
    """The vectors of N pictures by their first `dim` dimensions, in one coding.

    Of codes the RESCORED best are ordered by the exact vectors, all dimensions of them, which may
    lie on disk.

    Source: adaptive retrieval, Kusupati et al., arXiv 2205.13147, section 4.3.
    """

    def __init__(self, vector_ND: Floats, dim: int, coding: Coding) -> None:
        self.dim, self.coding = dim, coding
        short_ND = prefix(vector_ND, dim)
        self._codes: PrefixCodes | None = None
        self._exact_ND = short_ND
        if coding != "float":
            make = int8_codes if coding == "int8" else sign_codes
            self._codes, self._exact_ND = PrefixCodes(make(short_ND), dim), vector_ND

    @property
    def memory_bytes(self) -> int:
        """Of a picture, in memory."""
        return self._codes.bytes_per_vector if self._codes else 4 * self.dim

    @property
    def disk_bytes(self) -> int:
        """Of a picture, for the exact vector that rescoring reads."""
        return 4 * self._exact_ND.shape[1] if self._codes else 0

    def nearest(self, query_D: Floats, count: int) -> tuple[Floats, Ints]:
        """Scores and rows (at most `count`,) of the nearest pictures, best first."""
        if self._codes is None:
            found = topk(prefix(query_D[None], self.dim), self._exact_ND, count)
        else:
            found = search_codes(
                self._codes, query_D[None], self._exact_ND, count, rescored=RESCORED
            )
        is_row_K = found[1][0] != NO_ROW
        return found[0][0][is_row_K], found[1][0][is_row_K]


class ShelfRetriever:
    """The second stage of a search over a shelf."""

    def __init__(self, shelf: Shelf, product_row_N: Ints, product_ids: Sequence[str]) -> None:
        self._shelf, self._product_row_N, self._product_ids = shelf, product_row_N, product_ids
        self._most = int(np.bincount(product_row_N).max())  # pictures of a product

    async def retrieve(
        self,
        vector_D: Floats,
        k: int,
        wanted: Filter,  # noqa: ARG002  # a stage's signature; a measurement filters nothing
        kind: Kind,  # noqa: ARG002
        deadline_s: float,  # noqa: ARG002
        *,
        extra: Extra | None = None,  # noqa: ARG002
    ) -> Candidates:
        """The k products whose best picture is nearest."""
        scores, rows = self._shelf.nearest(vector_D, k * self._most)
        products = self._product_row_N[rows]
        first_K = np.sort(np.unique(products, return_index=True)[1])[:k]
        ids = [self._product_ids[row] for row in products[first_K].tolist()]
        none = [""] * len(ids)
        return Candidates(rows[first_K], scores[first_K], ids, none, ["{}"] * len(ids))

    async def vectors(self, product_ids: Sequence[str], deadline_s: float) -> Floats:
        """Raises NotImplementedError: no search by text asks for them."""
        raise NotImplementedError

    async def counts(
        self, attributes: Sequence[str], wanted: Filter, deadline_s: float
    ) -> Mapping[str, Mapping[str, int]]:
        """Raises NotImplementedError, likewise."""
        raise NotImplementedError


class StoreTokens:
    """Patch tokens of a feature store, as the reranker reads them from an index."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    def take(self, vector_rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Tokens of the rows as float32 (..., T, C)."""
        taken = self._store.take(vector_rows.ravel(), ["tokens", "scale"])
        tokens = dequantise(torch.from_numpy(taken["tokens"]), torch.from_numpy(taken["scale"]))
        whole: NDArray[np.float32] = tokens.numpy()
        return whole.reshape(*vector_rows.shape, *whole.shape[1:])

    @property
    def bytes_per_row(self) -> int:
        """Of a picture."""
        taken = self._store.take(np.zeros(1, np.int64), ["tokens", "scale"])
        return sum(int(array.nbytes) for array in taken.values())
