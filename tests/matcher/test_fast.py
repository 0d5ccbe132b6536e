"""xmodal/matcher/fast.py: the fast path equals the plain path."""

import pytest
import torch
from torch import nn

from tests.factories import make_picture, tiny_encoder
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fast import fast_forward, fold


def _stirred(trained_blocks: int = 2) -> Encoder:
    """An encoder whose batch norms have statistics worth folding."""
    encoder = tiny_encoder(trained_blocks=trained_blocks)
    for part in encoder.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.1, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.uniform_(part.bias, -0.1, 0.1)
    return encoder


@pytest.mark.parametrize("trained_blocks", [0, 2])
@pytest.mark.parametrize("threads", [1, 2])
def test_fast_vectors_and_tokens_are_the_plain_ones(trained_blocks: int, threads: int) -> None:
    encoder = _stirred(trained_blocks)
    pixels = encoder.inputs.images([make_picture(seed) for seed in range(5)])
    fast = fast_forward(encoder, threads)
    with torch.inference_mode():
        trunk = encoder.image_trunk(pixels)
        vectors, tokens = encoder.image_head_and_tokens(trunk)
    torch.testing.assert_close(fast.vectors(pixels), vectors, atol=1e-4, rtol=0)
    torch.testing.assert_close(fast.vectors_and_tokens(pixels)[1], tokens, atol=1e-3, rtol=0)
    for name, value in fast.trunk(pixels).items():
        torch.testing.assert_close(value, trunk[name], atol=1e-3, rtol=1e-3)


def test_folding_leaves_no_batch_norm_and_the_encoder_as_it_was() -> None:
    encoder = _stirred()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    folded = fold(encoder)
    assert not [part for part in folded.modules() if isinstance(part, nn.BatchNorm2d)]
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
