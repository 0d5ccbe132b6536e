"""Smaller towers: int8 forms of an exported graph, and fewer layers of the text tower.

Int8 needs the extra `export`; pruning is plain torch.

Shapes: B pictures, C H W image.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from xmodal.matcher.dual import find_blocks, replace_blocks
from xmodal.matcher.encoder import Encoder

CALIBRATION = 128  # train pictures that the image tower's ranges are read off
_BATCH = 16


def quantise_dynamic(path: Path, out: Path) -> None:
    """Int8 weights, one scale a channel; activations are quantised as they come.

    For the text tower, whose activations differ from text to text.
    Source: Jacob et al., arXiv 1712.05877, section 2.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _prepared(path) as ready:
        quantize_dynamic(
            ready,
            out,
            weight_type=QuantType.QInt8,
            per_channel=True,
            # AVX2 adds two products in 16 bits: 7-bit weights cannot run over.
            reduce_range=True,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        )


def quantise_static(path: Path, out: Path, pixels_BCHW: Tensor) -> None:
    """Int8 convolutions, the ranges of their activations read off `pixels_BCHW`.

    For the image tower. Give pictures of `train` alone: what is judged is not calibrated on.
    Heads stay float: they are small, and what is lost there nothing makes good.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with _prepared(path) as ready:
        quantize_static(
            ready,
            out,
            _Pictures(pixels_BCHW),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=["Conv"],
        )


def prune(encoder: Encoder, kept: float = 0.5) -> Encoder:
    """A copy whose text tower has this share of its layers, evenly spread, outer two among them.

    What is lost is to be made good by tuning (`training/recover.py`). The image tower stays: there
    the runtime's convolutions win more than fewer channels did.

    Source: Sajjad et al., "Poor Man's BERT", arXiv 2004.03844, section 3 (alternate dropping).

    Raises:
        MatcherError: a text tower whose layers we cannot tell.
    """
    copy = deepcopy(encoder)
    layers = text_layers(copy)
    size = max(2, round(len(layers) * kept))
    places = torch.linspace(0, len(layers) - 1, size).floor().int().tolist()
    replace_blocks(_text(copy), [layers[place] for place in places])
    # Its text is no longer the frozen one, and is to be tuned.
    copy.spec = replace(copy.spec, train_text=True)
    return copy


def text_layers(encoder: Encoder) -> list[nn.Module]:
    """The layers of the text tower. Raises MatcherError where we cannot tell them."""
    return find_blocks(_text(encoder))


def _text(encoder: Encoder) -> nn.Module:
    return cast(nn.Module, encoder.text)  # every family has it


class _Pictures:
    """Batches for the calibration, as onnxruntime asks for them."""

    def __init__(self, pixels_BCHW: Tensor) -> None:
        self._batches = iter(pixels_BCHW.contiguous().split(_BATCH))

    def get_next(self) -> dict[str, object] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"pixels_BCHW": batch.numpy()}


@contextmanager
def _prepared(path: Path) -> Iterator[Path]:
    """The graph with its shapes inferred, as the quantiser wants it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            ready = Path(scratch) / "ready.onnx"
            quant_pre_process(path, ready, skip_symbolic_shape=True)
            yield ready
    finally:
        logging.disable(before)
