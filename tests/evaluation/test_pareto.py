"""xmodal/evaluation/pareto.py: which points no other point beats."""

import itertools
import random

import pytest

from xmodal.evaluation.pareto import pareto_front


def test_a_point_that_another_beats_is_left_out():
    assert pareto_front([(1, 9), (2, 5), (2, 6), (3, 1), (3, 9)]) == [0, 1, 3]


def test_equal_points_do_not_beat_each_other():
    assert pareto_front([(1, 1), (1, 1), (1, 2)]) == [0, 1]


def test_one_cost_leaves_the_least_and_none_leaves_nothing():
    assert pareto_front([(3,), (1,), (2,)]) == [1]
    assert pareto_front([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_the_definition_says(seed):
    rng = random.Random(seed)
    points = [tuple(rng.randint(0, 4) for _ in range(3)) for _ in range(40)]
    front = {points[place] for place in pareto_front(points)}

    def beats(one, other):
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    assert not [1 for one, other in itertools.product(points, front) if beats(one, other)]
    for point in set(points) - front:
        assert any(beats(one, point) for one in front)
