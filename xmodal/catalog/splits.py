"""Cuts a validation part from `train` without a leak, and counts what straddles.

Two products belong together when they show the same picture (equal decoded pixels), or when
they bear the same title *and* near-identical pictures. A title alone is no identity: a shop may
have 4,000 products under ten titles. What belongs together stays together.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from xmodal.catalog.schema import Split

NEAR_BITS = 6  # of 64: pictures whose difference hashes are that near count as near-identical
# 1,300 queries put R@10 = 0.3 within 0.013 (one standard error): enough to pick a checkpoint.
MOST_VAL = 1300
LEAST_VAL = 100


@dataclass
class Traits:
    """What the cut needs of every product, in global order; a few dozen bytes each."""

    ids: list[str] = field(default_factory=list)
    titles: list[bytes] = field(default_factory=list)  # hash of the folded title; b"" if none
    pixels: list[tuple[str, ...]] = field(default_factory=list)
    dhashes: list[tuple[int, ...]] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)

    def add(
        self, product_id: str, title: str, pictures: Sequence[tuple[str, int]], split: Split
    ) -> None:
        """Append a product; a picture is (fingerprint of its pixels, difference hash)."""
        folded = " ".join(title.casefold().split())
        self.ids.append(product_id)
        self.titles.append(_digest(folded) if folded else b"")
        self.pixels.append(tuple(pixels for pixels, _ in pictures))
        self.dhashes.append(tuple(dhash for _, dhash in pictures))
        self.splits.append(split)


def cut_val(traits: Traits, share: float, seed: int) -> int:
    """Move whole groups of `train` to `val`, by a hash of their ids; returns how many products.

    A group larger than a tenth of the part stays in `train`. The part is `share` of `train`,
    at least 100 (but never more than a fifth) and at most 1,300 products.
    """
    train = [row for row, split in enumerate(traits.splits) if split == "train"]
    wanted = val_size(len(train), share)
    groups: dict[int, list[int]] = defaultdict(list)
    for row, group in zip(train, _groups(traits, train), strict=True):
        groups[group].append(row)
    moved = 0
    for rows in sorted(groups.values(), key=lambda rows: _rank(traits, rows, seed)):
        # Only a title and a picture together can judge; text-less groups serve training as well.
        is_useful = any(traits.titles[row] and traits.pixels[row] for row in rows)
        if is_useful and len(rows) <= max(1, wanted // 10) and moved + len(rows) <= wanted:
            moved += len(rows)
            for row in rows:
                traits.splits[row] = "val"
    return moved


def val_size(n_train: int, share: float) -> int:
    """Products of the validation part of `n_train`."""
    return min(MOST_VAL, max(round(share * n_train), min(LEAST_VAL, n_train // 5)))


def straddling(traits: Traits) -> dict[str, int]:
    """By part: how many products belong together with a product of `train`."""
    rows = range(len(traits.ids))
    groups = np.array(_groups(traits, rows), dtype=np.int64)
    splits = np.array(traits.splits)
    in_train = set(groups[splits == "train"].tolist())
    found: dict[str, int] = {}
    for part in ("val", "dev", "test"):
        mine = groups[splits == part].tolist()
        if mine:
            found[part] = sum(group in in_train for group in mine)
    return found


def _groups(traits: Traits, rows: Sequence[int]) -> list[int]:
    """The group of each of `rows`: a number that those which belong together share."""
    parent = list(range(len(rows)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for one, other in _links(traits, rows):
        parent[root(one)] = root(other)
    return [root(place) for place in range(len(rows))]


def _links(traits: Traits, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of places in `rows` that belong together; enough to connect each group."""
    first: dict[str, int] = {}
    titled: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for place, row in enumerate(rows):
        for pixels in traits.pixels[row]:
            yield place, first.setdefault(pixels, place)
        if traits.titles[row]:
            titled[traits.titles[row]] += [(dhash, place) for dhash in traits.dhashes[row]]
    for pictures in titled.values():
        if len(pictures) > 1:
            yield from _near(pictures)


def _near(pictures: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Links between near-identical pictures, (difference hash, place), of one title.

    Each hash is compared with those not yet reached: n^2 / 2 comparisons in whole arrays, so
    that 100,000 different pictures under one title take seconds.
    """
    by_hash: dict[int, int] = {}
    for dhash, place in pictures:
        yield place, by_hash.setdefault(dhash, place)
    hashes = np.array(list(by_hash), dtype=np.uint64)
    places = np.array(list(by_hash.values()))
    waiting = np.arange(len(hashes))
    while len(waiting):
        frontier, waiting = [waiting[0]], waiting[1:]
        while frontier:
            here = frontier.pop()
            is_near = np.bitwise_count(hashes[waiting] ^ hashes[here]) <= NEAR_BITS
            reached, waiting = waiting[is_near], waiting[~is_near]
            frontier += reached.tolist()
            for there in reached:
                yield int(places[here]), int(places[there])


def _rank(traits: Traits, rows: Sequence[int], seed: int) -> bytes:
    """The group's place in the draw: stable when other products come and go."""
    return _digest(f"{seed}:{min(traits.ids[row] for row in rows)}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
