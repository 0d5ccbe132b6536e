"""Pairs that the tests of the losses share."""

import torch
from torch.nn.functional import normalize

from xmodal.training.losses.contract import Clues, Fits, Labels, LossBatch, Teacher, meet

# One product twice, one caption twice, and a caption that fits a third product.
PRODUCT = torch.tensor([0, 0, 1, 2, 3, 4])
CAPTION = torch.tensor([0, 1, 2, 2, 3, 4])
WEIGHT = torch.tensor([1.0, 2.0, 1.0, 4.0, 1.0, 3.0])
FITS = torch.zeros(6, 6, dtype=torch.bool)
FITS[4, 5] = True
VALUE = torch.tensor([[1, 2], [1, 2], [2, 0], [3, 1], [0, 1], [2, 2]])
GROUP = torch.tensor([1, 1, 2, 0, 2, 1])
IS_NEUTRAL = torch.tensor([True, False, True, True, False, True])
MAP = torch.linspace(0, 1, 6 * 3 * 4 * 3).sin().view(6, 3, 4, 3)


def make_rows(n: int = 6, dim: int = 8, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors of n texts and n images, that take gradients."""
    torch.manual_seed(seed)
    text, image = (normalize(torch.randn(n, dim), dim=1) for _ in range(2))
    return text.requires_grad_(), image.requires_grad_()


def make_labels(rows: slice = slice(None)) -> Labels:
    """What is known of rows of the six pairs; the teacher's vectors are of another size."""
    text, image = (x.detach()[rows] for x in make_rows(dim=5, seed=1))
    return Labels(
        product_B=PRODUCT[rows],
        caption_B=CAPTION[rows],
        fits=Fits(FITS[rows], FITS.T[rows]),
        weight_B=WEIGHT[rows],
        teacher=Teacher(text, image, log_scale=1.0),
        clues=Clues(VALUE[rows], GROUP[rows], IS_NEUTRAL[rows]),
        trunk={"lower": MAP[rows]},
    )


def make_batch(log_scale: float = 0.0, labels: Labels | None = None, n: int = 6) -> LossBatch:
    """n pairs, all different where no labels are given."""
    return meet(*make_rows(n), torch.tensor(log_scale), labels or Labels(torch.arange(n)))
