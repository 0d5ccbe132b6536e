"""What a loss of the bi-encoder gets, and what it gives. Plain torch: no Ray, no settings.

    this worker's pairs -> meet(...) -> LossBatch, all workers' pairs among it -> Loss -> scalar

`meet` is the one place where workers exchange pairs; its gather carries gradients back, so a
loss is written as if there were one worker: a mean over its B rows against N columns.

Shapes: B pairs on this worker, N = B x workers, D embedding size, E the teacher's, A attributes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor, nn

from xmodal.training.gather import gather_rows, world_rank


@dataclass(frozen=True)
class Fits:
    """Pairs that are right though not given: a caption, "red shoe", that fits another red shoe.

    to_image_BN[i, j]: text i fits image j's product; to_text_BN[i, j]: text j fits image i's.
    """

    to_image_BN: Tensor
    to_text_BN: Tensor


@dataclass(frozen=True)
class Teacher:
    """Another matcher's view of the same B pairs. Its size E need not be the student's D."""

    text_BE: Tensor
    image_BE: Tensor
    log_scale: float

    def to(self, device: torch.device) -> "Teacher":
        """The same on `device`."""
        text_BE = self.text_BE.to(device, non_blocking=True)
        return Teacher(text_BE, self.image_BE.to(device, non_blocking=True), self.log_scale)


@dataclass(frozen=True)
class Clues:
    """What the catalogue knows of the same B pairs, for tasks beside retrieval."""

    value_BA: Tensor
    """Number of the product's value of each attribute, from 1, int64; 0: it has none."""
    group_B: Tensor
    """Number of the product's group, from 1, int64; 0: it is of none."""
    is_neutral_B: Tensor
    """Bool: the caption names no group."""

    def to(self, device: torch.device) -> "Clues":
        """The same on `device`."""
        group_B = self.group_B.to(device, non_blocking=True)
        is_neutral_B = self.is_neutral_B.to(device, non_blocking=True)
        return Clues(self.value_BA.to(device, non_blocking=True), group_B, is_neutral_B)


@dataclass(frozen=True)
class Labels:
    """What is known of B pairs beside their vectors."""

    product_B: Tensor
    """Product number, int64."""
    caption_B: Tensor | None = None
    """Caption number, int64; equal numbers are identical texts."""
    fits: Fits | None = None
    weight_B: Tensor | None = None
    """How much a pair counts, float32 > 0; None: all alike."""
    teacher: Teacher | None = None
    clues: Clues | None = None
    trunk: Mapping[str, Tensor] | None = None
    """The pictures' cached features, B rows each."""


@dataclass(frozen=True)
class LossBatch:
    """B pairs of this worker against the N of all: what every loss is made of."""

    text_BD: Tensor
    image_BD: Tensor
    """Unit norm, float32; row i of both is one pair."""
    text_ND: Tensor
    image_ND: Tensor
    """Of all workers, in rank order; gradients flow back to whose rows they are."""
    own_B: Tensor
    """The column of each row's own pair, int64."""
    to_image_BN: Tensor
    """Positives, bool: text i fits image j (its own, same product, same caption, or `fits`)."""
    to_text_BN: Tensor
    """Positives, bool: image i is fitted by text j."""
    log_scale: Tensor
    """Natural log of the inverse temperature, scalar."""
    weight_B: Tensor
    """Weights of the pairs; their mean over the N of all workers is 1."""
    teacher_to_image_BN: Tensor | None = None
    teacher_to_text_BN: Tensor | None = None
    """The teacher's logits, without gradient."""
    clues: Clues | None = None
    trunk: Mapping[str, Tensor] | None = None
    again: "LossBatch | None" = None
    """The same pairs in a second pass, with other dropout."""

    @property
    def scores_to_image_BN(self) -> Tensor:
        """Cosines of this worker's texts with all images."""
        return self.text_BD @ self.image_ND.T

    @property
    def scores_to_text_BN(self) -> Tensor:
        """Cosines of this worker's images with all texts."""
        return self.image_BD @ self.text_ND.T


class Loss(nn.Module, ABC):
    """A loss. What it learns itself (SigLIP's bias) is a parameter of it, never of the encoder."""

    @abstractmethod
    def forward(self, batch: LossBatch) -> Tensor:
        """Mean over this worker's rows, in nats, scalar.

        DDP's mean over workers is then the loss of the whole batch: no factor of the world size
        belongs anywhere.
        """


def meet(text_BD: Tensor, image_BD: Tensor, log_scale: Tensor, labels: Labels) -> LossBatch:
    """Exchange pairs with all workers. B must be alike on all of them.

    Rows of one product, and rows of one caption, are positives of each other: two captions of a
    shoe never repel, nor do two shoes that one caption names.
    """
    # One collective for both modalities: on gloo a call costs more than its bytes.
    both_N = gather_rows(torch.cat([text_BD, image_BD], dim=1))
    text_ND, image_ND = both_N.split(text_BD.shape[1], dim=1)
    same_BN = _same(labels)
    fits = labels.fits
    to_image_BN, to_text_BN = _teacher_logits(labels.teacher)
    return LossBatch(
        text_BD=text_BD,
        image_BD=image_BD,
        text_ND=text_ND,
        image_ND=image_ND,
        own_B=torch.arange(len(text_BD), device=text_BD.device) + world_rank() * len(text_BD),
        to_image_BN=same_BN if fits is None else same_BN | fits.to_image_BN,
        to_text_BN=same_BN if fits is None else same_BN | fits.to_text_BN,
        log_scale=log_scale,
        weight_B=_even(labels.weight_B, text_BD),
        teacher_to_image_BN=to_image_BN,
        teacher_to_text_BN=to_text_BN,
        clues=labels.clues,
        trunk=labels.trunk,
    )


def _same(labels: Labels) -> Tensor:
    """(B, N) bool: column j is of my product, or bears my very caption."""
    product_B = labels.product_B
    caption_B = product_B if labels.caption_B is None else labels.caption_B
    product_N, caption_N = gather_rows(torch.stack([product_B, caption_B], dim=1)).unbind(dim=1)
    return (product_B[:, None] == product_N) | (caption_B[:, None] == caption_N)


def _even(weight_B: Tensor | None, like: Tensor) -> Tensor:
    """The weights, scaled so that their mean over all workers is 1."""
    if weight_B is None:
        return torch.ones(len(like), dtype=like.dtype, device=like.device)
    return weight_B / gather_rows(weight_B).mean()


def _teacher_logits(teacher: Teacher | None) -> tuple[Tensor | None, Tensor | None]:
    if teacher is None:
        return None, None
    both_N = gather_rows(torch.cat([teacher.text_BE, teacher.image_BE], dim=1).detach())
    text_NE, image_NE = both_N.split(teacher.text_BE.shape[1], dim=1)
    scale = exp(teacher.log_scale)
    return scale * teacher.text_BE @ image_NE.T, scale * teacher.image_BE @ text_NE.T
