"""xmodal/training/recipe.py: what nobody gave is derived, with its reason."""

import pytest

from xmodal.settings import Settings
from xmodal.training.recipe import derived, reasons


def make_settings(base, **training):
    return Settings.model_validate({"matcher": {"base": base}, "training": training})


@pytest.mark.parametrize(
    ("base", "rate"),
    [("offline", 1e-3), ("towers:a+b", 1e-3), ("open_clip:x", 3e-5), ("transformers:y", 3e-5)],
)
def test_a_pretrained_dual_encoder_learns_slowly(base, rate):
    settings = make_settings(base)
    assert derived(settings).training.learning_rate == rate
    assert f"{rate:g}" in reasons(settings.matcher, settings.training)["learning rate"]


def test_a_given_rate_stays():
    settings = make_settings("open_clip:x", learning_rate=0.5)
    assert derived(settings).training.learning_rate == 0.5
    assert reasons(settings.matcher, settings.training) == {}
