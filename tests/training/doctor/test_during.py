"""xmodal/training/doctor/during.py and watch.py: each ailing course is named, a good one is not."""

import math

import pytest
import torch

from xmodal.settings import TrainingSettings
from xmodal.training.doctor.during import CHECKS, Course
from xmodal.training.doctor.watch import GradientWatch, effective_rank, mean_cosine

GOOD = {
    "loss": 2.0, "map": 0.4, "map_error": 0.01, "recall@10": 0.6, "median_rank": 4.0,
    "val_queries": 400.0, "chance_recall": 0.01, "log_scale": 2.7, "grad_norm": 2.0,
    "clipped_share": 0.9, "data_wait_share": 0.05, "train_s": 30.0,
    "text_cosine": 0.1, "text_rank": 40.0, "image_cosine": 0.2, "image_rank": 50.0,
}  # fmt: skip
FALLING = {"map": [0.4, 0.39, 0.3], "loss": [2.0, 1.5, 1.0]}
AILING = {
    "over-fitting": FALLING,
    "loss-rising": {"loss": [2.0, 1.5, 3.0]},
    "loss-at-chance": {"loss": [6.3, 6.24, 6.24]},
    "held-out-at-chance": {"recall@10": [0.01] * 3, "median_rank": [500.0] * 3},
    "temperature-collapsed": {"log_scale": [2.6, 1.0, 0.0]},
    "temperature-at-bound": {"log_scale": [2.6, 4.0, math.log(100)]},
    "representation-collapsed": {"image_cosine": [0.2, 0.9, 0.999]},
    "gradients-vanishing": {"grad_norm": [1.0, 0.1, 1e-7]},
    "gradients-exploding": {"grad_norm": [1.0, 9.0, 50.0], "loss": [2.0, 2.1, 2.4]},
    "clipped-every-step": {"grad_norm": [300.0] * 3, "clipped_share": [1.0] * 3},
    "waiting-for-data": {"data_wait_share": [0.8] * 3, "train_s": [60.0] * 3},
    "non-finite": {"loss": [2.0, 2.0, math.nan]},
}


def found(**changes):
    rows = [
        GOOD | {"epoch": float(n), "map": 0.4 + n / 100} | {k: v[n] for k, v in changes.items()}
        for n in range(3)
    ]
    course = Course(rows, TrainingSettings(epochs=3, batch=512))
    return {finding.name for check in CHECKS for finding in check(course)}


def test_a_good_course_is_left_alone():
    assert found() == set()


@pytest.mark.parametrize("name", AILING)
def test_an_ailing_course_is_named(name):
    assert found(**AILING[name]) == {name}


def test_a_fall_within_the_noise_of_few_queries_is_none():
    assert found(**FALLING, map_error=[0.1] * 3) == set()


def test_gradients_are_counted_before_they_are_clipped():
    watch = GradientWatch(1.0, torch.device("cpu"))
    for norm in (0.5, 1.5, 4.0):
        watch.note(torch.tensor(norm))
    assert watch.figures() == pytest.approx(
        {"grad_norm": 2.0, "grad_norm_max": 4.0, "clipped_share": 2 / 3}
    )


def test_the_spread_of_orthogonal_and_of_equal_vectors():
    assert (mean_cosine(torch.eye(8)), effective_rank(torch.eye(8))) == pytest.approx((0, 8))
    same = torch.eye(8)[:1].expand(5, 8)
    assert (mean_cosine(same), effective_rank(same)) == pytest.approx((1, 1), abs=1e-4)
