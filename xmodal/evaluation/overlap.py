"""Which products of a held-out part training has seen: by title, picture, hash and embedding.

Shapes: N pictures of the catalogue, H held-out ones, T those of train, D embedding.
"""

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xmodal.catalog.language import fold
from xmodal.catalog.looks import looks_of
from xmodal.catalog.near_duplicates import met_parts
from xmodal.catalog.schema import Split
from xmodal.catalog.splits import NEAR_BITS, NEAR_COLOUR
from xmodal.catalog.store import Catalog
from xmodal.evaluation.judge import Contender
from xmodal.matcher.inputs import decode
from xmodal.retrieval.embed import embed_pictures
from xmodal.retrieval.topk import topk

ANY = "any"
CRITERIA: Mapping[str, str] = {
    "title": "the same title",
    "picture": "the same picture, pixel for pixel",
    "near-duplicate": "the same picture encoded anew (hash and colours)",
    "hash": "an equal 64-bit difference hash",
    "embedding": "an embedding as near as a copy's",
    ANY: "any of these",
}
PROBES = 64  # train pictures that are encoded anew, for the embedding's threshold
MOST_CHECKED = 5_000  # held-out pictures whose embedding is compared with all of train
_LOW = 0.05  # quantile of the probes' cosines: 19 of 20 copies lie above
_QUALITY = 60  # of the JPEG that a probe is encoded as

Rows = set[int]  # of products


@dataclass(frozen=True)
class Shelf:
    """The catalogue's products, by row, as an audit looks at them."""

    ids: Sequence[str]
    titles: Sequence[str]  # folded
    splits: Sequence[Split]
    pixels: Sequence[Sequence[str]]  # of each product's pictures
    looks: Sequence[Sequence[bytes]]
    met: Sequence[set[Split]]  # the parts in which a product has a near-duplicate

    def rows_of(self, part: str) -> Rows:
        """Products of a part."""
        return {row for row, split in enumerate(self.splits) if split == part}

    def train_titles(self) -> set[str]:
        """Titles of train, folded."""
        titles = (
            title for title, split in zip(self.titles, self.splits, strict=True) if split == "train"
        )
        return set(titles) - {""}


def open_shelf(catalog: Catalog) -> Shelf:
    """Read what the audit needs; its near-duplicates are looked for here."""
    columns = catalog.products(["product_id", "title", "split"]).to_pydict()
    found = looks_of(catalog)
    pixels: list[list[str]] = [[] for _ in columns["split"]]
    looks: list[list[bytes]] = [[] for _ in columns["split"]]
    for row, pixel, look in zip(
        found.product_row_N.tolist(), found.pixels, found.looks, strict=True
    ):
        pixels[row].append(pixel)
        looks[row].append(look)
    return Shelf(
        columns["product_id"],
        [fold(title or "") for title in columns["title"]],
        columns["split"],
        pixels,
        looks,
        met_parts(looks, columns["split"]),
    )


def overlap(shelf: Shelf, part: str, near: Rows) -> dict[str, Rows]:
    """The products of `part` that share with `train`, by criterion; `near` by embedding."""
    train, mine = shelf.rows_of("train"), shelf.rows_of(part)
    titles = shelf.train_titles()
    pixels = {pixel for row in train for pixel in shelf.pixels[row]}
    hashes = {look[:8] for row in train for look in shelf.looks[row]}
    found = {
        "title": {row for row in mine if shelf.titles[row] in titles},
        "picture": {row for row in mine if pixels.intersection(shelf.pixels[row])},
        "near-duplicate": {row for row in mine if "train" in shelf.met[row]},
        "hash": {row for row in mine if any(look[:8] in hashes for look in shelf.looks[row])},
        "embedding": near & mine,
    }
    return found | {ANY: set().union(*found.values())}


def titled_alike(shelf: Shelf, part: str) -> Rows:
    """The products of `part` that bear the title, and an alike picture, of a product of train."""
    titled: dict[str, list[bytes]] = defaultdict(list)
    for row in shelf.rows_of("train"):
        titled[shelf.titles[row]] += shelf.looks[row]
    found = set()
    for row in shelf.rows_of(part):
        theirs = titled[shelf.titles[row]] if shelf.titles[row] else []
        if any(_are_alike(look, theirs) for look in shelf.looks[row]):
            found.add(row)
    return found


def copies_cosine(contender: Contender, catalog: Catalog, shelf: Shelf, seed: int) -> float | None:
    """The cosine above which 19 of 20 pictures of train lie to a copy of theirs, encoded anew.

    None where train has no picture.
    """
    is_train_N = np.isin(contender.store.product_row, list(shelf.rows_of("train")))
    rows = np.flatnonzero(is_train_N & (contender.store.image_no == 0))
    if not len(rows):
        return None
    drawn = np.random.default_rng(seed).choice(rows, min(PROBES, len(rows)), replace=False)
    copies = []
    for row in contender.store.product_row[drawn].tolist():
        _, _, content = next(catalog.images(row, row + 1))
        out = io.BytesIO()
        decode(content).save(out, "JPEG", quality=_QUALITY)
        copies.append(out.getvalue())
    copy_ND = embed_pictures(contender.matcher.encoder, copies)
    own_ND = np.asarray(contender.store.take(drawn, ["vector"])["vector"], np.float32)
    return float(np.quantile((copy_ND * own_ND).sum(axis=1), _LOW))


def near_by_embedding(
    contender: Contender, shelf: Shelf, part: str, threshold: float | None, seed: int
) -> Rows:
    """The products of `part` with a picture whose cosine to one of train is above the threshold."""
    row_N = contender.store.product_row
    train = np.flatnonzero(np.isin(row_N, list(shelf.rows_of("train"))))
    mine = np.flatnonzero(np.isin(row_N, list(shelf.rows_of(part))))
    if threshold is None or not len(train) or not len(mine):
        return set()
    if len(mine) > MOST_CHECKED:
        mine = np.sort(np.random.default_rng(seed).choice(mine, MOST_CHECKED, replace=False))
    vector_ND = np.asarray(contender.store.column("vector"), dtype=np.float32)
    scores_H1, _ = topk(vector_ND[mine], vector_ND[train], 1)
    return set(row_N[mine[scores_H1[:, 0] >= threshold]].tolist())


def _are_alike(look: bytes, others: Sequence[bytes]) -> bool:
    """Whether any of `others` is alike in shape and colour: as the cut of `val` sees it."""
    if not others:
        return False
    table = np.frombuffer(b"".join(others), np.uint8).reshape(len(others), -1)
    mine = np.frombuffer(look, np.uint8)
    bits_N = np.bitwise_count(table[:, :8] ^ mine[:8]).sum(axis=1)
    apart_N = np.abs(table[:, 8:].astype(np.int16) - mine[8:]).max(axis=1)
    return bool(((bits_N <= NEAR_BITS) & (apart_N <= NEAR_COLOUR)).any())
