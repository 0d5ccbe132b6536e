"""How much each term of the reranker is to be trusted: chosen on `val`, where nothing was learnt.

The encoder knows its train pictures by heart, so weights fitted on `train` would trust the first
stage too much. A change that is not clearly better than the first stage is not made.

Shapes: Q queries, K candidates, N pictures, S look-alikes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xmodal.catalog.store import Catalog
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.reranker import TERMS, Reranker
from xmodal.matcher.tokens import dequantise
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.topk import topk
from xmodal.training.captions import Ints

_GRID = (
    (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6),  # look-alikes
    (0.0, 0.25, 0.5, 0.75, 1.0, 1.25),  # hubness
    (0.0, 0.0025, 0.005, 0.01, 0.02, 0.04),  # cross-attention
)
_SHARPNESS = (10.0, 20.0, 40.0)  # of look-alikes
_ROUNDS = 3
_DEPTH = 10
_BLOCK = 2_048
_FEW = 30  # fewer queries than this that train has never seen: all are taken


@dataclass(frozen=True)
class Fusion:
    """The weights, and what they bring on the val queries that chose them."""

    weights: tuple[float, ...]
    sharpness: float
    queries: int
    first: float
    """MRR@10 + R@10 of the first stage."""
    fused: float

    def rows(self) -> dict[str, str]:
        """For a job's table."""
        found = {name: f"{weight:g}" for name, weight in zip(TERMS, self.weights, strict=True)}
        return found | {
            "val queries": f"{self.queries:,}",
            "MRR@10 + R@10": f"{self.first:.4f} -> {self.fused:.4f}",
        }


@dataclass(frozen=True)
class _Judged:
    """Candidates of val queries, whether they are right, and what the terms say of them."""

    first_QK: Tensor
    right_QK: Tensor
    many_Q: Tensor  # right products in all
    near: dict[float, Tensor]  # by sharpness, (Q, K)
    others: tuple[Tensor, Tensor]  # hubness, cross-attention, (Q, K)

    def logits(self, weights: tuple[float, ...], sharpness: float) -> Tensor:
        """As `Reranker.forward` adds them."""
        near, hub, cross = weights
        added = near * self.near[sharpness] - hub * self.others[0] + cross * self.others[1]
        return self.first_QK + added

    def values(self, weights: tuple[float, ...], sharpness: float) -> Tensor:
        """MRR@10 + R@10 of each query, (Q,)."""
        order = self.logits(weights, sharpness).argsort(dim=1, descending=True, stable=True)
        hit = self.right_QK.gather(1, order[:, :_DEPTH]).float()
        rank = torch.arange(1, hit.shape[1] + 1)
        return (hit / rank).amax(dim=1) + hit.sum(1) / self.many_Q


def fuse(
    reranker: Reranker,
    encoder: Encoder,
    catalog: Catalog,
    store: FeatureStore,
    queries: Mapping[str, str],
    *,
    candidates: int,
    is_cross_trained: bool = True,
) -> Fusion:
    """Set the reranker's weights by the val `queries` (id to text) and say what they bring."""
    judged = _judge(reranker, encoder, catalog, store, (queries, candidates))
    nothing = (0.0,) * len(TERMS)
    if judged is None:
        return Fusion(nothing, _SHARPNESS[1], 0, 0.0, 0.0)
    weights, sharpness = _climb(judged, _GRID if is_cross_trained else (*_GRID[:2], (0.0,)))
    before, after = judged.values(nothing, sharpness), judged.values(weights, sharpness)
    gain = after - before
    if not float(gain.mean()) > float(gain.std()) / len(gain) ** 0.5:
        weights, after = nothing, before
    reranker.weights.copy_(torch.tensor(weights))
    reranker.neighbours.sharpness.fill_(sharpness)
    return Fusion(weights, sharpness, len(gain), float(before.mean()), float(after.mean()))


def _climb(judged: _Judged, grids: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], float]:
    """The best weights of the grids, one coordinate at a time."""
    best, sharpness, value = (0.0,) * len(TERMS), _SHARPNESS[1], -1.0
    for _ in range(_ROUNDS):
        for axis, grid in enumerate(grids):
            for weight in grid:
                tried = (*best[:axis], weight, *best[axis + 1 :])
                for sharp in _SHARPNESS if axis == 0 else (sharpness,):
                    found = float(judged.values(tried, sharp).mean())
                    if found > value + 1e-6:
                        best, sharpness, value = tried, sharp, found
    return best, sharpness


