"""One opened index version: exact search over its vectors, filters, metadata, token store.

Shapes: Q queries, N vector rows, K hits, D embedding size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from xmodal.errors import IndexDamaged, IndexMismatch
from xmodal.index.facets import Facets, Filter, MaskCache, facet_counts
from xmodal.index.layout import PROBES, ROWS, VECTORS, IndexFacts, prove_files, read_facts
from xmodal.index.lexical import Lexical, own_found
from xmodal.index.products import Products
from xmodal.index.tokens import TokenStore

Kind = Literal["text", "image", "both"]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
MOST_TIED = 100_000  # rows of one score that are put in order; a shop's "no image" stays below
SELF_TOLERANCE = 1e-4  # float32 rounding of a dot product of 256 numbers stays below 1e-6


@dataclass(frozen=True)
class Hits:
    """Products best first: their rows, the vector row that spoke for each, and its score."""

    product_rows: Rows
    vector_rows: Rows
    scores: Floats


class Index:
    """A published version, read-only; safe to search from several threads."""

    def __init__(self, folder: Path, facts: IndexFacts) -> None:
        """Map the files of a version whose facts were read. Use `open_index`, which proves it."""
        self.folder, self.facts = folder, facts
        self.vectors: Any = faiss.read_index(str(folder / VECTORS), faiss.IO_FLAG_MMAP_IFC)
        self.product_row_N: Rows = np.load(folder / ROWS)
        self.products = Products(folder)
        self.facets = Facets.open(folder)
        self.tokens = TokenStore(folder)
        self.words = Lexical.open(folder)
        self._masks = MaskCache(self.facets, self.product_row_N)

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return self.facts.dim

    def search(self, query_D: Floats, k: int, wanted: Filter = (), kind: Kind = "text") -> Hits:
        """The k products nearest to a unit vector; of several pictures of one the best counts.

        Scores are inner products (cosines); the row of a text has the measured offset taken off.
        Equal scores stand in order of product id, at the end too: fewer are the first of more.
        Raises FilterError for an unknown attribute.
        """
        bitmap, passing = self._masks.bitmap(wanted) if wanted else (None, self.products.count)
        k, taken = min(k, passing), k + 1
        while k:
            scores, rows = self._nearest(query_D, taken, bitmap, kind)
            hits = self._best_of_each(scores, rows)
            # Enough products, or every row seen: a product's best row comes before its others,
            # so what is cut off cannot hold a better product. One row more than those, and worse:
            # no product of the last one's score was cut off either.
            whole = len(hits.scores) >= k and (hits.scores[k - 1] > scores[-1] or taken > MOST_TIED)
            if whole or len(scores) < taken or taken >= self.vectors.ntotal:
                return Hits(hits.product_rows[:k], hits.vector_rows[:k], hits.scores[:k])
            taken = min(taken * 4, self.vectors.ntotal)
        none = np.empty(0, np.int64)
        return Hits(none, none, np.empty(0, np.float32))

    def among(self, query_D: Floats, product_rows: Rows, kind: Kind = "text") -> Hits:
        """These products alone, best first, scored as `search` does."""
        row_mask_N = np.isin(self.product_row_N, product_rows)
        if not row_mask_N.any():
            none = np.empty(0, np.int64)
            return Hits(none, none, np.empty(0, np.float32))
        bitmap = np.packbits(row_mask_N, bitorder="little")
        return self._best_of_each(*self._nearest(query_D, int(row_mask_N.sum()), bitmap, kind))

    def best_scores(self, query_QD: Floats, kind: Kind) -> Floats:
        """The score (Q,) of each query's best row, all in one scan."""
        scores: Floats = self.vectors.search(self._marked(query_QD, kind), 1)[0]
        return scores[:, 0]

    def vector(self, vector_row: int) -> Floats:
        """The stored vector (D,) of a row, without the coordinate that marks texts."""
        whole: Floats = self.vectors.reconstruct(int(vector_row))
        return whole[: self.facts.dim]

    def rows_of(self, product_row: int) -> Rows:
        """The vector rows of a product, by bisection: pictures, then texts, each in order."""
        pictures = self.facts.vectors - self.facts.text_rows
        found = []
        for start, run in ((0, self.product_row_N[:pictures]), (pictures, self.product_row_N)):
            low, high = np.searchsorted(run[start:], (product_row, product_row + 1))
            found.append(np.arange(start + low, start + high))
        return np.concatenate(found)

    def product_vectors(self, product_ids: Sequence[str]) -> Floats:
        """The vectors (N, D) of products: of each the unit mean of its rows.

        Raises UnknownProduct for an id that is not in the catalogue.
        """
        vector_ND = np.empty((len(product_ids), self.facts.dim), np.float32)
        for place, product_id in enumerate(product_ids):
            rows = self.rows_of(self.products.known_row(product_id))
            vector_ND[place] = np.sum([self.vector(int(one)) for one in rows], axis=0)
        norm_N1 = np.linalg.norm(vector_ND, axis=1, keepdims=True)
        return np.asarray(vector_ND / norm_N1.clip(1e-12))

    def counts(self, attributes: Sequence[str], wanted: Filter) -> Mapping[str, Mapping[str, int]]:
        """Of all products that pass `wanted`, how many have each value of each attribute."""
        return facet_counts(self.facets, attributes, wanted)

    def _nearest(
        self, query_D: Floats, k: int, bitmap: NDArray[np.uint8] | None, kind: Kind
    ) -> tuple[Floats, Rows]:
        query = self._marked(query_D[None], kind)
        selector = None
        if bitmap is not None:
            # FAISS's Python layer takes arrays here; its type stubs know only the C++ signature.
            chosen = faiss.IDSelectorBitmap(bitmap)  # type: ignore[call-arg, arg-type]
            selector = faiss.SearchParameters(sel=chosen)  # type: ignore[call-arg]
        scores, rows = self.vectors.search(query, min(k, self.vectors.ntotal), params=selector)
        found = rows[0] >= 0
        return scores[0][found], rows[0][found]

    def _marked(self, query_QD: Floats, kind: Kind) -> Floats:
        """Queries as the rows are: with texts in the gallery, one coordinate more."""
        query_QD = np.ascontiguousarray(query_QD, dtype=np.float32)
        if not self.facts.text_rows:
            return query_QD
        return np.pad(query_QD, ((0, 0), (0, 1)), constant_values=-self.text_offset(kind))

    def _best_of_each(self, scores: Floats, rows: Rows) -> Hits:
        products = self.product_row_N[rows]
        _, first = np.unique(products, return_index=True)
        first.sort()
        products, rows, scores = products[first], rows[first], scores[first]
        tied = np.flatnonzero(np.diff(scores) == 0)
        if len(tied):
            ids = self.products.column("product_id", products)
            order = sorted(range(len(ids)), key=lambda at: (-scores[at], ids[at]))
            products, rows, scores = products[order], rows[order], scores[order]
        return Hits(products, rows, scores)

    def text_offset(self, kind: Kind) -> float:
        """What the score of a text's row has taken off, for queries of a kind."""
        if kind == "both":
            return (self.facts.text_offset["text"] + self.facts.text_offset["image"]) / 2
        return self.facts.text_offset[kind]


