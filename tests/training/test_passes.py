"""xmodal/training/passes.py: two equal passes are refused."""

import pytest

from tests.factories import tiny_encoder
from xmodal.errors import SettingsError
from xmodal.settings import TrainingSettings
from xmodal.training.passes import check_passes


@pytest.mark.parametrize("recipe", [{"consistency": 1.0}, {"tasks": ("self",)}])
def test_two_passes_need_dropout(recipe):
    check_passes(tiny_encoder(dropout=0.2), TrainingSettings(**recipe))
    with pytest.raises(SettingsError, match=r"drops nothing: set matcher\.dropout above 0"):
        check_passes(tiny_encoder(dropout=0.0), TrainingSettings(**recipe))


def test_one_pass_needs_none():
    encoder = tiny_encoder(dropout=0.0)
    check_passes(encoder, TrainingSettings(tasks=("attributes",), adversary=0.1))
    assert not encoder.training
