"""Losses of the bi-encoder. Plain torch: no Ray, no settings, no logging.

Shapes: B pairs on this worker, N = B x workers, D embedding size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from xmodal.training.gather import gather_rows


@dataclass(frozen=True)
class Fits:
    """Pairs that are right though not given: a caption, "red shoe", that fits another red shoe.

    to_image_BN[i, j]: text i fits image j's product; to_text_BN[i, j]: text j fits image i's.
    """

    to_image_BN: Tensor
    to_text_BN: Tensor


def info_nce(
    text_BD: Tensor,
    image_BD: Tensor,
    product_B: Tensor,
    log_scale: Tensor,
    *,
    caption_B: Tensor | None = None,
    fits: Fits | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Symmetric contrastive loss; the negatives are all other products on all workers.

    Rows of one product, and rows of one caption, are positives of each other: two captions of a
    shoe never repel, nor do two shoes that one caption names.

    Args:
        text_BD, image_BD: unit norm, float32; row i of both is one pair; B alike on all workers.
        product_B: product number of each pair, int64.
        log_scale: natural log of the inverse temperature, scalar.
        caption_B: caption number of each pair, int64 (equal numbers = identical text).
        fits: more positives, bool; not symmetric, as a title fits fewer products than "red shoe".
        smoothing: share of the target spread evenly over all columns.

    Returns:
        Mean over this worker's rows, in nats, scalar. DDP's mean over workers is then the
        loss of the whole batch: no factor of the world size belongs anywhere.

    Source: CLIP, arXiv 2103.00020, fig. 3; several positives as in SupCon, arXiv 2004.11362, eq. 2.
    """
    same_BN = _positives(product_B, caption_B)
    # One collective for both modalities: on gloo a call costs more than its bytes.
    both_N = gather_rows(torch.cat([text_BD, image_BD], dim=1))
    text_ND, image_ND = both_N.split(text_BD.shape[1], dim=1)
    to_image_BN = log_scale.exp() * text_BD @ image_ND.T
    to_text_BN = log_scale.exp() * image_BD @ text_ND.T
    image_fits_BN = same_BN if fits is None else same_BN | fits.to_image_BN
    text_fits_BN = same_BN if fits is None else same_BN | fits.to_text_BN
    loss = _nll(to_image_BN, image_fits_BN, smoothing) + _nll(to_text_BN, text_fits_BN, smoothing)
    return loss / 2


def _positives(product_B: Tensor, caption_B: Tensor | None) -> Tensor:
    """(B, N) bool: column j is of my product, or bears my very caption."""
    caption_B = product_B if caption_B is None else caption_B
    product_N, caption_N = gather_rows(torch.stack([product_B, caption_B], dim=1)).unbind(dim=1)
    return (product_B[:, None] == product_N) | (caption_B[:, None] == caption_N)


def _nll(logits_BN: Tensor, positive_BN: Tensor, smoothing: float) -> Tensor:
    """Mean over rows of the cross entropy to the row's positives, smoothed."""
    log_prob_BN = logits_BN.log_softmax(dim=1)
    positive_B = (log_prob_BN * positive_BN).sum(dim=1) / positive_BN.sum(dim=1)
    return -((1 - smoothing) * positive_B + smoothing * log_prob_BN.mean(dim=1)).mean()
