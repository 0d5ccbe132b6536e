"""Semi-supervised: products of `train` without a title borrow that of a look-alike.

    untitled train pictures -> nearest titled train pictures, by the base's vectors -> a margin
    -> the surest share gets a pair, of source `pseudo`

Only pictures of `train` are compared, on both sides: nothing held out gives or gets a title.

Shapes: G products that give, R that may receive, F base features, K neighbours.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.retrieval.store import FeatureStore
from xmodal.retrieval.topk import topk
from xmodal.training.captions import Ints

SOURCE = "pseudo"
MADE = ("attributes", "glossary")  # sources of captions that nobody wrote
_NEIGHBOURS = 16  # of which the runner-up with another title is taken
_LEAST_SPREAD = 0.05
Floats = NDArray[np.float32]


def with_pseudo(catalog: Catalog, pairs: pa.Table, store: FeatureStore, share: float) -> pa.Table:
    """The pairs, and one more for each untitled product of `train` that is sure enough.

    Sure is a large margin: the cosine of the nearest product, less that of the nearest with
    another title. A product is known by its first picture.

    Args:
        pairs: schema PAIR, of `train`.
        store: the base's features of the catalogue's pictures.
        share: of the untitled products that have a picture, the surest first; 0 leaves the pairs
            as they are.

    Source: pseudo-labels, Lee, ICML 2013 workshop, given by neighbours; the margin is that of
    margin sampling, Scheffer et al., IDA 2001.
    """
    if not share:
        return pairs
    products = catalog.products(["product_id", "split"])
    picture_of = _first_picture(np.asarray(store.product_row))
    titled, written = _captioned(pairs)
    givers = [row for row in sorted(titled) if row in picture_of]
    takers = [
        row
        for row, split in enumerate(products["split"].to_pylist())
        if split == "train" and row in picture_of and row not in written
    ]
    if not takers or len(givers) < 2:
        return pairs
    vector_GF, vector_RF = _vectors(
        store, *(np.array([picture_of[row] for row in side]) for side in (givers, takers))
    )
    nearest_R, margin_R = _nearest(vector_RF, vector_GF, [titled[row] for row in givers])
    sure = np.argsort(-margin_R, kind="stable")[: round(share * len(takers))]
    rows = [_pair(takers[r], titled[givers[nearest_R[r]]], products) for r in np.sort(sure)]
    return pa.concat_tables([pairs, pa.Table.from_pylist(rows, pairs.schema)])


def pseudo_facts(pairs: pa.Table) -> dict[str, str]:
    """How many products borrowed a title, for the summary; nothing where none did."""
    borrowed = pairs["source"].to_pylist().count(SOURCE)
    return {"pseudo-captions": f"{borrowed:,} untitled products"} if borrowed else {}


def _captioned(pairs: pa.Table) -> tuple[dict[int, str], set[int]]:
    """Titles by product row, and the rows of products of which somebody wrote something."""
    titled: dict[int, str] = {}
    written: set[int] = set()
    columns = (pairs[name].to_pylist() for name in ("product_row", "text", "source"))
    for row, text, source in zip(*columns, strict=True):
        if source not in MADE:
            written.add(row)
        if source == "title":
            titled.setdefault(row, text)  # its misspelt variants come later
    return titled, written


def _first_picture(product_N: Ints) -> dict[int, int]:
    """Row of the image store of each product's first picture."""
    rows, first = np.unique(product_N, return_index=True)
    return dict(zip(rows.tolist(), first.tolist(), strict=True))


def _vectors(store: FeatureStore, giver_G: Ints, taker_R: Ints) -> tuple[Floats, Floats]:
    """Unit vectors of the base's features, standardised by those of the givers."""
    sides = [
        store.take(rows, ["base_BF"])["base_BF"].astype(np.float32) for rows in (giver_G, taker_R)
    ]
    mean_F, spread_F = sides[0].mean(0), sides[0].std(0) + _LEAST_SPREAD
    even = [(side - mean_F) / spread_F for side in sides]
    giver_GF, taker_RF = (
        side / np.linalg.norm(side, axis=1, keepdims=True).clip(1e-6) for side in even
    )
    return giver_GF, taker_RF


def _nearest(taker_RF: Floats, giver_GF: Floats, titles: list[str]) -> tuple[Ints, Floats]:
    """The nearest giver of each taker, and its margin over the nearest of another title.

    Where all neighbours have one title, the last of them stands for the runner-up.
    """
    score_RK, giver_RK = topk(taker_RF, giver_GF, min(_NEIGHBOURS, len(titles)))
    _, title_G = np.unique(titles, return_inverse=True)
    is_other_RK = title_G[giver_RK] != title_G[giver_RK[:, :1]]
    is_other_RK[:, -1] = True
    runner_up_R = is_other_RK.argmax(axis=1)
    margin_R: Floats = score_RK[:, 0] - score_RK[np.arange(len(score_RK)), runner_up_R]
    return giver_RK[:, 0], margin_R


def _pair(row: int, text: str, products: pa.Table) -> dict[str, object]:
    return {
        "text": text,
        "product_id": products["product_id"][row].as_py(),
        "product_row": row,
        "weight": 1.0,
        "source": SOURCE,
        "lang": "",
        "split": "train",
        "facts": [],
    }
