"""A sample of the shop on which forms of a matcher are compared: `val` queries and pictures.

Shapes: N pictures of the sample, B of a batch, Q queries, D embedding.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xmodal.catalog.store import Catalog
from xmodal.errors import CatalogError
from xmodal.evaluation.cost import BATCH, TwoTowers
from xmodal.evaluation.tasks import Task, text_task
from xmodal.matcher.inputs import Inputs
from xmodal.retrieval.metrics import PerQuery, Run, per_query
from xmodal.retrieval.topk import Floats, Ints, topk

PART = "val"
DEPTH = 100


@dataclass(frozen=True)
class Sample:
    """First pictures of N products, and the queries of `val` that ask for any of them."""

    task: Task
    pixels_NCHW: Tensor
    product_ids: list[str]
    train_NCHW: Tensor
    """Pictures of `train` products, for the calibration; some of them may be in the gallery."""

    def vectors(self, towers: TwoTowers, inputs: Inputs) -> tuple[Floats, Floats]:
        """Query vectors (Q, D) and gallery vectors (N, D)."""
        texts = list(self.task.texts.values())
        with torch.inference_mode():
            query = [
                towers.encode_text(inputs.texts(texts[low : low + BATCH]))
                for low in range(0, len(texts), BATCH)
            ]
            gallery = [towers.encode_image(pixels) for pixels in self.pixels_NCHW.split(BATCH)]
        return torch.cat(query).numpy(), torch.cat(gallery).numpy()

    def judge(self, query_QD: Floats, gallery_ND: Floats) -> PerQuery:
        """Each query's metrics, by exact search."""
        return self.judge_found(*topk(query_QD, gallery_ND, DEPTH))

    def judge_found(self, scores_QK: Floats, rows_QK: Ints) -> PerQuery:
        """Each query's metrics, of gallery rows that some search found; -1: nothing."""
        run: Run = {}
        for name, scores, rows in zip(self.task.texts, scores_QK, rows_QK, strict=True):
            found = zip(rows.tolist(), scores.tolist(), strict=True)
            run[name] = {self.product_ids[row]: score for row, score in found if row >= 0}
        return per_query(run, self.task.qrels)


def draw_sample(
    catalog: Catalog, inputs: Inputs, *, size: int, queries: int, calibration: int, seed: int
) -> Sample:
    """All products of `val` that a query asks for, and others up to `size`, drawn by the seed.

    Raises:
        CatalogError: no query of `val` asks for a product with a picture.
    """
    columns = catalog.products(["product_id", "split"]).to_pydict()
    ids, splits = columns["product_id"], np.array(columns["split"], dtype=object)
    asked = {p for grades in catalog.judged(PART).qrels.values() for p, g in grades.items() if g}
    rng = np.random.default_rng(seed)
    first = [row for row, name in enumerate(ids) if name in asked]
    others = rng.permutation(np.setdiff1d(np.arange(len(ids)), first)).tolist()
    chosen = {*first, *others[: max(0, size - len(first))]}
    train = set(rng.permutation(np.flatnonzero(splits == "train"))[:calibration].tolist())
    pictures = _first_pictures(catalog, chosen | train)
    shown = [row for row in sorted(chosen) if row in pictures]
    names = [ids[row] for row in shown]
    task = text_task(catalog.judged(PART), PART, set(names), queries, seed)
    if task is None:
        raise CatalogError(
            f"{catalog.manifest.source}: no text query of {PART} asks for a product with a "
            "picture; give catalog.queries, or titles in val"
        )
    train_rows = sorted(train & pictures.keys())
    pixels = [inputs.images([pictures[row] for row in rows]) for rows in (shown, train_rows)]
    return Sample(task, pixels[0], names, pixels[1])


def _first_pictures(catalog: Catalog, wanted: set[int]) -> dict[int, bytes]:
    found = catalog.images(0, catalog.n_products)
    return {row: encoded for row, number, encoded in found if number == 0 and row in wanted}
