"""xmodal/evaluation/pgd.py: the attack lowers the score, and never leaves its ball."""

import pytest
import torch

from tests.factories import make_picture, tiny_encoder
from xmodal.evaluation.pgd import attack
from xmodal.matcher.fast import fast_forward


@pytest.fixture(scope="module")
def parts():
    encoder = tiny_encoder()
    with torch.no_grad():
        query_BD = encoder.encode_text(encoder.inputs.texts(["red shoe", "blue bag", "green bag"]))
    clean = encoder.inputs.images([make_picture(seed) for seed in range(3)])
    return fast_forward(encoder).encoder, clean, query_BD


def cosines(parts, pixels_BCHW):
    encoder, _, query_BD = parts
    with torch.no_grad():
        return (encoder.encode_image(pixels_BCHW) * query_BD).sum(dim=1)


@pytest.mark.parametrize("eps", [1, 4, 16])
def test_an_attacked_picture_is_a_picture_within_the_ball(parts, eps):
    encoder, clean, query_BD = parts
    moved = attack(encoder, clean, clean, query_BD, eps=eps, steps=4)
    assert moved.dtype == torch.uint8
    assert 0 < (moved.int() - clean.int()).abs().max() <= eps


def test_the_attack_lowers_the_score_by_more_than_noise_does(parts):
    encoder, clean, query_BD = parts
    moved = attack(encoder, clean, clean, query_BD, eps=4, steps=4)
    sign = torch.randint(0, 2, clean.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noisy = (clean.int() + 4 * sign).clamp(0, 255).to(torch.uint8)
    fell = cosines(parts, clean) - cosines(parts, moved)
    assert (fell > 0).all()
    assert (fell > (cosines(parts, clean) - cosines(parts, noisy)).abs()).all()


def test_more_room_lowers_it_further(parts):
    encoder, clean, query_BD = parts
    near = attack(encoder, clean, clean, query_BD, eps=1, steps=4)
    far = attack(encoder, near, clean, query_BD, eps=8, steps=4)
    assert (cosines(parts, far) < cosines(parts, near)).all()


def test_the_encoder_is_left_as_it_was(parts):
    encoder, clean, query_BD = parts
    attack(encoder, clean, clean, query_BD, eps=2, steps=2)
    assert all(weight.grad is None for weight in encoder.parameters())
