"""Near-duplicates among the pictures of a whole catalogue, found in buckets and not pair by pair.

    looks -> tables: one band of the hash and two colours, coarse -> buckets -> pairs, checked

Shapes: N pictures, C = 48 colours of one (RGB of 4 x 4 cells).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, product

import numpy as np
import numpy.typing as npt

from xmodal.catalog.schema import SPLITS, Split

# The same picture encoded anew: at most so many bits of the difference hash (of 64) and so much
# colour in any cell (of 255) apart. Of 300 small product pictures this holds 91 to 100 % when they
# are saved as JPEG at 30 to 90, doubled, or shrunk to 3/4 (95 % at JPEG 30).
SAME_BITS = 4
SAME_COLOUR = 6
LOOK_BYTES = 56  # difference hash (8, little endian), then colours (48)
# A bucket's pictures are sorted by a third colour, and each is compared with so many after it.
_MOST_COMPARED = 256
_SAMPLE = 20_000  # pictures that choose the colours

Across = dict[str, dict[str, int]]
Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # rows i and j of the looks
_Colours = npt.NDArray[np.uint8]
_Keys = npt.NDArray[np.uint64]


def near_pairs(looks: Sequence[bytes]) -> Iterator[Pairs]:
    """Pairs of different looks that are near-duplicates; a pair may come more than once.

    Two hashes that differ in at most 4 of 64 bits agree in one of five bands, and two colours at
    most 6 apart lie in one cell of one of two grids that are shifted by half a cell: every such
    pair meets in a bucket of one of the tables. In a bucket of more than 256 pictures of one
    colour a pair may be missed, though hardly the group that it belongs to. Time grows as
    N log N: 6 s for 44,000 pictures, on one core.

    Source: the bands are Manber's and Norouzi et al.'s (multi-index hashing, arXiv 1307.2982).
    """
    if len(looks) < 2:
        return
    table = np.frombuffer(b"".join(looks), np.uint8).reshape(len(looks), LOOK_BYTES)
    hash_N = np.ascontiguousarray(table[:, :8]).view("<u8")[:, 0].astype(np.uint64)
    colour_NC = np.ascontiguousarray(table[:, 8:])
    first, *others = _telling(colour_NC)
    for band, shifts in product(range(SAME_BITS + 1), product((0, SAME_COLOUR + 1), repeat=2)):
        key_N = _band(hash_N, band)
        for colour, shift in zip(others, shifts, strict=True):
            cell_N = (colour_NC[:, colour].astype(np.uint64) + shift) // (2 * (SAME_COLOUR + 1))
            key_N = key_N << np.uint64(5) | cell_N
        key_N = key_N << np.uint64(8) | colour_NC[:, first]
        yield from _bucket_pairs(key_N, hash_N, colour_NC)


def across(looks: Sequence[Sequence[bytes]], splits: Sequence[Split]) -> Across:
    """By part and other part: how many products of the one have a near-duplicate in the other.

    Args:
        looks: those of each product's pictures; equal ones are near-duplicates too.
        splits: of each product.
    """
    met = met_parts(looks, splits)
    counts = Counter(
        (split, other) for split, parts in zip(splits, met, strict=True) for other in parts
    )
    found = {
        part: {other: counts[part, other] for other in SPLITS if other != part} for part in SPLITS
    }
    return {
        part: {other: n for other, n in others.items() if n}
        for part, others in found.items()
        if any(others.values())
    }


def met_parts(looks: Sequence[Sequence[bytes]], splits: Sequence[Split]) -> list[set[Split]]:
    """The parts in which each product has a near-duplicate; its own too where it has a picture."""
    row_of = {look: row for row, look in enumerate(dict.fromkeys(chain.from_iterable(looks)))}
    parts_N = np.zeros(len(row_of), np.uint8)  # bit p: a product of part p looks so
    for mine, split in zip(looks, splits, strict=True):
        for look in mine:
            parts_N[row_of[look]] |= 1 << SPLITS.index(split)
    met_N = parts_N.copy()
    for one, other in near_pairs(list(row_of)):
        np.bitwise_or.at(met_N, one, parts_N[other])
        np.bitwise_or.at(met_N, other, parts_N[one])
    return [{SPLITS[bit] for look in mine for bit in _BITS[met_N[row_of[look]]]} for mine in looks]


_BITS = [[bit for bit in range(len(SPLITS)) if mask >> bit & 1] for mask in range(1 << len(SPLITS))]


def _bucket_pairs(key_N: _Keys, hash_N: _Keys, colour_NC: _Colours) -> Iterator[Pairs]:
    """Near-duplicates among pictures of one key, whose last byte is a colour that sorts them."""
    order_N = np.argsort(key_N, kind="stable")
    bucket_N, sort_N = key_N[order_N] >> np.uint64(8), (key_N[order_N] & np.uint64(255)).astype(int)
    here = np.arange(len(order_N))
    for step in range(1, _MOST_COMPARED + 1):
        here = here[here < len(order_N) - step]
        there = here + step
        is_open = bucket_N[here] == bucket_N[there]
        here = here[is_open & (sort_N[there] - sort_N[here] <= SAME_COLOUR)]
        if not len(here):
            return
        i, j = order_N[here], order_N[here + step]
        is_near = np.bitwise_count(hash_N[i] ^ hash_N[j]) <= SAME_BITS
        i, j = i[is_near], j[is_near]
        apart_C = np.abs(colour_NC[i].astype(np.int16) - colour_NC[j])
        is_same = (apart_C <= SAME_COLOUR).all(axis=1)
        if is_same.any():
            yield i[is_same], j[is_same]


def _band(hash_N: _Keys, band: int) -> _Keys:
    """One of the five bands that 64 bits fall into."""
    low, high = 64 * band // (SAME_BITS + 1), 64 * (band + 1) // (SAME_BITS + 1)
    return hash_N >> np.uint64(low) & np.uint64((1 << (high - low)) - 1)


def _telling(colour_NC: _Colours) -> list[int]:
    """Three of the colours that tell most pictures apart, each by what the last left untold."""
    sample = colour_NC[:: max(1, len(colour_NC) // _SAMPLE)].astype(np.float64)
    sample -= sample.mean(axis=0)
    chosen = []
    for _ in range(3):
        chosen.append(int((sample**2).sum(axis=0).argmax()))
        told = sample[:, chosen[-1:]]
        sample -= told @ (told.T @ sample) / max((told**2).sum(), 1.0)
    return chosen
