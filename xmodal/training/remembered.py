"""Which train products a reranker remembers, and by which words.

Shapes: M remembered products, W words of a title, L words of a product.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.errors import CatalogError
from xmodal.matcher.encoder import Encoder
from xmodal.training.captions import Ints

MOST_PRODUCTS = 50_000
MOST_WORDS = 64
_OWN = ("title", "judged")  # what shoppers' queries look like; other captions come after


@dataclass(frozen=True)
class Remembered:
    """M train products that have a picture and a caption."""

    product_M: Ints  # catalogue row
    row_M: Ints  # picture's row in the store
    titles: list[str]  # the first title-like caption of each
    title_words_MW: NDArray[np.int64]
    words_ML: NDArray[np.int32]  # of all captions, title first; 0 = none

    def same_title(self) -> list[set[int]]:
        """For each remembered product the catalogue rows of those under the same caption."""
        under: dict[str, set[int]] = defaultdict(set)
        for title, product in zip(self.titles, self.product_M.tolist(), strict=True):
            under[title].add(product)
        return [under[title] for title in self.titles]


def remembered(
    encoder: Encoder, catalog: Catalog, product_N: Ints, rng: np.random.Generator
) -> Remembered:
    """At most MOST_PRODUCTS of the train products, drawn by `rng`, each by its first picture.

    Raises:
        CatalogError: no train product has both a picture and a caption.
    """
    captions = _captions(catalog)
    shown, first_row = np.unique(product_N, return_index=True)
    place = {int(product): int(row) for product, row in zip(shown, first_row, strict=True)}
    products = np.array(sorted(product for product in captions if product in place), np.int64)
    if not len(products):
        raise CatalogError(
            "no train product has both a picture and a caption: nothing to rerank by"
        )
    products = np.sort(rng.permutation(products)[:MOST_PRODUCTS])
    texts = [captions[int(product)] for product in products]
    encode = encoder.vocabulary.encode
    return Remembered(
        product_M=products,
        row_M=np.array([place[int(product)] for product in products], np.int64),
        titles=[lines[0] for lines in texts],
        title_words_MW=_padded([encode(lines[0]) for lines in texts]).astype(np.int64),
        words_ML=_padded([[i for line in lines for i in encode(line)] for lines in texts]),
    )


def _captions(catalog: Catalog) -> dict[int, list[str]]:
    """Train captions of each product row, title-like ones first."""
    pairs = catalog.pairs("train").select(["text", "product_row", "source"])
    found: dict[int, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for text, row, source in zip(*(column.to_pylist() for column in pairs.columns), strict=True):
        found[row][source not in _OWN].append(text)
    return {row: own + others for row, (own, others) in found.items()}


def _padded(lists: list[list[int]]) -> NDArray[np.int32]:
    """Each list's different ids in their order, padded with 0 to the longest."""
    unique = [list(dict.fromkeys(ids))[:MOST_WORDS] for ids in lists]
    width = max(1, *(len(ids) for ids in unique))
    out = np.zeros((len(unique), width), np.int32)
    for row, ids in enumerate(unique):
        out[row, : len(ids)] = ids
    return out
