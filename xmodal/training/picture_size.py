"""Larger pictures where a stated time pays for them: `budget: 2h` chooses their size too.

    untuned encoder at the derived size -> seconds a picture, measured -> epochs that a size half as
    large again would get -> that size, if they are enough

On a catalogue of 40,000 products 17 epochs on pictures of 192 x 144 did better on `val` than 24 on
128 x 96 (R@10 0.426 against 0.421; `benchmarks/quality/gpu.csv`), and the latter had stopped
rising: time beyond is better spent on larger pictures.
"""

import os
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch

from xmodal.catalog.store import Catalog
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.image_tower import TokenLower
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.towers import Towers
from xmodal.settings import Settings
from xmodal.storage import write_json_atomic
from xmodal.training.batches import passes_of
from xmodal.training.budget import (
    AFTER_HEADS,
    AFTER_S,
    PARALLEL,
    SAFETY,
    SIZE_FILE,
    Clock,
    one_thread,
    seconds_of,
    shorter_run,
)

Size = tuple[int, int]
_LARGER = 1.5  # a side
_ENOUGH = 16  # epochs, fewer than which do less on larger pictures than the same time on small ones
_PICTURES = 16


def size_chooser(
    catalog: Catalog, settings: Settings, shares: int
) -> Callable[[Path, Encoder], Size | None]:
    """What `prepare` asks, with a run's folder and its encoder at the derived size.

    It answers with another size, or None. A run that goes on from a shorter one keeps its size.
    """

    def choose(folder: Path, encoder: Encoder) -> Size | None:
        budget, given = settings.epoch_budget, settings.matcher.image_size
        if budget is None or given is not None or settings.training.gpu or not _is_free(encoder):
            return None
        size = encoder.spec.image_size
        if (shorter := shorter_run(folder)) is not None:
            kept = EncoderSpec.load(shorter / "start" / "spec.json").image_size
            return None if kept == size else kept
        left_s = seconds_of(budget) - Clock(folder).spent_s()
        epochs = affordable(encoder, catalog, settings, left_s * SAFETY / shares)
        larger = (round(size[0] * _LARGER), round(size[1] * _LARGER))
        is_larger = epochs >= _ENOUGH
        chosen = larger if is_larger else size
        why = f"{chosen[0]} x {chosen[1]}: {budget} would pay for {epochs} epochs on {larger[0]} x "
        why += f"{larger[1]}, and {_ENOUGH} are enough" if is_larger else f"{larger[1]}, too few"
        write_json_atomic(folder / SIZE_FILE, {"why": why})
        return larger if is_larger else None

    return choose


def affordable(encoder: Encoder, catalog: Catalog, settings: Settings, time_s: float) -> int:
    """Epochs on larger pictures that fit `time_s` with caching and all that follows training.

    Measured on this machine at the encoder's own size; times grow with the area.
    """
    training, images = settings.training, catalog.n_images
    cores = os.cpu_count() or 1
    at_once = max(1, min(training.workers, cores))
    trunk_s, step_s = _picture_seconds(encoder, catalog)
    area = _LARGER**2
    trained = catalog.manifest.counts.get("train", 0)
    epoch_s = passes_of(trained, training.batch) * trained * step_s * area / at_once
    epoch_s /= PARALLEL if at_once > 1 else 1.0
    caching_s = images * trunk_s * area / min(settings.index.actors, cores)
    # A step is a forward and, twice as dear, a backward; to embed is to go forward twice, mirrored.
    after_s = AFTER_S + AFTER_HEADS * images * step_s * 2 / 3 * area
    return max(0, int((time_s - caching_s - after_s) / max(epoch_s, 1e-9)))


def _picture_seconds(encoder: Encoder, catalog: Catalog) -> tuple[float, float]:
    """Of the frozen part, and of a step of the trained part, for one picture on one thread."""
    sample = [image for *_, image in islice(catalog.images(0, catalog.n_products), _PICTURES)]
    pixels = encoder.inputs.images(sample)
    encoder.train()
    with one_thread():
        for _ in range(2):  # the first time warms memory up
            start = time.perf_counter()
            with torch.no_grad():
                trunk = encoder.image_trunk(pixels)
            middle = time.perf_counter()
            encoder.image_head(trunk).sum().backward()
            end = time.perf_counter()
    encoder.eval().zero_grad(set_to_none=True)
    return (middle - start) / len(sample), (end - middle) / len(sample)


def _is_free(encoder: Encoder) -> bool:
    """Whether the image tower takes pictures of any size: a convolutional one of ours."""
    return isinstance(encoder, Towers) and not isinstance(encoder.lower, TokenLower)