def open_index(folder: Path, encoder: str) -> Index:
    """Open the version in `folder` and let it prove itself.

    Args:
        encoder: fingerprint of the encoder whose queries it shall answer.

    Raises:
        IndexMismatch: another encoder made it.
        IndexDamaged: a file is missing, truncated or changed, the counts disagree, or a product
            of the sample does not find itself.
    """
    facts = read_facts(folder)
    if facts.encoder != encoder:
        raise IndexMismatch(
            f"{folder} holds vectors of encoder {facts.encoder}, the matcher is {encoder}; "
            "build an index with this matcher (jobs/build_index.py)"
        )
    prove_files(folder, facts)
    index = Index(folder, facts)
    prove_counts(index)
    found = self_found(index)
    if found < facts.self_found:
        raise IndexDamaged(
            f"{folder}: {found:.0%} of the sample finds itself, {facts.self_found:.0%} when built; "
            "build the index anew"
        )
    words_found = 1.0 if index.words is None else own_found(index.words, index.products)
    if words_found < (facts.words_found or 0):
        raise IndexDamaged(f"{folder}: its words find less than when built; build the index anew")
    return index


def prove_counts(index: Index) -> None:
    """Raises IndexDamaged where two files of the version disagree on their number of rows."""
    facts, vectors = index.facts, index.vectors
    counts = {
        "products": (index.products.count, facts.products),
        "facets": (index.facets.codes.shape[1], facts.products),
        "vectors": (vectors.ntotal, facts.vectors),
        "rows": (len(index.product_row_N), facts.vectors),
        "tokens": (len(index.tokens), facts.vectors),
        "dimensions": (vectors.d, facts.dim + bool(facts.text_rows)),
    }
    if index.words is not None:
        counts["texts"] = (index.words.count, facts.products)
    for name, (found, expected) in counts.items():
        if found != expected:
            raise IndexDamaged(
                f"{index.folder} has {found} {name}, {expected} expected; build it anew"
            )


def self_found(index: Index) -> float:
    """Share of the sample's pictures that find themselves: no row scores better than their own.

    Equal pictures tie, of one product or of many (a shop's "no image"); a tie counts as found.
    The row must be that of the picture's product. 1 where there is no picture.
    """
    probes = load_probes(index.folder)
    found = total = len(probes["rows"])
    if not total:
        return 1.0
    best_Q = index.best_scores(probes["vectors"], "image")
    columns = zip(probes["product_ids"], probes["rows"], probes["vectors"], best_Q, strict=True)
    for product_id, own_row, vector_D, best in columns:
        is_best = float(index.vector(own_row) @ vector_D) >= best - SELF_TOLERANCE
        is_own = index.product_row_N[own_row] == index.products.row_of(str(product_id))
        found -= not (is_best and is_own)
    return found / total


def load_probes(folder: Path) -> dict[str, NDArray[Any]]:
    """The sample stored beside the index: rows, product_ids, vectors, texts, text_vectors."""
    with np.load(folder / PROBES, allow_pickle=False) as probes:
        return {name: probes[name] for name in probes.files}
