"""Batches for the step: which pairs, in which order, on which worker; all from (seed, epoch).

Every worker draws the whole epoch alike and takes its slice of each batch, so the batches do
not depend on the number of workers, and a resumed epoch is the undisturbed one.

Shapes: P train products, N pairs of the whole batch, B = N / workers, W words, C columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xmodal.errors import SettingsError
from xmodal.training.captions import Ints, PairTable
from xmodal.training.clues import ClueTable
from xmodal.training.losses.contract import Clues, Fits, Labels, Teacher
from xmodal.training.teacher import TeacherRows

Features = dict[str, Tensor]
# A tiny shop passes its products several times an epoch, so that an epoch is worth a validation.
MIN_STEPS = 16


class Rows(Protocol):
    """A store of features by row number: image features, text features."""

    def take(self, rows: Ints) -> dict[str, NDArray[np.generic]]:
        """Return the features of `rows`, in their order, as fresh arrays."""
        ...


@dataclass(frozen=True)
class Batch:
    """B pairs of this worker. Features may have more rows: those of a second pass, below."""

    text: Features
    image: Features
    product_B: Tensor
    caption_B: Tensor
    fits: Fits
    weight_B: Tensor | None = None
    teacher: Teacher | None = None
    clues: Clues | None = None

    @property
    def labels(self) -> Labels:
        """What a loss is told of the pairs."""
        return Labels(
            product_B=self.product_B,
            caption_B=self.caption_B,
            fits=self.fits,
            weight_B=self.weight_B,
            teacher=self.teacher,
            clues=self.clues,
            trunk={name: x[: len(self.product_B)] for name, x in self.image.items()},
        )

    def repeated(self, passes: int) -> "Batch":
        """The batch with each pair's features `passes` times, one pass below the other."""
        if passes == 1:
            return self
        text = {name: torch.cat([x] * passes) for name, x in self.text.items()}
        image = {name: torch.cat([x] * passes) for name, x in self.image.items()}
        return replace(self, text=text, image=image)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        if device.type == "cpu":
            return self
        masks = (self.fits.to_image_BN, self.fits.to_text_BN)
        return Batch(
            {name: x.to(device, non_blocking=True) for name, x in self.text.items()},
            {name: x.to(device, non_blocking=True) for name, x in self.image.items()},
            self.product_B.to(device, non_blocking=True),
            self.caption_B.to(device, non_blocking=True),
            Fits(*(mask.to(device, non_blocking=True) for mask in masks)),
            None if self.weight_B is None else self.weight_B.to(device, non_blocking=True),
            None if self.teacher is None else self.teacher.to(device),
            None if self.clues is None else self.clues.to(device),
        )


