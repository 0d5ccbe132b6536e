"""Adversarial pictures: the least visible change that pushes a picture away from its query.

Shapes: B pictures, C H W image, D embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xmodal.evaluation.perturbed import DEPTH, Searched, Shown
from xmodal.matcher.encoder import Encoder
from xmodal.retrieval.embed import embed_texts

_REACH = 2.5  # times eps: how far all steps together could go


@dataclass(frozen=True)
class Attacked:
    """Relevant pictures after a change of at most `eps` levels, against their queries."""

    system: str
    eps: int
    recall: float  # share whose product is among the query's first ten
    cosine: float  # mean
    noise_recall: float  # the same, after a random change of that size
    noise_cosine: float


def attack_curve(
    searched: Searched, shown: Shown, epsilons: Sequence[int], *, most: int, steps: int, seed: int
) -> list[Attacked]:
    """How well the first `most` queries still find a picture of theirs that is attacked.

    One row for each of `epsilons`, ascending, and one of the pictures as they are (0).
    """
    names = list(shown.first_of)[:most]
    places = [shown.first_of[name] for name in names]
    encoder, gallery = searched.forward.encoder, searched.gallery
    clean = encoder.inputs.decoded(shown.pictures[place] for place in places)
    query_BD = torch.from_numpy(embed_texts(searched.encoder, [shown.texts[n] for n in names]))
    row_B = gallery.product_row_N[shown.rows_B[places]]
    own = {name: gallery.product_ids[row] for name, row in zip(names, row_B, strict=True)}
    others = gallery.search(names, query_BD.numpy(), DEPTH, own=own)
    tenth_B = torch.tensor([sorted(run.values())[0] for run in others.values()])

    def found(pixels_BCHW: Tensor) -> tuple[float, float]:
        with torch.no_grad():
            cosine_B = _cosine(encoder, pixels_BCHW, query_BD)
        return float((cosine_B > tenth_B).float().mean()), float(cosine_B.mean())

    as_it_is = found(clean)
    rows, attacked = [Attacked(searched.name, 0, *as_it_is, *as_it_is)], clean
    sign = np.random.default_rng(seed).choice(np.array([-1, 1], np.int16), size=clean.shape)
    for eps in epsilons:
        attacked = attack(encoder, attacked, clean, query_BD, eps=eps, steps=steps)
        noisy = (clean.to(torch.int16) + eps * torch.from_numpy(sign)).clamp(0, 255)
        rows.append(Attacked(searched.name, eps, *found(attacked), *found(noisy.to(torch.uint8))))
    return rows


def attack(
    encoder: Encoder,
    start_BCHW: Tensor,
    clean_BCHW: Tensor,
    query_BD: Tensor,
    *,
    eps: int,
    steps: int,
) -> Tensor:
    """Pictures within `eps` levels (of 255) of the clean ones, each channel of each pixel, whose
    cosine with their query is as low as `steps` steps of projected gradient descent make it.

    Args:
        encoder: in inference mode; the gradient goes through its own float path.
        start_BCHW: where to begin, uint8, such as what a smaller `eps` gave.
        clean_BCHW: uint8, at the encoder's size.
        query_BD: unit norm, float32.

    Returns:
        uint8 (B, C, H, W): true pictures, the lowest of all that were tried.

    Source: Madry et al., arXiv 1706.06083, section 2.1 (L-infinity, steps by the gradient's sign).
    """
    low_BCHW = (clean_BCHW.float() - eps).clamp(0, 255)
    high_BCHW = (clean_BCHW.float() + eps).clamp(0, 255)
    pixels = start_BCHW.float().clamp(low_BCHW, high_BCHW)
    best, least_B = pixels, torch.full((len(pixels),), torch.inf)
    for step in range(steps + 1):
        pixels.requires_grad_(step < steps)  # the last is only looked at
        cosine_B = _cosine(encoder, pixels, query_BD)
        is_lower_B = cosine_B.detach() < least_B
        least_B = torch.where(is_lower_B, cosine_B.detach(), least_B)
        best = torch.where(is_lower_B[:, None, None, None], pixels.detach(), best)
        if step < steps:
            (slope,) = torch.autograd.grad(cosine_B.sum(), pixels)
            moved = pixels.detach() - _REACH * eps / steps * slope.sign()
            pixels = moved.clamp(low_BCHW, high_BCHW)
    return best.round().to(torch.uint8)


def _cosine(encoder: Encoder, pixels_BCHW: Tensor, query_BD: Tensor) -> Tensor:
    return (encoder.encode_image(pixels_BCHW) * query_BD).sum(dim=1)
