"""xmodal/matcher/fields.py: a product's one vector, with fields missing or not."""

import doctest
import json

import numpy as np
import pytest

from tests.factories import tiny_encoder
from xmodal.errors import MatcherError
from xmodal.matcher import fields
from xmodal.matcher.fields import FILE, FieldWeights
from xmodal.matcher.saved import load_matcher, save_matcher

WEIGHTS = FieldWeights({"picture": 0.5, "title": 0.3, "attributes": 0.2}, {"val queries": 9.0})


def test_a_vector_is_the_weighted_sum_at_unit_length():
    axes = np.eye(3, dtype=np.float32)
    found = WEIGHTS.fuse({"picture": axes[:1], "title": axes[1:2], "attributes": axes[2:]})
    expected = np.array([0.5, 0.3, 0.2]) / np.sqrt(0.25 + 0.09 + 0.04)
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


def test_a_product_of_one_field_is_that_field_and_one_of_none_is_nothing():
    one, none = np.array([[0.6, 0.8]], np.float32), np.zeros((1, 2), np.float32)
    for name in fields.FIELDS:
        absent = dict.fromkeys(fields.FIELDS, none)
        np.testing.assert_allclose(WEIGHTS.fuse(absent | {name: one}), one, rtol=1e-6)
    assert not WEIGHTS.fuse(absent).any()


def test_they_are_saved_with_the_matcher_and_make_it_another_one(tmp_path):
    encoder = tiny_encoder()
    plain = save_matcher(tmp_path / "plain", encoder)
    facts = save_matcher(tmp_path / "fused", encoder, fields=WEIGHTS)
    assert load_matcher(tmp_path / "fused").fields == WEIGHTS
    assert load_matcher(tmp_path / "plain").fields is None
    assert facts.encoder == plain.encoder
    assert facts.parts != plain.parts == [plain.encoder, ""]


@pytest.mark.parametrize("text", ["{", "{}", json.dumps({"weights": {"title": 1}, "figures": {}})])
def test_a_damaged_file_is_refused(tmp_path, text):
    WEIGHTS.save(tmp_path)
    (tmp_path / FILE).write_text(text)
    with pytest.raises(MatcherError, match="weights of the fields"):
        FieldWeights.load(tmp_path)


def test_the_worked_example_holds():
    assert doctest.testmod(fields).failed == 0
