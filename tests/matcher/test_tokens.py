"""xmodal/matcher/tokens.py: fitted by PCA, stored as int8."""

import pytest
import torch

from xmodal.matcher.tokens import (
    VECTOR_TOKENS,
    ImageViews,
    PatchTokens,
    dequantise,
    fit_patch_tokens,
    quantise,
)


def _views(rows: int = 300, channels: int = 6, features: int = 8) -> ImageViews:
    draw = torch.Generator().manual_seed(0)
    spread = torch.linspace(1, 3, features)
    return ImageViews(
        vector_BD=torch.zeros(rows, 4),
        tuned_BF=torch.randn(rows, features, generator=draw) * spread + 5,
        base_BF=torch.randn(rows, features, generator=draw) * spread,
        map_BCHW=torch.randn(rows, channels, 4, 2, generator=draw) + 1,
    )


def test_fitted_tokens_are_centred_white_and_uncorrelated() -> None:
    views, patch = _views(), PatchTokens(map_channels=6, dim=4, tuned=8, base=8)
    fit_patch_tokens(patch, [views])
    tuned = patch(views)[:, 8, :8]  # the first token of the tuned pooled features
    torch.testing.assert_close(tuned.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(tuned.T @ tuned / len(tuned), torch.eye(8), atol=1e-3, rtol=0)


def test_batches_count_as_one() -> None:
    views, whole, parts = _views(), PatchTokens(6, 4, 8, 8), PatchTokens(6, 4, 8, 8)
    fit_patch_tokens(whole, [views])
    cut = [
        ImageViews(*(value[rows] for value in vars(views).values()))
        for rows in (slice(0, 100), slice(100, 300))
    ]
    fit_patch_tokens(parts, cut)
    torch.testing.assert_close(parts(views), whole(views), atol=1e-4, rtol=1e-4)


def test_inner_products_of_vectors_survive() -> None:
    views, patch = _views(), PatchTokens(6, 4, 8, 8)
    fit_patch_tokens(patch, [views])
    views.vector_BD.copy_(torch.nn.functional.normalize(views.tuned_BF[:, :4], dim=1))
    kept = patch(views)[:, VECTOR_TOKENS].flatten(1)
    torch.testing.assert_close(kept @ kept.T / 4, views.vector_BD @ views.vector_BD.T)


def test_no_pictures_are_no_fit() -> None:
    with pytest.raises(ValueError, match="no pictures"):
        fit_patch_tokens(PatchTokens(6, 4, 8, 8), [])


def test_int8_is_off_by_half_a_step_at_most() -> None:
    tokens = torch.randn(3, 16, 128, generator=torch.Generator().manual_seed(1)) * 4
    small, step = quantise(tokens)
    assert small.dtype == torch.int8
    assert small.nelement() // 3 == 2048
    error = (dequantise(small, step) - tokens).abs().amax(dim=(1, 2))
    assert (error <= step / 2 + 1e-6).all()


def test_blank_tokens_stay_blank() -> None:
    small, step = quantise(torch.zeros(1, 16, 128))
    assert torch.equal(dequantise(small, step), torch.zeros(1, 16, 128))
