"""What the checks before the first step look at: gathered once, from samples, within seconds.

Shapes: P train products, S sampled products, B sampled pictures, F features, V val pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.saved import load_encoder
from xmodal.retrieval.embed import open_store
from xmodal.retrieval.store import FeatureStore
from xmodal.settings import TrainingSettings
from xmodal.training.captions import Ints, PairTable, load_table
from xmodal.training.held_out import ValSet, load_valset
from xmodal.training.prepare import TrainPlan

Floats = NDArray[np.float32]
PICTURES = 128  # decoded for their pixels: a mean over 128 pictures is off by a tenth of a spread
_RUNS = 8  # places of the catalogue that these come from: many are sorted by category
FEATURES = 2_048  # products whose cached features are compared


@dataclass(frozen=True)
class Evidence:
    """A run before its first step."""

    plan: TrainPlan
    catalog: Catalog
    recipe: TrainingSettings
    encoder: Encoder
    images: FeatureStore
    table: PairTable
    valset: ValSet

    @cached_property
    def captions(self) -> dict[str, dict[int, list[str]]]:
        """Train captions by source, then by product row."""
        pairs = self.catalog.pairs("train").select(["source", "product_row", "text"])
        found: dict[str, dict[int, list[str]]] = {}
        for source, row, text in zip(*(c.to_pylist() for c in pairs.columns), strict=True):
            found.setdefault(source, {}).setdefault(row, []).append(text)
        return found

    @cached_property
    def texts(self) -> list[str]:
        """Each different train caption, in the order of the catalogue."""
        lines = (text for rows in self.captions.values() for own in rows.values() for text in own)
        return list(dict.fromkeys(lines))

    @cached_property
    def queries(self) -> dict[str, str]:
        """Texts of the queries that pick the checkpoint, by id."""
        asked = self.catalog.judged("val").queries
        return {query: asked[query] for query in self.valset.query_ids if query in asked}

    @cached_property
    def products_S(self) -> Ints:
        """Places in the pair table of a drawn sample of the train products."""
        draw = np.random.default_rng(self.plan.seed)
        size = min(FEATURES, len(self.table))
        return np.sort(draw.choice(len(self.table), size=size, replace=False))

    @cached_property
    def features_SF(self) -> Floats:
        """Features of the first picture of each sampled product."""
        return self.features(self.table.image_row[self.table.image_start[self.products_S]])

    @cached_property
    def pixels_BCHW(self) -> torch.Tensor:
        """A sample of the train pictures at the encoder's size, uint8; (0, ...) without any."""
        encoded = list(self._pictures())
        if not encoded:
            return torch.zeros(0, 3, *self.encoder.spec.image_size, dtype=torch.uint8)
        return self.encoder.inputs.images(encoded)

    def features(self, rows: Ints) -> Floats:
        """Frozen features of pictures, float32: what the trunk gave, and what its cut holds.

        Activations at the cut still know colours and places that pooled ones have forgotten.
        """
        parts = []
        for start in range(0, len(rows), 256):
            taken = self.images.take(rows[start : start + 256])
            cut = taken["lower"].astype(np.float32) if "lower" in taken else None
            flat = [taken["base_BF"].astype(np.float32)] if "base_BF" in taken else []
            if cut is not None:
                # Maps (B, C, H, W) or tokens (B, L, C): their means.
                flat.append(cut.mean((2, 3)) if cut.ndim == 4 else cut.mean(1))
            parts.append(np.concatenate(flat, axis=1))
        return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)

    def _pictures(self) -> Iterator[bytes]:
        trained = set(self.table.product_P.tolist())
        wanted, last = PICTURES // _RUNS, self.catalog.n_products
        for start in dict.fromkeys(np.linspace(0, max(0, last - 1), _RUNS + 1, dtype=int)[:-1]):
            taken = 0
            stop = min(last, int(start) + max(1, last // _RUNS))
            for row, number, picture in self.catalog.images(int(start), stop):
                if row in trained and number == 0:
                    yield picture
                    taken += 1
                if taken == wanted:
                    break


def gather(plan: TrainPlan, catalog: Catalog) -> Evidence:
    """Open what `prepare` left for `plan`."""
    data = Path(plan.data)
    return Evidence(
        plan=plan,
        catalog=catalog,
        recipe=TrainingSettings(**plan.training),
        encoder=load_encoder(Path(plan.encoder)),
        images=open_store(Path(plan.images)),
        table=load_table(data),
        valset=load_valset(data / "val.json"),
    )
