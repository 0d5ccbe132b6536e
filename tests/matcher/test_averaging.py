"""xmodal/matcher/averaging.py: averages are exact, and go on as if nothing had happened."""

import pytest
import torch

from tests.factories import tiny_encoder
from xmodal.errors import MatcherError
from xmodal.matcher.averaging import MovingAverage, check_interpolation, interpolate


def steps(count, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [{"w": torch.randn(3, generator=draw)} for _ in range(count)]


def test_the_average_is_the_one_by_hand():
    first, second, third = steps(3)
    average = MovingAverage(first, decay=0.15)
    average.update(second)  # a young average: 1 / 10
    average.update(third)  # 2 / 11 is above the decay
    by_hand = 0.15 * (0.1 * first["w"] + 0.9 * second["w"]) + 0.85 * third["w"]
    torch.testing.assert_close(average.weights["w"], by_hand)


def test_a_resumed_average_is_the_undisturbed_one():
    weights = steps(6)
    whole, half, resumed = (MovingAverage(weights[0], 0.9) for _ in range(3))
    for now in weights[1:]:
        whole.update(now)
    for now in weights[1:3]:
        half.update(now)
    resumed.load_state_dict(half.state_dict())
    for now in weights[3:]:
        resumed.update(now)
    assert torch.equal(resumed.weights["w"], whole.weights["w"])


def test_the_first_weights_are_kept_apart_from_the_encoders_own():
    encoder = tiny_encoder()
    average = MovingAverage(encoder.trained_state(), 0.9)
    before = {name: weight.clone() for name, weight in average.weights.items()}
    for weight in encoder.parameters():
        weight.data += 1
    own = {name: weight.clone() for name, weight in encoder.trained_state().items()}
    with average.shown(encoder):
        assert all(torch.equal(w, before[n]) for n, w in encoder.trained_state().items())
    assert all(torch.equal(w, own[n]) for n, w in encoder.trained_state().items())


def test_an_average_of_other_weights_is_refused():
    with pytest.raises(MatcherError, match="another encoder"):
        MovingAverage({"w": torch.ones(1)}, 0.9).load_state_dict({"steps": 1, "weights": {}})


def test_interpolation_is_linear_in_every_weight():
    tuned, base, kept = tiny_encoder(seed=1), tiny_encoder(seed=2), tiny_encoder(seed=1)
    interpolate(tuned, base, 0.25)
    for name, weight in tuned.named_parameters():
        expected = 0.75 * kept.get_parameter(name) + 0.25 * base.get_parameter(name)
        torch.testing.assert_close(weight, expected, msg=name)


def test_encoders_of_two_architectures_are_not_mixed():
    with pytest.raises(MatcherError, match=r"two architectures: image_out\."):
        interpolate(tiny_encoder(dim=16), tiny_encoder(dim=8), 0.5)


def test_new_heads_are_no_base_to_go_back_to():
    with pytest.raises(MatcherError, match=r"base_share=0\.5: the heads of 'offline' are new"):
        check_interpolation(tiny_encoder(), 0.5)
    check_interpolation(tiny_encoder(), 0.0)
