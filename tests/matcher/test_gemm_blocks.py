"""xmodal/matcher/gemm_blocks.py: the convolutions' outputs and gradients, as matrix products."""

import pytest
import timm
import torch

from xmodal.matcher.gemm_blocks import GemmUpper, can_be_gemm
from xmodal.matcher.image_tower import Upper, split


@pytest.fixture(scope="module")
def upper():
    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 2)
    return split(model, 5)[1]


def test_products_give_what_the_convolutions_give(upper):
    lower = torch.randn(3, 112, 8, 6)
    for ours, theirs in zip(upper.for_training((8, 6))(lower), upper(lower), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_products_give_the_convolutions_gradient(upper):
    lower, again = (torch.ones(2, 112, 4, 4).requires_grad_() for _ in range(2))
    upper.for_training((4, 4))(lower)[0].square().sum().backward()
    upper(again)[0].square().sum().backward()
    torch.testing.assert_close(lower.grad, again.grad, rtol=1e-3, atol=1e-5)


def test_every_weight_of_the_products_learns(upper):
    tuned = upper.for_training((4, 4)).requires_grad_(True)
    tuned(torch.randn(2, 112, 4, 4))[0].sum().backward()
    assert all(weight.grad is not None for weight in tuned.parameters())


def test_large_maps_stay_convolutions(upper):
    assert isinstance(upper.for_training((14, 14)), Upper)
    assert isinstance(upper.for_training((8, 8)), GemmUpper)


def test_squeeze_and_excite_is_not_taken_for_a_plain_block():
    blocks = [timm.create_model("efficientnet_b0").blocks[5][0]]
    assert not can_be_gemm(blocks, [torch.nn.Identity()] * 2, (4, 4))
