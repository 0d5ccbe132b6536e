"""How much each field of a product is to count, fitted on queries that are not made of its text.

    val queries, field vectors -> (fields hidden at random) -> product vectors -> likelihood

Shapes: F fields, P products, Q queries, D embedding.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from xmodal.catalog.store import Catalog
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fields import FIELDS, FieldWeights
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.fields import Fields, embed_fields, indexed_texts, is_made_of
from xmodal.retrieval.metrics import means, per_query
from xmodal.retrieval.topk import Floats, Ints, topk
from xmodal.settings import Settings
from xmodal.training.fusion import unseen
from xmodal.training.held_out import sample_queries

GALLERY = 2_000  # products: a text model reads about 500 lines a second on a core
DROPPED = 0.3  # share of the fields that a step hides
_MOST_QUERIES = 500
_FEWEST = 20  # queries; fewer cannot tell three weights
_STEPS = 150
_RATE = 0.1
_DEPTH = 10


def fit_fields(
    encoder: Encoder, catalog: Catalog, store: FeatureStore, settings: Settings
) -> FieldWeights | None:
    """The weights; None where `val` has too few queries that are not made of searched text."""
    limit = min(_MOST_QUERIES, settings.evaluation.max_queries)
    queries = sample_queries(catalog.judged("val").queries, limit, settings.seed)
    texts, right = _own_words(catalog, queries)
    pictured = set(np.unique(store.product_row).tolist())
    right = [np.array([row for row in rows.tolist() if row in pictured]) for rows in right]
    asked = [(t, rows) for t, rows in zip(texts, right, strict=True) if len(rows)]
    if len(asked) < _FEWEST:
        return None
    rows_P = _gallery(np.concatenate([rows for _, rows in asked]), pictured, settings.seed)
    fields = embed_fields(encoder, catalog, store, rows_P)
    query_QD = embed_texts(encoder, [text for text, _ in asked])
    right_QP = np.stack([np.isin(rows_P, rows) for _, rows in asked])
    scale = float(encoder.log_scale.detach().exp())
    weights = learn_weights(
        fields, torch.from_numpy(query_QD), torch.from_numpy(right_QP), scale, seed=settings.seed
    )
    fitted = FieldWeights(weights)
    found = {
        "val queries": float(len(asked)),
        **_figures("pictures alone", fields.vector_PD["picture"], query_QD, right_QP),
        **_figures("fused", fitted.fuse(fields.vector_PD), query_QD, right_QP),
    }
    return FieldWeights(weights, found)


def learn_weights(
    fields: Fields, query_QD: Tensor, right_QP: Tensor, scale: float, *, seed: int
) -> dict[str, float]:
    """Positive weights that add up to 1, by the likelihood of the right products.

    Each step hides DROPPED of the fields at random, but never a product's last: products that lack
    a field stand beside whole ones, as in a shop, and no field is leant on alone. The weights are
    the mean of the second half of the steps.

    Args:
        right_QP: whether a product is relevant, at least one a query.
        scale: inverse temperature of the softmax.

    Source: modality dropout, Neverova et al., arXiv 1501.00102 (ModDrop), section 3.3.
    """
    vector_FPD = torch.from_numpy(np.stack([fields.vector_PD[name] for name in FIELDS]))
    has_FP = vector_FPD.abs().amax(dim=2) > 0
    target_QP = right_QP / right_QP.sum(dim=1, keepdim=True)
    draw = torch.Generator().manual_seed(seed)
    theta_F = torch.zeros(len(FIELDS), requires_grad=True)
    optimizer = torch.optim.Adam([theta_F], lr=_RATE)
    kept_F = torch.zeros(len(FIELDS))
    for step in range(_STEPS):
        weight_F = theta_F.softmax(dim=0)
        shown_FP = has_FP & (torch.rand(has_FP.shape, generator=draw) >= DROPPED)
        shown_FP = torch.where(shown_FP.any(dim=0), shown_FP, has_FP)
        mask_FP1 = (weight_F[:, None] * shown_FP)[:, :, None]
        product_PD = normalize((mask_FP1 * vector_FPD).sum(dim=0), dim=1)
        log_prob_QP = (scale * query_QD @ product_PD.T).log_softmax(dim=1)
        loss = -(target_QP * log_prob_QP).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= _STEPS // 2:
            kept_F += theta_F.detach().softmax(dim=0)
    kept_F /= kept_F.sum()
    return dict(zip(FIELDS, kept_F.tolist(), strict=True))


def _own_words(catalog: Catalog, queries: dict[str, str]) -> tuple[list[str], list[Ints]]:
    """Queries that train has not seen, and that are not made of a relevant product's text."""
    titles, attributes = indexed_texts(catalog)
    found = [
        (text, rows)
        for text, rows, _ in zip(*unseen(catalog, queries), strict=True)
        if not is_made_of(text, [line[row] for line in (titles, attributes) for row in rows])
    ]
    return [text for text, _ in found], [rows for _, rows in found]


def _gallery(right: Ints, pictured: set[int], seed: int) -> Ints:
    """Catalogue rows of all relevant products and of others, up to GALLERY, ascending."""
    first = np.unique(right)
    others = np.array(sorted(pictured - set(first.tolist())), dtype=np.int64)
    room = max(0, min(GALLERY - len(first), len(others)))
    drawn = np.random.default_rng(seed).permutation(others)[:room]
    return np.sort(np.concatenate([first, drawn]))


def _figures(
    name: str, product_PD: Floats, query_QD: Floats, right_QP: np.ndarray
) -> dict[str, float]:
    scores_QK, rows_QK = topk(query_QD, product_PD, min(_DEPTH, len(product_PD)))
    run = {
        str(q): {str(row): score for row, score in zip(rows, scores, strict=True)}
        for q, (rows, scores) in enumerate(zip(rows_QK.tolist(), scores_QK.tolist(), strict=True))
    }
    qrels = {
        str(q): {str(row): 1 for row in np.flatnonzero(right_P).tolist()}
        for q, right_P in enumerate(right_QP)
    }
    found = means(per_query(run, qrels))
    return {f"{name} {metric}": found[metric] for metric in ("mrr@10", "recall@10")}
