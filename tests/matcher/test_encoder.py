"""xmodal/matcher/encoder.py: what is trained, what is frozen, and the borders."""

import pytest
import torch
from torch import nn

from tests.factories import make_picture, tiny_encoder
from xmodal.errors import MatcherError
from xmodal.matcher.encoder import check_shape, train_used


def test_training_leaves_norms_and_frozen_parts_in_inference_mode() -> None:
    encoder = tiny_encoder(dropout=0.3).train()
    assert encoder.training
    assert encoder.image_out.dropout.training
    assert not any(part.training for part in encoder.text.modules())
    norms = [part for part in encoder.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


def test_every_trained_weight_gets_a_gradient() -> None:
    encoder = tiny_encoder().train()
    image = encoder.image_trunk(encoder.inputs.images([make_picture(1), make_picture(2)]))
    text = encoder.text_trunk(encoder.inputs.texts(["red shoe", "蓝色衬衫"]))
    text_BD, image_BD, scale = encoder(text, image)
    (scale.exp() * text_BD @ image_BD.T)[0].log_softmax(0)[0].backward()
    weights = dict(encoder.named_parameters())
    assert all(weights[name].grad is not None for name in encoder.trained_state())


def test_trained_state_moves_from_one_encoder_to_another() -> None:
    first, second = tiny_encoder(), tiny_encoder()
    for weight in first.parameters():
        if weight.requires_grad:
            nn.init.normal_(weight, std=0.1)
    second.load_trained_state(first.trained_state())
    pixels = first.inputs.images([make_picture(1)])
    with torch.inference_mode():
        assert torch.equal(first.encode_image(pixels), second.encode_image(pixels))


def test_a_state_of_another_encoder_is_refused() -> None:
    with pytest.raises(MatcherError, match="another encoder"):
        tiny_encoder().load_trained_state(tiny_encoder(trained_blocks=0).trained_state())


def test_pixels_of_another_size_are_refused() -> None:
    with pytest.raises(MatcherError, match=r"pixels has shape \(1, 3, 64, 64\)"):
        tiny_encoder().encode_image(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


def test_minus_one_fits_any_size() -> None:
    check_shape(torch.zeros(5, 2), (-1, 2), "vectors")
    with pytest.raises(MatcherError, match="vectors"):
        check_shape(torch.zeros(5), (-1, 2), "vectors")


def test_only_weights_with_a_say_are_trained() -> None:
    both = nn.ModuleDict({"used": nn.Linear(2, 1), "idle": nn.Linear(2, 1)})
    train_used(both, lambda: both["used"](torch.ones(1, 2)))
    assert both["used"].weight.requires_grad
    assert not both["idle"].weight.requires_grad
    assert both["used"].weight.grad is None
