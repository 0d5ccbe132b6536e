"""xmodal/training/mining.py: the nearest that are surely wrong, and no other."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.test_captions import make_table
from tests.training.toy import make_plan
from xmodal.matcher.saved import load_encoder
from xmodal.retrieval.embed import open_store
from xmodal.training.captions import load_table
from xmodal.training.mining import NEGATIVES, mine
from xmodal.training.texts import TextStore
from xmodal.training.validate import encode_rows

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mined(tmp_path_factory):
    """Encoder, table, stores and what was mined for epoch 1."""
    plan = make_plan(tmp_path_factory.mktemp("toy"))
    parts = (
        load_encoder(Path(plan.encoder)),
        load_table(Path(plan.data)),
        open_store(Path(plan.images)),
        TextStore(Path(plan.texts)),
    )
    return *parts, mine(*parts, (0, 1))


def test_they_are_those_that_plain_loops_find(mined):
    encoder, table, images, texts, found = mined
    title = table.caption_text[table.titles()]
    text = encode_rows(encoder.text_head, texts, title, CPU).numpy()
    image = encode_rows(encoder.image_head, images, table.image_row, CPU).numpy()  # one a product
    for p, row in enumerate(found):
        own = text[p] @ image[p]
        wrong = [q for q in range(len(table)) if title[q] != title[p]]
        hard = [q for q in wrong if text[p] @ image[q] < own - 0.05 * abs(own)]
        # Of the 32 nearest: the toy's titles are borne by four products or fewer.
        best = sorted(hard, key=lambda q: -text[p] @ image[q])
        near = set(np.argsort(-text[p] @ image.T)[:32])
        expected = [q for q in best if q in near][:NEGATIVES]
        assert [q for q in row if q >= 0] == expected


def test_the_same_epoch_and_weights_give_the_same(mined):
    assert np.array_equal(mine(*mined[:4], (0, 1)), mined[4])


def test_what_the_title_fits_is_no_negative():
    from xmodal.training.mining import _may_be_right

    table = make_table(
        ("red shoe", 0, "title", ["colour=red"]), ("b", 1, "title", []), ("c", 2, "title", [])
    )
    others = np.array([[0, 1, 2]])  # itself, a red one, one without colour
    assert _may_be_right(table, np.array([0]), others).tolist() == [[True, True, False]]


def test_a_products_title_is_its_most_probable_caption():
    table = make_table(
        ("x", 0, "glossary", []), ("t", 0, "title", []), ("u", 1, "title", []), images=(0, 1)
    )
    assert table.caption_text[table.titles()].tolist() == [1, 2]
