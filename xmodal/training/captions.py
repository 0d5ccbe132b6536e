"""What may be drawn for a batch: the train products, their pictures and their captions, as arrays.

A table is a folder of `.npy` files, memory-mapped: ten million products cost a worker no memory.

Shapes: P train products that have both a picture and a caption, C attribute columns, N pairs.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# Shares by which a caption's source is drawn, among the sources that a product has. Titles are
# what shoppers' queries look like; Chinese captions come from the glossary alone.
SOURCE_SHARES: Mapping[str, float] = {"title": 8.0, "glossary": 1.5, "attributes": 1.0}
OTHER_SOURCE_SHARE = 8.0  # judged queries, clicks: what shoppers really typed
MAX_COLUMNS = 63  # attribute columns that fit the bits of one int64


@dataclass(frozen=True)
class PairTable:
    """Captions and pictures of P products, grouped by product (start[p]:start[p + 1])."""

    product_P: Ints  # the catalog's product row
    image_start: Ints
    image_row: Ints  # row in the store of image features
    caption_start: Ints
    caption_text: Ints  # row in the store of text features
    caption_until: NDArray[np.float64]  # cumulative probability within the product, ends at 1
    caption_weight: NDArray[np.float32]  # what its product's captions of its source weigh together
    caption_uses: Ints  # bit c: the caption states attribute column c
    codes_PC: NDArray[np.int32]  # the product's value in column c, 0 = none

    def __len__(self) -> int:
        """Return the number of products that training sees."""
        return len(self.product_P)

    def draw_captions(self, u_P: NDArray[np.float64]) -> Ints:
        """One caption number a product, by its weights; `u_P` uniform in [0, 1)."""
        counts_P = np.diff(self.caption_start)
        ladder = np.repeat(np.arange(len(self)), counts_P) + self.caption_until
        drawn_P = np.searchsorted(ladder, np.arange(len(self)) + u_P, side="right")
        return np.minimum(drawn_P, self.caption_start[1:] - 1)

    def titles(self) -> Ints:
        """The caption number of each product's most probable caption, (P,)."""
        share = np.diff(self.caption_until, prepend=0.0)
        share[self.caption_start[:-1]] = self.caption_until[self.caption_start[:-1]]
        best_P = np.maximum.reduceat(share, self.caption_start[:-1])
        is_best = share >= np.repeat(best_P, np.diff(self.caption_start))
        owner = np.repeat(np.arange(len(self)), np.diff(self.caption_start))[is_best]
        first: Ints = np.flatnonzero(is_best)[np.flatnonzero(np.diff(owner, prepend=-1))]
        return first

    def draw_images(self, u_P: NDArray[np.float64]) -> Ints:
        """One image store row a product, each of its pictures alike; `u_P` uniform in [0, 1)."""
        counts_P = np.diff(self.image_start)
        return self.image_row[self.image_start[:-1] + (u_P * counts_P).astype(np.int64)]

    def bearers(self, text_N: Ints, product_N: Ints) -> NDArray[np.bool_]:
        """(N, N) bool: [i, j] where text i is among the captions of product j, drawn or not."""
        counts_N = np.diff(self.caption_start)[product_N]
        place_N = np.repeat(np.arange(len(product_N)), counts_N)
        offset = np.arange(len(place_N)) - np.repeat(counts_N.cumsum() - counts_N, counts_N)
        borne = self.caption_text[self.caption_start[product_N][place_N] + offset]
        unique, which_N = np.unique(text_N, return_inverse=True)
        at = np.searchsorted(unique, borne).clip(max=len(unique) - 1)
        is_asked = unique[at] == borne
        bears_UN = np.zeros((len(unique), len(product_N)), dtype=np.bool_)
        bears_UN[at[is_asked], place_N[is_asked]] = True
        bears_NN: NDArray[np.bool_] = bears_UN[which_N]
        return bears_NN

    def save(self, folder: Path) -> None:
        """Write one `.npy` a field into `folder`, which exists."""
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name))


def load_table(folder: Path) -> PairTable:
    """Open a saved table, memory-mapped."""
    return PairTable(
        **{f.name: np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in fields(PairTable)}
    )


