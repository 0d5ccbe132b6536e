"""xmodal/matcher/towers.py: the trunk is cached, the heads are trained."""

from dataclasses import replace

import pytest
import torch

from tests.factories import make_picture, tiny_encoder
from xmodal.matcher.towers import Towers


def _pixels(encoder: Towers) -> torch.Tensor:
    return encoder.inputs.images([make_picture(seed) for seed in range(3)])


@pytest.mark.parametrize("trained_blocks", [0, 1, 2])
def test_vectors_are_unit_and_tokens_of_the_stores_shape(trained_blocks: int) -> None:
    encoder = tiny_encoder(trained_blocks=trained_blocks)
    with torch.inference_mode():
        vectors, tokens = encoder.image_head_and_tokens(encoder.image_trunk(_pixels(encoder)))
        text = encoder.encode_text(encoder.inputs.texts(["red shoe", "红色鞋子"]))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(text.norm(dim=1), torch.ones(2))
    assert tokens.shape == (3, 16, 128)


def test_before_training_the_tuned_blocks_are_the_bases() -> None:
    encoder = tiny_encoder()
    with torch.inference_mode():
        views = encoder.image_views(encoder.image_trunk(_pixels(encoder)))
    torch.testing.assert_close(views.tuned_BF, views.base_BF[:, :256], atol=1e-4, rtol=1e-4)


def test_a_cache_of_half_precision_moves_no_vector_by_much() -> None:
    encoder = tiny_encoder()
    with torch.inference_mode():
        trunk = encoder.image_trunk(_pixels(encoder))
        cached = {name: value.half() for name, value in trunk.items()}
        near = (encoder.image_head(cached) - encoder.image_head(trunk)).abs().max()
    assert near < 5e-3


def test_two_chinese_queries_differ_though_the_sentence_model_knows_neither() -> None:
    encoder = tiny_encoder()
    with torch.inference_mode():
        text = encoder.text_trunk(encoder.inputs.texts(["绿帽", "黑裤"]))
        vectors = encoder.text_head(text)
    torch.testing.assert_close(text["sentence_BS"][0], text["sentence_BS"][1])
    assert (vectors[0] - vectors[1]).abs().max() > 1e-3


def test_settling_standardises_the_image_heads_input() -> None:
    encoder = tiny_encoder()
    with torch.inference_mode():
        encoder.settle(encoder.image_trunk(_pixels(encoder)))
    assert encoder.image_out.mean.abs().sum() > 0
    assert (encoder.image_out.spread > 0).all()


def test_linear_heads_keep_the_trunk_and_drop_the_rest() -> None:
    encoder = tiny_encoder()
    linear = encoder.with_linear_heads(8)
    pixels = _pixels(encoder)
    with torch.inference_mode():
        torch.testing.assert_close(
            linear.image_trunk(pixels)["lower"], encoder.image_trunk(pixels)["lower"]
        )
        assert linear.encode_image(pixels).shape == (3, 8)
    assert encoder.dim == 16


@pytest.mark.parametrize("trained_blocks", [0, 2])
def test_pixels_that_ask_for_a_gradient_get_one(trained_blocks: int) -> None:
    encoder = tiny_encoder(trained_blocks=trained_blocks)
    pixels = _pixels(encoder).float().requires_grad_(True)
    encoder.encode_image(pixels)[:, 0].sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().sum() > 0
    assert not encoder.image_trunk(_pixels(encoder))["lower"].requires_grad


def test_a_picture_and_its_mirror_image_have_one_vector() -> None:
    encoder = tiny_encoder()
    encoder.spec = replace(encoder.spec, mirrored=True)
    with torch.inference_mode():
        trunk = encoder.image_trunk(_pixels(encoder))
        vectors = encoder.image_head(trunk)
        mirrored = encoder.image_head(trunk | {"lower": trunk["lower"].flip(3)})
        encoder.spec = replace(encoder.spec, mirrored=False)
        plain = encoder.image_head(trunk)
    torch.testing.assert_close(vectors, mirrored)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert (vectors - plain).abs().max() > 1e-4
