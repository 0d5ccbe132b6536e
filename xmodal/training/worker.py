"""One worker of a run: from a plan to a trainee that has been fitted. Plain torch.

plan -> stores, sampler, trainee -> (restore) -> fit -> keep, after each epoch
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from xmodal.matcher.adapters import add_adapters, is_adapter
from xmodal.matcher.averaging import MovingAverage
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.heads import ImageHead, TextHead
from xmodal.matcher.saved import load_encoder
from xmodal.retrieval.embed import open_store
from xmodal.settings import TrainingSettings
from xmodal.training.batches import Sampler
from xmodal.training.captions import Ints, load_table
from xmodal.training.clues import CLUES, needs_clues, open_clues
from xmodal.training.gather import world_rank, world_size
from xmodal.training.held_out import load_valset
from xmodal.training.loop import Metrics, Progress, Trainee, fit
from xmodal.training.losses.choice import Sizes, compose
from xmodal.training.mining import mine
from xmodal.training.optimise import make_optimizer, make_schedule
from xmodal.training.prepare import TrainPlan
from xmodal.training.state import restore_state
from xmodal.training.teacher import open_teacher
from xmodal.training.texts import TextStore
from xmodal.training.validate import retrieval

Wrap = Callable[[nn.Module], nn.Module]
Keep = Callable[[Trainee, Metrics], None]


def train_worker(
    plan: TrainPlan,
    device: torch.device,
    wrap: Wrap,
    keep: Keep,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Trainee:
    """Fit the plan's encoder, as one of `world_size()` workers.

    Args:
        wrap: puts DDP around the encoder, and both on `device`.
        keep: called on every worker after each epoch, with its figures.
        checkpoint: a folder of `save_state` to go on from.
    """
    recipe = TrainingSettings(**plan.training)
    images, texts = open_store(Path(plan.images)), TextStore(Path(plan.texts))
    sampler = make_sampler(plan, recipe)
    trainee = make_trainee(plan, recipe, sampler.steps, device, wrap)
    if checkpoint is not None:
        restore_state(trainee, checkpoint)
    valset = load_valset(Path(plan.data) / "val.json")
    fit(
        trainee,
        sampler,
        recipe,
        validate=lambda: retrieval(trainee.encoder, valset, images, texts, device),
        report=lambda metrics: keep(trainee, metrics),
        mine=_miner(trainee, sampler) if recipe.mining else None,
    )
    return trainee


def make_sampler(plan: TrainPlan, recipe: TrainingSettings) -> Sampler:
    """What draws the plan's batches, for this one of `world_size()` workers."""
    return Sampler(
        table=load_table(Path(plan.data)),
        images=open_store(Path(plan.images)),
        texts=TextStore(Path(plan.texts)),
        batch=recipe.batch,
        word_dropout=recipe.word_dropout,
        seed=plan.seed,
        rank=world_rank(),
        workers=world_size(),
        teacher=open_teacher(Path(plan.teacher)) if recipe.loss == "distill" else None,
        clues=open_clues(Path(plan.data) / CLUES) if needs_clues(recipe) else None,
    )


def make_trainee(
    plan: TrainPlan, recipe: TrainingSettings, steps: int, device: torch.device, wrap: Wrap
) -> Trainee:
    """The plan's encoder before its first step, with optimiser and schedule."""
    encoder = load_encoder(Path(plan.encoder))
    torch.manual_seed(plan.seed)  # the adapters' first weights
    add_adapters(encoder, plan.adapter, plan.adapter_rank)
    set_dropout(encoder, plan.dropout)
    # The layout that convolutions want, where the tuned blocks have any.
    encoder = encoder.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert recipe.learning_rate is not None  # a plan leaves nothing open
    loss = compose(recipe, _sizes(plan, recipe, encoder)).to(device)
    optimizer = make_optimizer(
        nn.ModuleList([encoder, loss]),
        recipe.learning_rate,
        recipe.weight_decay,
        pretrained_weights(encoder),
    )
    return Trainee(
        encoder=encoder,
        model=wrap(encoder),
        optimizer=optimizer,
        schedule=make_schedule(optimizer, recipe.epochs * steps, recipe.warmup_share),
        progress=Progress(),
        device=device,
        loss=loss,
        average=MovingAverage(encoder.trained_state(), recipe.ema) if recipe.ema else None,
    )


def _sizes(plan: TrainPlan, recipe: TrainingSettings, encoder: Encoder) -> Sizes:
    """What the heads of the recipe's tasks have to fit."""
    sizes = Sizes(encoder.dim)
    if "matching" in recipe.tasks:
        first = open_store(Path(plan.images)).take(np.zeros(1, np.int64), ["lower"])["lower"]
        # A map has its channels first, tokens have them last.
        sizes = replace(sizes, channels=first.shape[1] if first.ndim == 4 else first.shape[2])
    if needs_clues(recipe):
        clues = open_clues(Path(plan.data) / CLUES)
        sizes = replace(sizes, values=clues.sizes, groups=clues.groups)
    return sizes


def _miner(trainee: Trainee, sampler: Sampler) -> Callable[[int], Ints]:
    stores = sampler.images, sampler.texts
    return lambda epoch: mine(trainee.encoder, sampler.table, *stores, (sampler.seed, epoch))


def ddp_options(accumulate: int) -> dict[str, bool]:
    """How DDP wraps the encoder: no second copy of gradients, no exchange of buffers."""
    return {
        "gradient_as_bucket_view": True,
        "broadcast_buffers": False,  # batch normalisation never updates
        # The same graph each step, so that DDP plans its buckets once; parts of a batch differ.
        "static_graph": accumulate == 1,
    }


def set_dropout(encoder: nn.Module, share: float) -> None:
    """Give the heads of `encoder` this share: a tuning trial changes it alone.

    Pretrained blocks keep the dropout that they were pretrained with.
    """
    for head in encoder.modules():
        if isinstance(head, ImageHead | TextHead):
            head.dropout.p = share


def pretrained_weights(encoder: Encoder) -> list[nn.Parameter]:
    """Trained parameters that were pretrained: those of the upper blocks and of the text tower.

    Adapters in them are new.
    """
    tuned = (getattr(encoder, name, None) for name in ("tuned", "text"))
    parts = [part for part in tuned if isinstance(part, nn.Module)]
    return [
        weight
        for part in parts
        for name, weight in part.named_parameters()
        if weight.requires_grad and not is_adapter(name)
    ]
