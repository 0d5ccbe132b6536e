"""Cuts a validation part from `train` without a leak, and counts what straddles.

Two products belong together when they show the same picture (equal pixels, or near-duplicates),
or when they bear the same title *and* pictures alike in shape and in colour. A title alone is no
identity: a shop may have 4,000 products under ten titles. What belongs together stays together,
and where that leaves no part to judge by, there is none.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from xmodal.catalog.language import fold
from xmodal.catalog.near_duplicates import Across, near_pairs
from xmodal.catalog.schema import SPLITS, Split
from xmodal.errors import SplitLeak

# Alike: difference hashes that near (of 64), and no cell's colour further apart (of 255).
# 12 holds JPEG at 30, any size, 5 % more light, 2 % cut off (80 drawn pictures, 90 % of each); of
# two shirts of one cut in colours drawn at random, 2 in 10,000 are that near.
NEAR_BITS = 6
NEAR_COLOUR = 12
# 1,300 queries put R@10 = 0.3 within 0.013 (one standard error): enough to pick a checkpoint.
MOST_VAL = 1300
LEAST_VAL = 100


@dataclass
class Traits:
    """What the cut needs of every product, in global order; some 400 bytes each."""

    ids: list[str] = field(default_factory=list)
    titles: list[bytes] = field(default_factory=list)  # hash of the folded title; b"" if none
    pixels: list[tuple[str, ...]] = field(default_factory=list)
    looks: list[tuple[bytes, ...]] = field(default_factory=list)  # difference hash, then colours
    splits: list[Split] = field(default_factory=list)

    def add(
        self, product_id: str, title: str, pictures: Sequence[tuple[str, int, bytes]], split: Split
    ) -> None:
        """Append a product; a picture is (fingerprint of its pixels, difference hash, colours)."""
        folded = fold(title)
        self.ids.append(product_id)
        self.titles.append(_digest(folded) if folded else b"")
        self.pixels.append(tuple(pixels for pixels, *_ in pictures))
        self.looks.append(tuple(dhash.to_bytes(8, "little") + rgb for _, dhash, rgb in pictures))
        self.splits.append(split)


def cut_val(traits: Traits, share: float, seed: int) -> int:
    """Move whole groups of `train` to `val`, by a hash of their ids; returns how many products.

    A group larger than a tenth of the part stays in `train`. The part is `share` of what can
    judge in `train` (title and picture), at least 100 (but never more than a fifth) and at most
    1,300 products; less where the groups are too large (pictures that are all alike).
    """
    train = [row for row, split in enumerate(traits.splits) if split == "train"]
    useful = {row for row in train if traits.titles[row] and traits.pixels[row]}
    wanted = val_size(len(useful), share)
    moved = 0
    groups = sorted(_grouped(traits, train), key=lambda rows: _rank(traits, rows, seed))
    for rows in groups:
        # Only a title and a picture together can judge; others serve training as well.
        is_small = len(rows) <= max(1, wanted // 10) and moved + len(rows) <= wanted
        if is_small and useful.intersection(rows):
            moved += len(rows)
            for row in rows:
                traits.splits[row] = "val"
    return moved


def val_size(n_train: int, share: float) -> int:
    """Products of the validation part of `n_train` that have a title and a picture."""
    return min(MOST_VAL, max(round(share * n_train), min(LEAST_VAL, n_train // 5)))


def check_cut(traits: Traits, near: Across) -> None:
    """Check that the `val` which was cut here has no product that belongs to one of `train`.

    Args:
        near: near-duplicates across the parts.

    Raises:
        SplitLeak: it has. The cut keeps together what belongs together, so this is a fault of it.
    """
    shared = straddling(traits, ("train", "val")).get("val", 0)
    shared = max(shared, near.get("val", {}).get("train", 0))
    if shared:
        raise SplitLeak(
            f"{shared} products of the val that was cut here show what products of train show; no"
            " figure on it would count: report this, and give the catalogue a column `split`"
        )


def straddling(traits: Traits, parts: Sequence[Split] = SPLITS) -> dict[str, int]:
    """By part: how many products belong together with a product of `train`.

    That is by equal pixels, or by the title and a picture that is alike, also over other products
    of `parts`; a near-duplicate under another title is no second product (`near_duplicates`).
    """
    rows = [row for row, split in enumerate(traits.splits) if split in parts]
    groups = np.array(_groups(len(rows), _links(traits, rows)), dtype=np.int64)
    splits = np.array([traits.splits[row] for row in rows])
    in_train = set(groups[splits == "train"].tolist())
    found: dict[str, int] = {}
    for part in parts:
        mine = groups[splits == part].tolist()
        if mine and part != "train":
            found[part] = sum(group in in_train for group in mine)
    return found


_Ints = npt.NDArray[np.int64]
_Colours = npt.NDArray[np.int16]


def _grouped(traits: Traits, rows: Sequence[int]) -> list[list[int]]:
    """`rows`, those together that belong together."""
    links = chain(_links(traits, rows), _near_duplicates(traits, rows))
    groups: dict[int, list[int]] = defaultdict(list)
    for row, group in zip(rows, _groups(len(rows), links), strict=True):
        groups[group].append(row)
    return list(groups.values())


def _groups(n: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """The group of each of `n` places: a number that those which `links` connects share."""
    parent = list(range(n))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for one, other in links:
        parent[root(one)] = root(other)
    return [root(place) for place in range(n)]


def _links(traits: Traits, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of places in `rows` that belong together; enough to connect each group."""
    yield from _same_pixels(traits, rows)
    titled: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
    for place, row in enumerate(rows):
        if traits.titles[row]:
            titled[traits.titles[row]] += [(look, place) for look in traits.looks[row]]
    for pictures in titled.values():
        if len(pictures) > 1:
            yield from _near(pictures)


