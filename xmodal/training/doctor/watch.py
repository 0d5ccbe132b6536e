"""Figures gathered inside the loop, cheaply: gradients of each step, vectors of each validation.

Shapes: N vectors, D embedding.
"""

import torch
from torch import Tensor

DEPTH = 100  # of the answers that a validation judges
CHANCE_DEPTH = 10  # of R@10
Metrics = dict[str, float]
# Vectors of a side: fewer may be alike by chance, more cost time; 512 fill 256 directions.
FEWEST, SAMPLE = 16, 512


class GradientWatch:
    """Norms of the steps' gradients before they were clipped; on the device, read once an epoch."""

    def __init__(self, clip_norm: float, device: torch.device) -> None:
        self.clip_norm = clip_norm
        self._total = torch.zeros((), device=device)
        self._largest = torch.zeros((), device=device)
        self._clipped = torch.zeros((), device=device)
        self._steps = 0

    def note(self, norm: Tensor) -> None:
        """Count a step in; no value is read, so nothing waits for the device."""
        norm = norm.detach()
        self._total += norm
        self._largest = torch.maximum(self._largest, norm)
        self._clipped += norm > self.clip_norm
        self._steps += 1

    def figures(self) -> Metrics:
        """Mean and largest norm, and the share of steps that were clipped."""
        steps = max(1, self._steps)
        return {
            "grad_norm": float(self._total) / steps,
            "grad_norm_max": float(self._largest),
            "clipped_share": float(self._clipped) / steps,
        }


def spread_figures(text_ND: Tensor, image_ND: Tensor) -> Metrics:
    """Mean pairwise cosine and effective rank of a sample of each side's unit vectors.

    A side of fewer than 16 is left out.
    """
    found: Metrics = {}
    for side, vectors_ND in (("text", text_ND), ("image", image_ND)):
        if len(vectors_ND) < FEWEST:
            continue
        sample_ND = vectors_ND[:: max(1, len(vectors_ND) // SAMPLE)][:SAMPLE].float()
        found[f"{side}_cosine"] = mean_cosine(sample_ND)
        found[f"{side}_rank"] = effective_rank(sample_ND)
    return found


def mean_cosine(vectors_ND: Tensor) -> float:
    """Mean cosine of two different vectors; 1 where all are alike.

    Source: collapse as anisotropy, Wang and Isola, arXiv 2005.10242, section 4 (uniformity).
    """
    n = len(vectors_ND)
    if n < 2:
        return 0.0
    return float((vectors_ND.sum(0).square().sum() - n) / (n * (n - 1)))


def effective_rank(vectors_ND: Tensor) -> float:
    """Exponential of the entropy of the singular values' shares: directions that are in use.

    Source: Roy and Vetterli, The effective rank, EUSIPCO 2007, definition 1.
    """
    value_D = torch.linalg.svdvals(vectors_ND)
    share_D = value_D / value_D.sum().clamp(min=1e-12)
    return float(torch.exp(-(share_D * share_D.clamp(min=1e-12).log()).sum()))
