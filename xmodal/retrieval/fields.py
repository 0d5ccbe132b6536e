"""The fields of products as vectors, each embedded for itself: pictures, title, attributes.

Shapes: P products, N pictures, D embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xmodal.catalog.store import Catalog
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fields import attributes_text
from xmodal.matcher.words import words
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.topk import Floats, Ints


@dataclass(frozen=True)
class Fields:
    """P products: their catalogue rows, and of each field the unit vectors (P, D), 0 for none."""

    product_row_P: Ints
    vector_PD: dict[str, Floats]


def indexed_texts(catalog: Catalog) -> tuple[list[str], list[str]]:
    """Title and line of attributes of every product of the catalogue; "" where there is none."""
    titles, attributes = [], []
    for row in catalog.rows(["title", "attributes"]):
        titles.append(row["title"] or "")
        attributes.append(attributes_text(row["attributes"] or {}))
    return titles, attributes


def embed_fields(
    encoder: Encoder, catalog: Catalog, store: FeatureStore, product_row_P: Ints
) -> Fields:
    """The fields of the products of those catalogue rows.

    `picture` is the mean of a product's pictures, at unit length.
    """
    titles, attributes = indexed_texts(catalog)
    texts = {"title": titles, "attributes": attributes}
    found = {"picture": mean_pictures(store, product_row_P)}
    for name, lines in texts.items():
        found[name] = _embed(encoder, [lines[row] for row in product_row_P.tolist()])
    return Fields(product_row_P, found)


def mean_pictures(store: FeatureStore, product_row_P: Ints) -> Floats:
    """The unit mean (P, D) of each product's pictures; 0 where it has none."""
    vector_ND = np.asarray(store.column("vector"), dtype=np.float32)
    wanted_N = np.isin(store.product_row, product_row_P)
    place = {row: place for place, row in enumerate(product_row_P.tolist())}
    place_N = np.array([place[row] for row in store.product_row[wanted_N].tolist()], np.int64)
    total_PD = np.zeros((len(product_row_P), vector_ND.shape[1]), np.float32)
    np.add.at(total_PD, place_N, vector_ND[wanted_N])
    length_P1 = np.linalg.norm(total_PD, axis=1, keepdims=True)
    return np.asarray(total_PD / np.maximum(length_P1, 1e-12), dtype=np.float32)


def is_made_of(query: str, indexed: Sequence[str]) -> bool:
    """Whether each word of a query stands in the lines that are searched of a product.

    It would find the words, not the product.

    >>> is_made_of("red SHOE", ["Shoe of leather", "Red"]), is_made_of("crimson shoe", ["red shoe"])
    (True, False)
    """
    return set(words(query)) <= {word for line in indexed for word in words(line)}


def _embed(encoder: Encoder, lines: list[str]) -> Floats:
    """Vectors of lines, each distinct one embedded once; 0 for an empty one."""
    distinct = [line for line in dict.fromkeys(lines) if line]
    vector_of = dict(zip(distinct, embed_texts(encoder, distinct), strict=True))
    none_D = np.zeros(encoder.dim, np.float32)
    rows = [vector_of.get(line, none_D) for line in lines]
    return np.stack(rows) if rows else np.zeros((0, encoder.dim), np.float32)
