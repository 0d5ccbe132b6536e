"""What an encoder costs: parameters, operations, latency, throughput, CPU seconds, memory.

Several are raced in turns in one process, so that what else the machine does hits all alike;
ratios are medians over rounds of a round's own ratio. CPU seconds count the work of all threads.

Shapes: B texts or pictures, T tokens, C H W image.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fast import fast_forward
from xmodal.matcher.gemm_blocks import GemmUpper
from xmodal.matcher.graphs import plain
from xmodal.matcher.inputs import Features

BATCH = 32
_WARM = 2


class TwoTowers(Protocol):
    """What can be raced: an encoder, a form, or one of the two below."""

    def encode_text(self, tokens: Features) -> Tensor:
        """Unit vectors (B, D)."""
        ...

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        ...


class Eager:
    """The towers as a newcomer runs them: eager torch, contiguous, no fold, every text read."""

    def __init__(self, encoder: Encoder) -> None:
        flat, whole = plain(encoder), deepcopy(encoder)
        self._text = flat.to(memory_format=torch.contiguous_format)
        if isinstance(getattr(whole, "tuned", None), GemmUpper):
            whole.tuned = flat.tuned  # the convolutions that were tuned as products
        self._image = whole.eval().to(memory_format=torch.contiguous_format)
        self._mean, self._std = whole.get_buffer("_mean"), whole.get_buffer("_std")
        self._image.normalise = self._contiguous  # type: ignore[method-assign]

    def encode_text(self, tokens: Features) -> Tensor:
        """Unit vectors (B, D)."""
        return self._text.encode_text(tokens)

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        return self._image.encode_image(pixels_BCHW)

    def _contiguous(self, pixels_BCHW: Tensor) -> Tensor:
        return (pixels_BCHW.float().contiguous() / 255 - self._mean) / self._std


class Fast:
    """The float towers as they are served and embed: `matcher/fast.py`, text without repeats."""

    def __init__(self, encoder: Encoder, threads: int) -> None:
        self._encoder, self._forward = encoder, fast_forward(encoder, threads)

    def encode_text(self, tokens: Features) -> Tensor:
        """Unit vectors (B, D)."""
        return self._encoder.encode_text(tokens)

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        return self._forward.vectors(pixels_BCHW)


@dataclass(frozen=True)
class Speed:
    """One tower, by one system."""

    latency_ms: float
    """Of one text or picture, median."""
    per_s: float
    """Texts or pictures a second in batches of 32, median."""
    cpu_ms: float
    """CPU milliseconds of all threads for one text or picture of a batch of 32, median."""
    ratio: float
    """Throughput against the first system's, median over the rounds."""
    cpu_ratio: float
    """The first system's CPU time against its own, likewise."""


def race(
    systems: Mapping[str, TwoTowers], texts: Features, pixels_BCHW: Tensor, rounds: int = 5
) -> dict[str, dict[str, Speed]]:
    """Speed of each system's `text` and `image` tower, in turns.

    `texts`, `pixels_BCHW`: one batch each, of real queries and pictures.
    """
    picture_1CHW, rows = pixels_BCHW[:1], len(next(iter(texts.values())))
    text = {name: value[:1] for name, value in texts.items()}
    return {
        "text": _race(
            {name: partial(one.encode_text, text) for name, one in systems.items()},
            {name: partial(one.encode_text, texts) for name, one in systems.items()},
            rows,
            rounds,
        ),
        "image": _race(
            {name: partial(one.encode_image, picture_1CHW) for name, one in systems.items()},
            {name: partial(one.encode_image, pixels_BCHW) for name, one in systems.items()},
            len(pixels_BCHW),
            rounds,
        ),
    }


def flops(encoder: Encoder, texts: Features, pixels_BCHW: Tensor) -> dict[str, float]:
    """Floating point operations (multiply and add are two) of one `text` and one `image`.

    Convolutions and matrix products are counted, of whole batches with their padding.
    """
    graph = plain(encoder)
    counted = {}
    runs: dict[str, tuple[Callable[[], Tensor], int]] = {
        "text": (lambda: graph.encode_text(texts), len(next(iter(texts.values())))),
        "image": (lambda: graph.encode_image(pixels_BCHW), len(pixels_BCHW)),
    }
    for name, (run, rows) in runs.items():
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            run()
        counted[name] = counter.get_total_flops() / rows
    return counted


def parameters(encoder: Encoder) -> int:
    """Number of weights, frozen ones too."""
    return sum(weight.numel() for weight in encoder.parameters())


def _race(
    alone: Mapping[str, Callable[[], Tensor]],
    batch: Mapping[str, Callable[[], Tensor]],
    rows: int,
    rounds: int,
) -> dict[str, Speed]:
    singles = _times(alone, rounds)
    wholes = _times(batch, rounds)
    first = next(iter(wholes.values()))
    return {
        name: Speed(
            latency_ms=1000 * statistics.median(wall for wall, _ in singles[name]),
            per_s=rows / statistics.median(wall for wall, _ in taken),
            cpu_ms=1000 * statistics.median(cpu for _, cpu in taken) / rows,
            ratio=_ratio(first, taken, 0),
            cpu_ratio=_ratio(first, taken, 1),
        )
        for name, taken in wholes.items()
    }


def _ratio(
    first: Sequence[tuple[float, float]], own: Sequence[tuple[float, float]], which: int
) -> float:
    pairs = zip(first, own, strict=True)
    return statistics.median(one[which] / max(other[which], 1e-9) for one, other in pairs)


def _times(
    runs: Mapping[str, Callable[[], Tensor]], rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU seconds of each round, all in turns after a warm-up."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    with torch.inference_mode():
        for number in range(_WARM + rounds):
            for name, run in runs.items():
                wall, cpu = time.perf_counter(), time.process_time()
                run()
                if number >= _WARM:
                    taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return taken
