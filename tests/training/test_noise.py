"""xmodal/training/noise.py: further captions that take a share of their originals' weight."""

import numpy as np
import pyarrow as pa
import pytest

from xmodal.catalog.schema import PAIR
from xmodal.training.captions import build_table
from xmodal.training.noise import with_variants

TEXTS = ("Red Casual Shoes", "红色运动鞋", "Nike blue shirt", "---")


def make_pairs():
    rows = [
        {
            "text": text,
            "product_id": f"p{n}",
            "product_row": n,
            "weight": 1.0,
            "source": "title",
            "lang": "en",
            "split": "train",
            "facts": [f"colour={n}"],
        }
        for n, text in enumerate(TEXTS)
    ]
    return pa.Table.from_pylist(rows, PAIR)


def test_without_noise_the_pairs_are_as_they_were():
    pairs = make_pairs()
    assert with_variants(pairs, 0.0, {}, 0) is pairs


def test_a_variant_takes_its_share_of_the_weight_and_states_the_same():
    pairs = with_variants(make_pairs(), 0.25, {}, 0).to_pylist()
    assert [row["text"] for row in pairs[:4]] == list(TEXTS)
    assert [row["weight"] for row in pairs] == pytest.approx([0.75, 0.75, 0.75, 0.75] + [0.25] * 4)
    assert all(row["text"] not in TEXTS for row in pairs[4:])
    for original, variant in zip(pairs[:4], pairs[4:], strict=True):
        same = ("product_id", "product_row", "source", "facts", "split")
        assert [original[key] for key in same] == [variant[key] for key in same]


def test_variants_are_drawn_as_often_as_asked():
    pairs = with_variants(make_pairs(), 0.25, {}, 0)
    texts = list(dict.fromkeys(pairs["text"].to_pylist()))
    none = pa.array([[]] * 4, type=pa.map_(pa.string(), pa.string()))
    table = build_table(pairs, {t: n for n, t in enumerate(texts)}, np.arange(4), none)
    rng = np.random.default_rng(0)
    drawn = np.array([table.caption_text[table.draw_captions(rng.random(4))] for _ in range(2000)])
    assert (drawn >= 4).mean() == pytest.approx(0.25, abs=0.02)


def test_the_seed_decides():
    first, again, other = (with_variants(make_pairs(), 0.5, {}, seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
