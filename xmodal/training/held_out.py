"""The held-out part as training sees it: judged queries and a gallery, as rows of the stores.

Shapes: N pictures of the image store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.errors import CatalogError
from xmodal.storage import read_json, write_json_atomic
from xmodal.training.captions import Ints

# Pictures in the gallery: enough that R@10 is no gift, at a tenth of an epoch's time.
GALLERY = 8_000


@dataclass(frozen=True)
class ValSet:
    """Judged queries and a gallery of pictures."""

    query_ids: list[str]
    query_rows: list[int]  # of the text store
    gallery_rows: list[int]  # of the image store
    gallery_products: list[int]  # the product row of each gallery picture
    product_ids: dict[str, str]  # product row -> product_id
    qrels: dict[str, dict[str, int]]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_json_atomic(path, asdict(self))


def load_valset(path: Path) -> ValSet:
    """Read what `ValSet.save` wrote."""
    value = read_json(path)
    assert isinstance(value, dict)
    return ValSet(**value)


def sample_queries(queries: Mapping[str, str], limit: int, seed: int) -> dict[str, str]:
    """At most `limit` of the queries, drawn by the seed."""
    names = sorted(queries)
    if len(names) > limit:
        chosen = np.random.default_rng(seed).permutation(len(names))[:limit]
        names = [names[i] for i in sorted(chosen)]
    return {name: queries[name] for name in names}


def build_valset(
    catalog: Catalog,
    queries: Mapping[str, str],
    text_number: Mapping[str, int],
    product_N: Ints,
    seed: int,
) -> ValSet:
    """The queries of `val`, and a gallery of all its pictures and a sample of those of `train`.

    Where the queries are made of titles, a train product of an asked title is not shown: to find
    what one was trained on would pick the epoch that remembers best.

    Args:
        text_number: row in the text store of each query text.
        product_N: the product row of each image store row.

    Raises:
        CatalogError: no query has a relevant product in the gallery.
    """
    products = catalog.products(["product_id", "split"])
    judged = catalog.judged("val")
    learnt = [judged.qrels[query] for query in queries] if judged.made else []
    gallery = choose_gallery(_splits(products, learnt)[product_N], seed)
    rows = product_N[gallery]
    shown = np.unique(rows)
    names = products["product_id"].take(pa.array(shown)).to_pylist()
    qrels = _within(judged.qrels, queries, set(names))
    if not qrels:
        raise CatalogError(
            f"{catalog.manifest.source}: no text query of split val finds a product with a picture "
            "to pick a checkpoint by; give val titles and pictures, or catalog.queries"
        )
    return ValSet(
        query_ids=list(qrels),
        query_rows=[text_number[queries[query]] for query in qrels],
        gallery_rows=gallery.tolist(),
        gallery_products=rows.tolist(),
        product_ids={str(row): name for row, name in zip(shown, names, strict=True)},
        qrels=qrels,
    )


def choose_gallery(split_N: NDArray[np.object_], seed: int) -> Ints:
    """Rows of all `val` pictures and of a sample of the `train` ones, up to GALLERY in all."""
    val, train = np.flatnonzero(split_N == "val"), np.flatnonzero(split_N == "train")
    room = max(0, min(GALLERY - len(val), len(train)))
    sample = np.random.default_rng(seed).choice(train, size=room, replace=False)
    return np.sort(np.concatenate([val, sample]))


def _splits(products: pa.Table, learnt: Sequence[Mapping[str, int]]) -> NDArray[np.object_]:
    """The split of each product; `hidden` for those of `train` that any of `learnt` names."""
    split = np.array(products["split"].to_pylist(), dtype=object)
    named = pa.array({product for grades in learnt for product in grades}, pa.string())
    is_named = pc.is_in(products["product_id"], named).to_numpy(zero_copy_only=False)
    split[is_named & (split == "train")] = "hidden"
    return split


def _within(
    qrels: Mapping[str, Mapping[str, int]], queries: Mapping[str, str], shown: set[str]
) -> dict[str, dict[str, int]]:
    """Judgements on products that are shown, of queries that have any."""
    kept = {
        query: {product: grade for product, grade in qrels[query].items() if product in shown}
        for query in queries
    }
    return {query: relevant for query, relevant in kept.items() if any(relevant.values())}
