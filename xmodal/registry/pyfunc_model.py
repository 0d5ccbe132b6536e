"""A saved matcher as an MLflow model: `mlflow.pyfunc.load_model("models:/xmodal@champion")`.

Named as `loader_module` in the model's MLmodel file, so that nothing is pickled: MLflow imports
this module and calls `_load_pyfunc` with the folder of the saved matcher.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from xmodal.errors import UserError
from xmodal.matcher.saved import Matcher, load_matcher


class PyfuncMatcher:
    """Texts and encoded images in, unit vectors out, in one space."""

    def __init__(self, matcher: Matcher) -> None:
        self.encoder = matcher.encoder

    def predict(self, rows: Any, params: Mapping[str, Any] | None = None) -> np.ndarray:  # noqa: ARG002 (MLflow's signature)
        """Vectors (N, D), float32, unit norm, one a row of `rows`.

        Args:
            rows: a frame or a list of {"text": str} or {"image": bytes}; a row holds one of both.
            params: none are read; MLflow asks for the argument.

        Raises:
            UserError: a row holds neither a text nor an image, or both.
        """
        asked = [_one(number, row) for number, row in enumerate(_records(rows))]
        vectors = np.zeros((len(asked), self.encoder.dim), dtype=np.float32)
        for kind in (str, bytes):
            at = [number for number, value in enumerate(asked) if isinstance(value, kind)]
            if at:
                vectors[at] = self._encode([asked[number] for number in at])
        return vectors

    def _encode(self, values: Sequence[Any]) -> np.ndarray:
        with torch.inference_mode():
            if isinstance(values[0], str):
                vectors = self.encoder.encode_text(self.encoder.inputs.texts(list(values)))
            else:
                pixels = torch.as_tensor(self.encoder.inputs.images(list(values)))
                vectors = self.encoder.encode_image(pixels)
        array: np.ndarray = vectors.float().numpy()
        return array


def _records(rows: Any) -> list[Mapping[str, Any]]:
    if isinstance(rows, pd.DataFrame):
        return [dict(record) for record in rows.to_dict("records")]
    return [rows] if isinstance(rows, Mapping) else list(rows)


def _one(number: int, row: Mapping[str, Any]) -> str | bytes:
    given = [row.get(key) for key in ("text", "image")]
    values = [value for value in given if isinstance(value, str | bytes) and value]
    if len(values) != 1:
        raise UserError(f"row {number} must hold a text or an image (bytes), one of both")
    return values[0]


def _load_pyfunc(data_path: str) -> PyfuncMatcher:
    """MLflow's hook: `data_path` is the saved matcher's folder inside the model."""
    return PyfuncMatcher(load_matcher(Path(data_path)))