@dataclass(frozen=True)
class Sampler:
    """Draws the batches of an epoch for one of `workers` workers."""

    table: PairTable
    images: Rows
    texts: Rows
    batch: int
    word_dropout: float
    seed: int
    rank: int = 0
    workers: int = 1
    teacher: TeacherRows | None = None
    clues: ClueTable | None = None

    def __post_init__(self) -> None:
        if self.batch % self.workers:
            raise SettingsError(
                f"training.batch {self.batch} cannot be shared by training.workers "
                f"{self.workers}: make the batch a multiple of the workers"
            )

    @property
    def steps(self) -> int:
        """Batches an epoch. What is left over is not batched: the next shuffle takes it in."""
        return steps_of(len(self.table), self.batch)

    def epoch(self, epoch: int, mined_PM: Ints | None = None) -> Iterator[Batch]:
        """Yield this worker's slice of each batch of `epoch`; pure in (seed, epoch, mined_PM).

        `mined_PM`: hard negatives of each row of the table, that stand beside it (`mining.py`).
        """
        order, caption, image = self._draw(epoch, mined_PM)
        share = self.batch // self.workers
        for step in range(self.steps):
            rows_N = slice(step * self.batch, (step + 1) * self.batch)
            mine = slice(self.rank * share, (self.rank + 1) * share)
            yield self._collate(
                (order[rows_N], caption[rows_N], image[rows_N]),
                mine,
                np.random.default_rng((self.seed, epoch, step + 1)),
            )

    def _draw(self, epoch: int, mined_PM: Ints | None) -> tuple[Ints, Ints, Ints]:
        """Product, caption and image of every row of the epoch."""
        rng = np.random.default_rng((self.seed, epoch))
        order, caption, image = [], [], []
        for _ in range(passes_of(len(self.table), self.batch)):
            shuffled = rng.permutation(len(self.table))
            if mined_PM is not None:
                shuffled = beside(shuffled, mined_PM)
            order.append(shuffled)
            caption.append(self.table.draw_captions(rng.random(len(self.table)))[shuffled])
            image.append(self.table.draw_images(rng.random(len(self.table)))[shuffled])
        return np.concatenate(order), np.concatenate(caption), np.concatenate(image)

    def _collate(
        self, drawn: tuple[Ints, Ints, Ints], mine: slice, rng: np.random.Generator
    ) -> Batch:
        product_N, caption_N, image_N = drawn
        text_N = self.table.caption_text[caption_N]
        text = self.texts.take(text_N[mine])
        _drop_words(text, self.word_dropout, mine, self.batch, rng)
        fits_NN = captions_that_fit(
            self.table.codes_PC[product_N], self.table.caption_uses[caption_N]
        ) | self.table.bearers(text_N, product_N)
        return Batch(
            text={name: torch.from_numpy(x) for name, x in text.items()},
            image={
                name: torch.from_numpy(x) for name, x in self.images.take(image_N[mine]).items()
            },
            product_B=torch.from_numpy(self.table.product_P[product_N[mine]]),
            caption_B=torch.from_numpy(text_N[mine]),
            fits=Fits(
                torch.from_numpy(fits_NN[mine]),
                torch.from_numpy(np.ascontiguousarray(fits_NN.T[mine])),
            ),
            weight_B=torch.from_numpy(self.table.caption_weight[caption_N[mine]]),
            teacher=self.teacher.take(text_N[mine], image_N[mine]) if self.teacher else None,
            clues=self.clues.take(product_N[mine], text_N[mine]) if self.clues else None,
        )


def passes_of(products: int, batch: int) -> int:
    """How often an epoch passes each product: once, or more where `MIN_STEPS` ask for it."""
    return max(1, -(-MIN_STEPS * batch // products))


def steps_of(products: int, batch: int) -> int:
    """Steps of an epoch."""
    return passes_of(products, batch) * products // batch


def beside(order_P: Ints, mined_PM: Ints) -> Ints:
    """`order_P` with each product's negatives drawn up behind it; every product still once.

    `mined_PM`: rows of the table, -1 for none.
    """
    is_placed = np.zeros(len(mined_PM), dtype=bool)
    out: list[int] = []
    for product in order_P:
        if not is_placed[product]:
            near = [other for other in mined_PM[product] if other >= 0 and not is_placed[other]]
            group = [product, *near]
            is_placed[group] = True
            out += group
    return np.array(out, dtype=np.int64)


def captions_that_fit(codes_NC: NDArray[np.int32], uses_N: Ints) -> NDArray[np.bool_]:
    """(N, N) bool: [i, j] where caption i states attributes, and product j has the same values.

    `uses_N`: bit c set where caption i states column c of its own product's `codes_NC`.
    """
    return captions_hold(codes_NC, uses_N, codes_NC[None])


def captions_hold(
    codes_BC: NDArray[np.int32], uses_B: Ints, others_BKC: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """As `captions_that_fit`, (B, K) bool, of other products: K of each caption, or K of all."""
    holds_BK = np.repeat((uses_B != 0)[:, None], others_BKC.shape[1], axis=1)
    for column, code_B in enumerate(codes_BC.T):
        states = ((uses_B >> column) & 1).astype(bool)
        if states.any():
            code_BK = np.broadcast_to(others_BKC[:, :, column], holds_BK.shape)
            holds_BK[states] &= code_B[states, None] == code_BK[states]
    return holds_BK


def _drop_words(
    text: dict[str, NDArray[np.generic]],
    share: float,
    mine: slice,
    batch: int,
    rng: np.random.Generator,
) -> None:
    """Zero (= no word) a `share` of the word ids, in place; drawn for the whole batch alike."""
    if share and "words_BW" in text:
        words_BW = text["words_BW"]
        drawn_NW = rng.random((batch, words_BW.shape[1]), dtype=np.float32)
        words_BW[drawn_NW[mine] < share] = 0
