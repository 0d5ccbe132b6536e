"""Which train products a reranker remembers, and by which words.

Shapes: M remembered products, R pictures of them, W words of a title, L words of a product.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.errors import CatalogError
from xmodal.matcher.encoder import Encoder
from xmodal.training.captions import Ints

MOST_PICTURES = 60_000  # 0.5 kB each in memory
MOST_WORDS = 64
_OWN = ("title", "judged")  # what shoppers' queries look like; other captions come after


@dataclass(frozen=True)
class Remembered:
    """M train products that have a picture and a caption."""

    product_M: Ints  # catalogue row
    row_M: Ints  # first picture's row in the store
    row_R: Ints  # every picture's row in the store
    owner_R: Ints  # whose it is: 0 to M - 1
    captions: list[list[str]]  # of each, title-like ones first
    title_words_MW: NDArray[np.int64]  # of the first caption
    other_words_MW: NDArray[np.int64]  # of the second one, 0 where there is none
    words_ML: NDArray[np.int32]  # of all captions, title first; 0 = none

    @property
    def titles(self) -> list[str]:
        """The first caption of each."""
        return [lines[0] for lines in self.captions]

    def same_title(self) -> list[set[int]]:
        """For each remembered product, which of the M bear its title among their captions."""
        under: dict[str, set[int]] = {title: set() for title in self.titles}
        for place, lines in enumerate(self.captions):
            for line in lines:
                if line in under:
                    under[line].add(place)
        return [under[title] for title in self.titles]


def remembered(
    encoder: Encoder, catalog: Catalog, product_N: Ints, rng: np.random.Generator
) -> Remembered:
    """Train products drawn by `rng`, with all their pictures, MOST_PICTURES at most.

    Raises:
        CatalogError: no train product has both a picture and a caption.
    """
    captions = _captions(catalog)
    shown = np.intersect1d(product_N, np.array(list(captions), np.int64))
    if not len(shown):
        raise CatalogError(
            "no train product has both a picture and a caption: nothing to rerank by"
        )
    drawn = rng.permutation(shown)
    pictures = np.bincount(product_N, minlength=shown[-1] + 1)[drawn].cumsum()
    products = np.sort(drawn[: max(1, int((pictures <= MOST_PICTURES).sum()))])
    row_R = np.flatnonzero(np.isin(product_N, products))
    owner_R = np.searchsorted(products, product_N[row_R])
    texts = [captions[int(product)] for product in products]
    encode = encoder.vocabulary.encode
    return Remembered(
        product_M=products,
        row_M=row_R[np.searchsorted(owner_R, np.arange(len(products)))],
        row_R=row_R,
        owner_R=owner_R,
        captions=texts,
        title_words_MW=_padded([encode(lines[0]) for lines in texts]).astype(np.int64),
        other_words_MW=_padded([encode(lines[1]) if lines[1:] else [] for lines in texts]).astype(
            np.int64
        ),
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
