"""xmodal/training/pseudo.py: untitled products borrow a look-alike's title; held-out ones never."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from xmodal.catalog.schema import PAIR
from xmodal.training.pseudo import pseudo_facts, with_pseudo

# Two kinds of pictures; what is near to which can be read off.
LOOKS = {"a": [4.0, 0.0, 0.0], "b": [0.0, 4.0, 0.0], "c": [0.0, 0.0, 4.0], "ab": [2.2, 1.8, 0.0]}


@dataclass
class Shop:
    """A catalogue and a feature store, from (split, title, look) a product; look None: none."""

    rows: list

    @property
    def product_row(self):
        return np.array([n for n, row in enumerate(self.rows) if row[2]])

    def take(self, rows, names):
        looks = [row[2] for row in self.rows if row[2]]
        return {"base_BF": np.array([LOOKS[looks[n]] for n in rows], np.float16)}

    def products(self, columns):
        ids = [f"p{n}" for n in range(len(self.rows))]
        return pa.table({"product_id": ids, "split": [row[0] for row in self.rows]})

    def pairs(self, source="title"):
        rows = [
            {"text": title, "product_id": f"p{n}", "product_row": n, "weight": 1.0}
            | {"source": source, "lang": "en", "split": split, "facts": []}
            for n, (split, title, _) in enumerate(self.rows)
            if title and split == "train"
        ]
        return pa.Table.from_pylist(rows, PAIR)


TITLED = [("train", "shoe", "a"), ("train", "bag", "b"), ("train", "hat", "c")]


def borrowed(rows, share=1.0, pairs=None):
    shop = Shop(rows)
    made = with_pseudo(shop, pairs or shop.pairs(), shop, share).to_pylist()
    return {row["product_row"]: row["text"] for row in made if row["source"] == "pseudo"}


def test_an_untitled_product_borrows_the_title_of_its_look_alike():
    rows = [*TITLED, ("train", "", "b"), ("train", "", "a"), ("train", "", None)]
    assert borrowed(rows) == {3: "bag", 4: "shoe"}


@pytest.mark.parametrize("split", ["val", "dev", "test"])
def test_held_out_products_neither_take_nor_give(split):
    rows = [*TITLED[1:], (split, "", "a"), (split, "shoe", "a"), ("train", "", "a")]
    found = borrowed(rows)
    assert set(found) == {4}
    assert found[4] in {"bag", "hat"}


def test_the_surest_come_first():
    rows = [*TITLED, ("train", "", "ab"), ("train", "", "c")]
    assert borrowed(rows, share=0.5) == {4: "hat"}
    assert set(borrowed(rows, share=1.0)) == {3, 4}
    assert borrowed(rows, share=0.0) == {}


def test_many_of_one_title_are_no_runner_up():
    rows = [*TITLED, *[("train", "shoe", "a")] * 3, ("train", "", "ab"), ("train", "", "a")]
    assert borrowed(rows, share=0.5) == {7: "shoe"}


def test_made_captions_are_no_title_and_what_people_typed_is():
    shop = Shop([*TITLED, ("train", "said", "a")])
    for source, found in (("attributes", {3: "shoe"}), ("judged", {}), ("title", {})):
        own = shop.pairs(source).slice(3)
        assert borrowed(shop.rows, pairs=pa.concat_tables([shop.pairs().slice(0, 3), own])) == found


def test_without_share_the_pairs_are_the_very_same():
    shop = Shop(TITLED)
    pairs = shop.pairs()
    assert with_pseudo(shop, pairs, shop, 0.0) is pairs
    assert pseudo_facts(pairs) == {}
