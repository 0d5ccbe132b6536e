"""The training step and the epochs around it. Plain torch: it runs under Ray Train or without.

    Sampler -> train_step -> (an epoch's end) validate -> report, which keeps the state

Exactness: the same state and the same epoch give the same result, on one worker or on many
(up to float rounding, with dropout 0), since every random number comes from (seed, epoch, rank).
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from xmodal.matcher.averaging import MovingAverage
from xmodal.matcher.encoder import Encoder
from xmodal.settings import TrainingSettings
from xmodal.training.accumulate import backward_in_parts
from xmodal.training.adversary import backward_with_adversary
from xmodal.training.batches import Batch, Sampler
from xmodal.training.captions import Ints
from xmodal.training.divergence import Diverged, Divergence
from xmodal.training.doctor.watch import GradientWatch
from xmodal.training.gather import world_rank, world_size
from xmodal.training.losses.contract import Loss, meet
from xmodal.training.optimise import clamp_temperature

Metrics = dict[str, float]
# What picks the checkpoint, of the first 100 answers: with one relevant product a query it is the
# reciprocal rank; with many it goes on moving when the first place is always right.
OBJECTIVE = "map"


@dataclass
class Progress:
    """How far a run is, and its best epoch; part of the checkpoint."""

    epoch: int = 0  # the next one to run
    best: float = float("-inf")
    best_epoch: int = -1
    history: list[Metrics] = field(default_factory=list)

    def note(self, metrics: Metrics) -> None:
        """Count an epoch in."""
        if metrics[OBJECTIVE] > self.best:
            self.best, self.best_epoch = metrics[OBJECTIVE], self.epoch
        self.history.append(metrics)
        self.epoch += 1

    def is_over(self, epochs: int, patience: int) -> bool:
        """True when all epochs are done, or `patience` of them brought nothing better."""
        return self.epoch >= epochs or self.epoch - self.best_epoch > patience


@dataclass
class Trainee:
    """What training changes: the parameters, the optimiser's state, the schedule, the progress."""

    encoder: Encoder
    model: nn.Module  # the encoder, or DDP around it
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    progress: Progress
    device: torch.device
    loss: Loss
    average: MovingAverage | None = None
    mined_PM: Ints | None = None  # hard negatives, as last mined

    def as_judged(self) -> AbstractContextManager[None]:
        """The encoder has the weights that are judged and saved, until the block ends."""
        return nullcontext() if self.average is None else self.average.shown(self.encoder)


def fit(
    trainee: Trainee,
    sampler: Sampler,
    recipe: TrainingSettings,
    validate: Callable[[], Metrics],
    report: Callable[[Metrics], None],
    *,
    mine: Callable[[int], Ints] | None = None,
) -> None:
    """Train until `recipe.epochs`, or until `recipe.patience` epochs brought nothing better.

    Args:
        validate: retrieval figures of the encoder as it stands, alike on all workers.
        report: called after each epoch on every worker; `trainee` is then ready to be kept.
        mine: hard negatives for an epoch by the encoder as it stands, alike on all workers.
    """
    while not trainee.progress.is_over(recipe.epochs, recipe.patience):
        epoch = trainee.progress.epoch
        # Not at first: what untrained heads hold for near is drawn as well at random.
        if mine is not None and epoch and epoch % recipe.mining == 0:
            trainee.mined_PM = mine(epoch)
        seed_epoch(sampler.seed, epoch)
        trainee.model.train()
        metrics = run_epoch(trainee, sampler.epoch(epoch, trainee.mined_PM), recipe, sampler.steps)
        started = time.perf_counter()
        trainee.model.eval()
        with trainee.as_judged():
            metrics |= validate()
        metrics["validate_s"] = time.perf_counter() - started
        metrics |= {"epoch": float(epoch), "epochs_done": float(epoch + 1)}
        trainee.progress.note(metrics)
        report(metrics)


