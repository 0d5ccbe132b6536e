"""xmodal/matcher/closed_form.py: against the formula, and as an encoder."""

from pathlib import Path

import pytest
import torch

from tests.factories import make_picture, tiny_encoder
from xmodal.errors import MatcherError
from xmodal.matcher.closed_form import Pairs, fit_closed_form
from xmodal.matcher.saved import load_encoder, save_encoder

_TEXT, _IMAGE = 32, 256  # features of the tiny towers


def _pairs(noise: float, rows: int = 400, seed: int = 0) -> Pairs:
    """Pairs that share eight hidden causes."""
    mix = torch.Generator().manual_seed(7)
    to_text, to_image = (torch.randn(8, n, generator=mix) for n in (_TEXT, _IMAGE))
    draw = torch.Generator().manual_seed(seed)
    cause = torch.randn(rows, 8, generator=draw)
    return Pairs(
        cause @ to_text + noise * torch.randn(rows, _TEXT, generator=draw) + 3,
        cause @ to_image + noise * torch.randn(rows, _IMAGE, generator=draw) - 2,
    )


def test_a_linear_world_is_found_on_other_pairs() -> None:
    fitted = fit_closed_form(tiny_encoder(), _pairs(0.1), _pairs(0.1, rows=100, seed=1))
    assert fitted.mrr[fitted.name] == max(fitted.mrr.values()) > 0.95


def test_features_without_a_common_cause_stay_near_chance() -> None:
    noise = _pairs(0.1)
    shuffled = Pairs(noise.text_NS, noise.image_NF.roll(1, dims=0))
    val = _pairs(0.1, rows=100, seed=1)
    fitted = fit_closed_form(tiny_encoder(), shuffled, val)
    assert fitted.mrr[fitted.name] < 0.2  # chance is 0.05


def test_two_fits_are_one() -> None:
    train, val = _pairs(0.5), _pairs(0.5, rows=100, seed=1)
    first, second = (fit_closed_form(tiny_encoder(), train, val) for _ in range(2))
    assert first.name == second.name
    assert first.mrr == second.mrr


def test_its_encoder_shares_the_trunk_and_is_saved(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    fitted = fit_closed_form(encoder, _pairs(0.5), _pairs(0.5, rows=100, seed=1))
    save_encoder(fitted.encoder, tmp_path / "encoder")
    again = load_encoder(tmp_path / "encoder")
    pixels = encoder.inputs.images([make_picture(1), make_picture(2)])
    with torch.inference_mode():
        mine = fitted.encoder.image_head(encoder.image_trunk(pixels))
        torch.testing.assert_close(again.encode_image(pixels), mine)
        torch.testing.assert_close(mine.norm(dim=1), torch.ones(2))


def test_one_pair_is_too_few() -> None:
    few = _pairs(0.1, rows=1)
    with pytest.raises(MatcherError, match="at least two pairs"):
        fit_closed_form(tiny_encoder(), few, few)


def test_one_pair_of_val_picks_the_first_candidate() -> None:
    fitted = fit_closed_form(tiny_encoder(), _pairs(0.1), _pairs(0.1, rows=1))
    assert fitted.name == next(iter(fitted.mrr))