def build_table(
    pairs: pa.Table, text_number: Mapping[str, int], image_product: Ints, attributes: pa.Array
) -> PairTable:
    """Join the train pairs with the pictures.

    Args:
        pairs: the catalog's train pairs (text, product_row, weight, source, facts).
        text_number: row in the text store of each caption.
        image_product: the product row of each image store row, ascending.
        attributes: map<string, string> a product, for the columns that captions state.
    """
    number = np.array([text_number[text] for text in pairs["text"].to_pylist()], dtype=np.int64)
    row = pairs["product_row"].to_numpy().astype(np.int64)
    has_image = np.isin(row, image_product)
    order = np.lexsort((number, row))
    order = order[has_image[order]]  # the same order whatever order the pairs came in
    product_P, first = np.unique(row[order], return_index=True)
    image_row = np.flatnonzero(np.isin(image_product, product_P))  # of no other product
    image_start = np.searchsorted(image_product[image_row], product_P)
    share, total = _probability(pairs, row)
    columns = _stated_columns(pairs)
    return PairTable(
        product_P=product_P,
        image_start=np.append(image_start, len(image_row)),
        image_row=image_row,
        caption_start=np.append(first, len(order)),
        caption_text=number[order],
        caption_until=_cumulative(share[order], first),
        # A caption is drawn by its share of this sum; times the sum, it counts by its weight.
        caption_weight=total[order].astype(np.float32),
        caption_uses=_use_bits(pairs, columns)[order],
        codes_PC=_codes(attributes, product_P, columns),
    )


def _probability(pairs: pa.Table, row: Ints) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of a caption: its source's share, times its own weight among those of its source.

    Also the sum of the latter.
    """
    source = pairs["source"].combine_chunks().dictionary_encode()
    shares = [SOURCE_SHARES.get(name, OTHER_SOURCE_SHARE) for name in source.dictionary.to_pylist()]
    group = row * len(shares) + source.indices.to_numpy()
    _, member = np.unique(group, return_inverse=True)
    weight = pairs["weight"].to_numpy().astype(np.float64)
    total: NDArray[np.float64] = np.bincount(member, weights=weight).astype(np.float64)[member]
    share: NDArray[np.float64] = np.array(shares)[source.indices.to_numpy()] * weight / total
    return share, total


def _cumulative(weight: NDArray[np.float64], first: Ints) -> NDArray[np.float64]:
    """Cumulative weights within each group that starts at `first`, divided by the group's sum."""
    running = np.cumsum(weight)
    before = (running - weight)[first]
    sizes = np.diff(np.append(first, len(weight)))
    inside = running - np.repeat(before, sizes)
    total = np.add.reduceat(weight, first) if len(first) else weight
    until: NDArray[np.float64] = inside / np.repeat(total, sizes)
    return until


def _stated_columns(pairs: pa.Table) -> list[str]:
    """The attribute columns that captions state, most stated first, as many as there are bits."""
    if "facts" not in pairs.column_names:
        return []
    facts = pairs["facts"].combine_chunks().flatten().to_pylist()
    counts = Counter(fact.partition("=")[0] for fact in facts)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return ranked[:MAX_COLUMNS]


def _use_bits(pairs: pa.Table, columns: list[str]) -> Ints:
    bits = np.zeros(len(pairs), dtype=np.int64)
    if columns:
        facts = pairs["facts"].combine_chunks()
        place = {name: bit for bit, name in enumerate(columns)}
        flat = np.array(
            [place.get(fact.partition("=")[0], -1) for fact in facts.flatten().to_pylist()],
            dtype=np.int64,
        )
        counts = facts.value_lengths().fill_null(0).to_numpy()
        owner = np.repeat(np.arange(len(pairs)), counts)
        # A column beyond the bits makes the caption look wider than it is: never mask by it.
        np.bitwise_or.at(bits, owner[flat >= 0], np.int64(1) << flat[flat >= 0])
        bits[owner[flat < 0]] = 0
    return bits


def _codes(attributes: pa.Array, product_P: Ints, columns: list[str]) -> NDArray[np.int32]:
    """Number of each product's value in each column; equal numbers = equal values, 0 = none."""
    codes_PC = np.zeros((len(product_P), len(columns)), dtype=np.int32)
    seen: list[dict[str, int]] = [{} for _ in columns]
    place = {name: bit for bit, name in enumerate(columns)}
    for p, pairs in enumerate(attributes.take(pa.array(product_P)).to_pylist()):
        for name, value in pairs or ():
            if name in place and value:
                numbers = seen[place[name]]
                codes_PC[p, place[name]] = numbers.setdefault(value, len(numbers) + 1)
    return codes_PC