def run_epoch(
    trainee: Trainee, batches: Iterator[Batch], recipe: TrainingSettings, steps: int
) -> Metrics:
    """One pass over `batches`. Returns loss (nats), pairs/s, seconds, share of it spent waiting."""
    total = torch.zeros((), device=trainee.device)
    waited_s, started = 0.0, time.perf_counter()
    watch = GradientWatch(recipe.clip_norm, trainee.device)
    ahead = one_ahead(batches)
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(ahead)
        waited_s += time.perf_counter() - asked
        total += train_step(trainee, batch.to(trainee.device), recipe, watch)
    loss = float(_mean_over_workers(total / steps))
    elapsed_s = time.perf_counter() - started
    return {
        "loss": loss,
        "train_s": elapsed_s,
        "pairs_per_s": steps * recipe.batch / elapsed_s,
        "data_wait_share": waited_s / elapsed_s,
        "learning_rate": float(trainee.schedule.get_last_lr()[0]),
        "log_scale": float(trainee.encoder.log_scale.detach()),
        **watch.figures(),
    }


def train_step(
    trainee: Trainee, batch: Batch, recipe: TrainingSettings, watch: GradientWatch | None = None
) -> Tensor:
    """One optimiser step. Returns the loss before it, in nats, detached, still on the device.

    Raises:
        Diverged: loss or gradient is no finite number; the weights are then as before the step.
    """
    trainee.optimizer.zero_grad(set_to_none=True)
    loss = _backward(trainee, batch, recipe)
    own = list(trainee.loss.parameters())
    for weight in own:  # scalars and small heads: not worth a DDP of their own
        assert weight.grad is not None
        _mean_over_workers(weight.grad)
    norm = nn.utils.clip_grad_norm_(
        [*trainee.encoder.parameters(), *own], max_norm=recipe.clip_norm
    )
    if not bool(norm.isfinite()):
        raise _diverged(trainee, batch, loss)
    if watch is not None:
        watch.note(norm)
    trainee.optimizer.step()
    trainee.schedule.step()
    clamp_temperature(trainee.encoder.log_scale)
    if trainee.average is not None:
        trainee.average.update(trainee.encoder.trained_state())
    return loss.detach()


def _backward(trainee: Trainee, batch: Batch, recipe: TrainingSettings) -> Tensor:
    """Leave the step's gradient on the weights, as the recipe says; returns the loss."""

    def plain(batch: Batch) -> Tensor:
        if recipe.accumulate > 1:
            return backward_in_parts(trainee, batch, recipe)
        with autocast(trainee.device, recipe.precision):
            text_BD, image_BD, log_scale = trainee.model(batch.text, batch.image)
        loss = batch_loss(trainee.loss, batch, text_BD, image_BD, log_scale)
        loss.backward()
        return loss

    batch = batch.repeated(recipe.passes)
    if not recipe.adversary:
        return plain(batch)
    weights = [*trainee.encoder.parameters(), *trainee.loss.parameters()]
    return backward_with_adversary(batch, recipe.adversary, plain, weights)


def batch_loss(
    loss: Loss, batch: Batch, text_BD: Tensor, image_BD: Tensor, log_scale: Tensor
) -> Tensor:
    """The loss of a batch, in float32 whatever precision the towers ran in.

    Vectors of two passes, (2B, D), lie one pass below the other.
    """
    text_BD, image_BD, size = text_BD.float(), image_BD.float(), len(batch.product_B)
    met = meet(text_BD[:size], image_BD[:size], log_scale.float(), batch.labels)
    if len(text_BD) > size:
        again = meet(text_BD[size:], image_BD[size:], log_scale.float(), batch.labels)
        met = replace(met, again=again)
    value: Tensor = loss(met)
    return value


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Bfloat16 in the towers where `precision` is "bf16"; it needs no loss scaling."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def seed_epoch(seed: int, epoch: int) -> None:
    """Start this epoch's dropout from (seed, epoch, rank), so that a resumed epoch is the same."""
    words = np.random.SeedSequence((seed, epoch, world_rank())).generate_state(2, np.uint32)
    torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def one_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield `batches`, the next one read in a thread while the step works on this one."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def _diverged(trainee: Trainee, batch: Batch, loss: Tensor) -> Diverged:
    return Diverged(
        Divergence(
            epoch=trainee.progress.epoch,
            step=trainee.schedule.last_epoch + 1,
            loss=float(loss.detach()),
            products=batch.product_B.tolist(),
        )
    )


def _mean_over_workers(value: Tensor) -> Tensor:
    """The mean, in place."""
    if world_size() > 1:
        dist.all_reduce(value)
    return value.div_(world_size())
