"""What is searched: every product with a picture, as pictures alone or with its text.

Shapes: N pictures, P products of the catalogue, Q queries, K results, D embedding.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.errors import QueriesError
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fields import FieldWeights
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.fields import embed_fields
from xmodal.retrieval.metrics import Run
from xmodal.retrieval.topk import Floats, Ints, topk_products

Kind = Literal["image", "product"]
TITLE, ATTRIBUTES = "title", "line of attributes"


@dataclass(frozen=True)
class Gallery:
    """Vectors of N pictures, in the catalogue's order, and whose they are.

    One of fused products has a row a product, which stands at its first picture.
    """

    kind: Kind
    vector_ND: Floats
    product_row_N: Ints
    store_row_N: Ints  # of the feature store, where the tokens are
    product_ids: Sequence[str]  # of all P products, by product row
    texts: tuple[str, ...] = ()  # which text of a product is in its vector

    def first_pictures(self, products: Sequence[str]) -> Floats:
        """The vector of the first picture of each of `products`, (len(products), D)."""
        rows = [self.row_of[product] for product in products]
        return self.vector_ND[np.searchsorted(self.product_row_N, rows)]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Product row by id; a report asks page by page."""
        return {product: row for row, product in enumerate(self.product_ids)}

    @property
    def shown(self) -> set[str]:
        """Ids of the products in it."""
        return {self.product_ids[row] for row in np.unique(self.product_row_N).tolist()}

    def search(
        self, names: Sequence[str], query_QD: Floats, k: int, own: Mapping[str, str] | None = None
    ) -> Run:
        """The k best products of each query; `own` is a query's own product, which is left out."""
        own = own or {}
        scores_QK, rows_QK = topk_products(
            query_QD, self.vector_ND, self.product_row_N, k + bool(own)
        )
        run: Run = {}
        for name, scores, rows in zip(names, scores_QK.tolist(), rows_QK.tolist(), strict=True):
            found = {self.product_ids[r]: s for r, s in zip(rows, scores, strict=True) if r >= 0}
            found.pop(own.get(name, ""), None)
            run[name] = dict(list(found.items())[:k])
        return run


def open_gallery(
    catalog: Catalog,
    store: FeatureStore,
    encoder: Encoder,
    kind: Kind = "image",
    split: str | None = None,
    *,
    weights: FieldWeights | None = None,
) -> Gallery:
    """Every product that has a picture; with `split`, those of that part alone.

    `image`: pictures alone; nothing of a product's text is read. `product`: with the matcher's
    `weights`, one vector a product of its pictures, title and attributes; without, each picture's
    vector plus its title's, at unit length.

    Raises:
        QueriesError: no product of `split` has a picture.
    """
    products = catalog.products(["product_id", "title", "split"])
    store_row_N = np.arange(store.rows)
    vector_ND = np.asarray(store.column("vector"), dtype=np.float32)
    if split is not None:
        is_in = pc.equal(products["split"], split).to_numpy(zero_copy_only=False)
        store_row_N = np.flatnonzero(is_in[store.product_row])
        if not len(store_row_N):
            known = ", ".join(sorted(set(products["split"].to_pylist())))
            raise QueriesError(
                f"no product of split {split!r} has a picture; the catalogue has the splits {known}"
            )
        vector_ND = vector_ND[store_row_N]
    product_row_N, ids = store.product_row[store_row_N], products["product_id"].to_pylist()
    base = Gallery(kind, vector_ND, product_row_N, store_row_N, ids)
    if kind == "image":
        return base
    if weights is not None:
        rows_P, first_P = np.unique(product_row_N, return_index=True)
        vector_PD = weights.fuse(embed_fields(encoder, catalog, store, rows_P).vector_PD)
        return Gallery(kind, vector_PD, rows_P, store_row_N[first_P], ids, (TITLE, ATTRIBUTES))
    vector_ND = _with_titles(encoder, vector_ND, product_row_N, products["title"].to_pylist())
    return replace(base, vector_ND=vector_ND, texts=(TITLE,))


def fused(picture_ND: Floats, text_ND: Floats) -> Floats:
    """A product's vector of its picture's and its text's (0 where it has none), at unit length."""
    both_ND = picture_ND + text_ND
    length_N1 = np.linalg.norm(both_ND, axis=1, keepdims=True)
    return np.asarray(both_ND / np.maximum(length_N1, 1e-12), dtype=np.float32)


def check_titles(
    queries: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, int]],
    titles: Mapping[str, str],
    gallery: Collection[str],
    *,
    what: str = TITLE,
) -> None:
    """Refuse queries that are the very title, or other searched text, of a product they seek.

    Raises:
        QueriesError: with titles in the gallery such a figure measures string equality.
    """
    same = [
        query
        for query, text in queries.items()
        for product in qrels[query]
        if product in gallery and _plain(titles.get(product) or "") == _plain(text)
    ]
    if same:
        raise QueriesError(
            f"{len(set(same))} of {len(queries)} queries are the {what} of a product that they "
            f"judge, such as {same[0]!r}: a gallery that holds it would find the string, not "
            "the product; use --gallery image, or take these queries out"
        )


def _with_titles(
    encoder: Encoder, vector_ND: Floats, product_row_N: Ints, titles: Sequence[str | None]
) -> Floats:
    rows_P, place_N = np.unique(product_row_N, return_inverse=True)
    texts = [titles[row] or "" for row in rows_P.tolist()]
    text_PD = embed_texts(encoder, texts)
    has_text_P: NDArray[np.bool_] = np.array([bool(text) for text in texts])
    return fused(vector_ND, text_PD[place_N] * has_text_P[place_N, None])


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
