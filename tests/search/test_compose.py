"""xmodal/search/compose.py: weighted sums of unit vectors, and a history's pull."""

import numpy as np
import pytest

from xmodal.errors import RequestError
from xmodal.search.compose import bent, combined, spoken
from xmodal.search.wishes import Part

X, Y = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


def test_a_weighted_sum_has_unit_length():
    np.testing.assert_allclose(combined([X, Y], [3, 4]), [0.6, 0.8], atol=1e-6)
    np.testing.assert_allclose(combined([X, Y], [3, -4]), [0.6, -0.8], atol=1e-6)
    np.testing.assert_allclose(combined([X], [0.001]), X)


@pytest.mark.parametrize("weights", [[1, -1], [100, -100], [1e-3, -1e-3]])
def test_parts_that_cancel_out_have_no_direction(weights):
    with pytest.raises(RequestError, match="cancel"):
        combined([X, X], weights)


def test_only_what_is_wished_for_is_spoken():
    parts = [Part("boots", 2.0), Part("leather", -0.5), Part("brown", 0.1)]
    assert spoken(parts) == "boots brown"
    assert spoken(parts[1:2]) is None


def test_history_bends_as_far_as_its_weight():
    history_ND = np.stack([Y, Y])
    assert bent(X, history_ND, 0.0) is X
    np.testing.assert_allclose(bent(X, history_ND, 0.5), [0.5**0.5] * 2, atol=1e-6)
    np.testing.assert_allclose(bent(X, history_ND, 1.0), Y, atol=1e-6)