def _judge(
    reranker: Reranker,
    encoder: Encoder,
    catalog: Catalog,
    store: FeatureStore,
    asked: tuple[Mapping[str, str], int],
) -> _Judged | None:
    queries, candidates = asked
    texts, right, known = unseen(catalog, queries)
    if not texts:
        return None
    vector_QD = embed_texts(encoder, texts)
    vectors_ND = np.asarray(store.column("vector"), dtype=np.float32)
    first_QK, rows_QK = topk(vector_QD, vectors_ND, min(candidates, len(vectors_ND)))
    product_QK = np.asarray(store.product_row)[rows_QK]
    right_QK = np.stack([np.isin(p, r) for p, r in zip(product_QK, right, strict=True)])
    known_QK = np.stack([np.isin(p, r) for p, r in zip(product_QK, known, strict=True)])
    gone_QK = _again(product_QK) | known_QK  # another picture of a product; trained on as right
    first = torch.from_numpy(first_QK)
    first[torch.from_numpy(gone_QK)] = -torch.inf
    right_QK &= ~gone_QK
    words = torch.from_numpy(_words(encoder, texts))
    near, others = _terms(reranker, store, rows_QK, torch.from_numpy(vector_QD), words)
    many_Q = torch.tensor([len(r) for r in right], dtype=torch.float32)
    return _Judged(first, torch.from_numpy(right_QK), many_Q, near, others)


def unseen(
    catalog: Catalog, queries: Mapping[str, str]
) -> tuple[list[str], list[Ints], list[Ints]]:
    """Texts of the queries, relevant product rows, and those to be left out of the answer.

    Queries whose very text train has seen are left out, unless hardly any other is there. Of
    queries made of titles the train products of that title are left out: they were learnt.
    """
    judged = catalog.judged("val")
    products = catalog.products(["product_id", "split"])
    split = np.array(products["split"].to_pylist(), dtype=object)
    row_of = {name: row for row, name in enumerate(products["product_id"].to_pylist())}
    found = []
    for name, text in queries.items():
        grades = judged.qrels.get(name, {})
        rows = np.array([row_of[p] for p, g in grades.items() if g and p in row_of], np.int64)
        learnt = rows[split[rows] == "train"] if judged.made else rows[:0]
        if len(rows) > len(learnt):
            found.append((text, np.setdiff1d(rows, learnt), learnt))
    seen = set(catalog.pairs("train")["text"].to_pylist())
    unseen = [one for one in found if one[0] not in seen]
    chosen = unseen if len(unseen) >= _FEW else found
    return [one[0] for one in chosen], [one[1] for one in chosen], [one[2] for one in chosen]


@torch.inference_mode()
def _terms(
    reranker: Reranker, store: FeatureStore, rows_QK: Ints, vector_QD: Tensor, words_QW: Tensor
) -> tuple[dict[float, Tensor], tuple[Tensor, Tensor]]:
    """What the terms say; look-alikes and hubness once for each picture, however often found."""
    unique, place = np.unique(rows_QK, return_inverse=True)
    place_QK = torch.from_numpy(place.reshape(rows_QK.shape))
    similar, row, hub = [], [], []
    for start in range(0, len(unique), _BLOCK):
        tokens_NTC = take_tokens(store, unique[start : start + _BLOCK])
        a, b = reranker.neighbours.nearest(tokens_NTC)
        similar.append(a)
        row.append(b)
        hub.append(reranker.hubness(tokens_NTC[None])[0])
    similar_NS, row_NS, hub_N = torch.cat(similar), torch.cat(row), torch.cat(hub)
    near = {}
    for sharp in _SHARPNESS:
        reranker.neighbours.sharpness.fill_(sharp)
        found = [
            reranker.neighbours.evidence(words[None], similar_NS[p][None], row_NS[p][None])
            for words, p in zip(words_QW, place_QK, strict=True)
        ]
        near[sharp] = torch.cat(found)
    cross = [
        reranker.cross(vector_QD[q : q + 1], words_QW[q : q + 1], take_tokens(store, rows)[None])
        for q, rows in enumerate(rows_QK)
    ]
    return near, (hub_N[place_QK], torch.cat(cross))


def take_tokens(store: FeatureStore, rows: Ints) -> Tensor:
    """Patch tokens (N, T, C) of pictures, float32."""
    taken = store.take(rows, ["tokens", "scale"])
    return dequantise(torch.from_numpy(taken["tokens"]), torch.from_numpy(taken["scale"]))


def _again(product_QK: Ints) -> NDArray[np.bool_]:
    """True where the product stood in the row before."""
    again = np.zeros(product_QK.shape, dtype=np.bool_)
    for products, out in zip(product_QK, again, strict=True):
        _, first = np.unique(products, return_index=True)
        out[:] = True
        out[first] = False
    return again


def _words(encoder: Encoder, texts: list[str]) -> Ints:
    """Vocabulary ids of texts, (Q, W)."""
    ids: Ints = encoder.inputs.texts(texts)["words_BW"].long().numpy()
    return ids
