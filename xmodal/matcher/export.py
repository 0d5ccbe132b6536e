"""Towers to ONNX files, with dynamic batch and text length.

    Encoder -> TextGraph, ImageGraph -> text.onnx, image.onnx

Needs the extra `export` (onnx, onnxscript); what is written needs onnxruntime alone.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from xmodal.errors import MatcherError
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.forms import IMAGE_FILE, TEXT_FILE
from xmodal.matcher.graphs import Graph, ImageGraph, TextGraph

_OPSET = 20
_MISSING = "this needs the extra `export`: pip install 'xmodal[export]'"
# How torch says which operator it has no translation for, and which one it could not trace.
_OPERATOR = re.compile(r"op='([\w.:]+)'|operator '?([\w:.]+)'?|(aten\.[\w.]+)")


def export_towers(encoder: Encoder, folder: Path, with_tokens: bool) -> None:
    """Write both towers of `encoder` into `folder`, which exists.

    `with_tokens`: the image tower also gives the patch tokens that a reranker reads.

    Raises:
        MatcherError: an operator that ONNX cannot hold, named; or the extra is missing.
    """
    export_graph(TextGraph(encoder), folder / TEXT_FILE)
    export_graph(ImageGraph(encoder, with_tokens), folder / IMAGE_FILE)


def export_graph(graph: Graph, path: Path) -> None:
    """Write one graph. Raises MatcherError as `export_towers`."""
    try:
        from torch.onnx.errors import OnnxExporterError
    except ImportError as error:
        raise MatcherError(_MISSING) from error
    shapes = {
        name: dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for name, axes in graph.shapes.items()
    }
    try:
        with torch.no_grad(), _quietly():
            torch.onnx.export(
                graph.eval(),
                graph.example,
                path,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=_as_given(graph, shapes),
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except ImportError as error:
        raise MatcherError(_MISSING) from error
    except (OnnxExporterError, RuntimeError, ValueError) as error:
        raise MatcherError(_refused(graph, error)) from error


def _as_given(graph: Graph, shapes: dict[str, dict[int, object]]) -> tuple[object, ...]:
    """Dynamic shapes as torch wants them: for `*tokens` one tuple of all."""
    each = tuple(shapes[name] for name in graph.inputs)
    return (each,) if isinstance(graph, TextGraph) else each


def _refused(graph: Graph, error: BaseException) -> str:
    said = str(error)
    cause: BaseException | None = error
    while cause is not None:  # the first cause names the operator
        said, cause = f"{said}\n{cause}", cause.__cause__
    tower = "text" if isinstance(graph, TextGraph) else "image"
    found = _OPERATOR.search(said)
    what = f"operator {next(filter(None, found.groups()))}" if found else _first_line(error)
    return (
        f"the {tower} tower of {graph.encoder.spec.base!r} cannot be exported to ONNX: {what} has "
        "no translation; serve the float form, or use a base without it"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter's warnings and log lines are about its own working."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