def _near_duplicates(traits: Traits, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of places in `rows` whose pictures are near-duplicates, whatever their titles."""
    first: dict[bytes, int] = {}
    for place, row in enumerate(rows):
        for look in traits.looks[row]:
            yield place, first.setdefault(look, place)
    places = np.array(list(first.values()), dtype=np.int64)
    for one, other in near_pairs(list(first)):
        yield from zip(places[one].tolist(), places[other].tolist(), strict=True)


def _same_pixels(traits: Traits, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of places in `rows` that show the same picture; enough to connect each group."""
    first: dict[str, int] = {}
    for place, row in enumerate(rows):
        for pixels in traits.pixels[row]:
            yield place, first.setdefault(pixels, place)


def _near(pictures: Sequence[tuple[bytes, int]]) -> Iterator[tuple[int, int]]:
    """Links between near-identical pictures, (look, place), of one title.

    Each look is compared with those not yet reached: n^2 / 2 comparisons in whole arrays, so
    that 100,000 different pictures under one title take seconds.
    """
    by_look: dict[bytes, int] = {}
    for look, place in pictures:
        yield place, by_look.setdefault(look, place)
    table = np.frombuffer(b"".join(by_look), np.uint8).reshape(len(by_look), -1)
    hashes = np.ascontiguousarray(table[:, :8]).view(np.uint64)[:, 0]
    colours = table[:, 8:].astype(np.int16).T
    colours = colours[np.argsort(-colours.std(axis=1))]  # what tells most apart is asked first
    places = np.array(list(by_look.values()))
    waiting = np.arange(len(hashes))
    while len(waiting):
        frontier, waiting = [waiting[0]], waiting[1:]
        while frontier:
            here = frontier.pop()
            is_near = np.bitwise_count(hashes[waiting] ^ hashes[here]) <= NEAR_BITS
            near = _coloured_alike(np.flatnonzero(is_near), waiting, here, colours)
            reached, waiting = waiting[near], np.delete(waiting, near)
            frontier += reached.tolist()
            for there in reached:
                yield int(places[here]), int(places[there])


def _coloured_alike(near: _Ints, waiting: _Ints, here: int, colours: _Colours) -> _Ints:
    """Those of the places `near` in `waiting` whose every colour is near to that of `here`."""
    for colour in colours:
        if not len(near):
            break
        near = near[np.abs(colour[waiting[near]] - colour[here]) <= NEAR_COLOUR]
    return near


def _rank(traits: Traits, rows: Sequence[int], seed: int) -> bytes:
    """The group's place in the draw: stable when other products come and go."""
    return _digest(f"{seed}:{min(traits.ids[row] for row in rows)}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
