"""The reranker's training: what it remembers, what it learns, and how much it is to be trusted.

    train products -> memory (pictures and words), bank of captions
    train titles -> hard negatives of the first stage -> cross-attention, listwise loss
    val queries -> weights of the three terms; 0 where a term does not help on products unseen

Shapes: Q queries, B of a step, K candidates, N pictures, M remembered products, R pictures of
them, T C patch tokens, W words, L words of a product.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from xmodal.catalog.store import Catalog
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.neighbours import Neighbours
from xmodal.matcher.reranker import Hubness, Reranker, RerankerSpec
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.topk import topk
from xmodal.settings import Settings
from xmodal.training.captions import Ints
from xmodal.training.fusion import Fusion, fuse, take_tokens
from xmodal.training.held_out import sample_queries
from xmodal.training.optimise import make_optimizer, make_schedule
from xmodal.training.remembered import Remembered, remembered

Report = Callable[[dict[str, float], int], None]

MOST_BANK = 2_048
MOST_QUERIES = 8_192
_MINED = 50  # candidates of the first stage that negatives are drawn from
_SPARE = 4  # draws for each negative that the first stage does not find


@dataclass(frozen=True)
class Lists:
    """Training lists: Q queries with K pictures each, the first of which is right.

    The words are of another caption than the query: what a product with text could show.
    """

    vector_QD: Tensor
    words_QW: Tensor
    rows_QK: Ints
    titles_QKW: Tensor


def train_reranker(
    encoder: Encoder,
    catalog: Catalog,
    store: FeatureStore,
    settings: Settings,
    report: Report = lambda _metrics, _epoch: None,
) -> tuple[Reranker, Fusion]:
    """A reranker for `encoder`, and how it was weighed. Deterministic by `settings.seed`.

    Args:
        store: vectors and tokens of the catalogue's pictures by this encoder.
        report: told `rerank_loss` after each epoch.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    known = remembered(encoder, catalog, np.asarray(store.product_row), rng)
    reranker = _new(encoder, known)
    _remember(reranker.neighbours, encoder, store, known)
    chosen = rng.permutation(len(known.row_M))[:MOST_QUERIES]
    vector_QD = torch.from_numpy(embed_texts(encoder, [known.titles[i] for i in chosen]))
    _fill_bank(reranker.hubness, encoder, vector_QD)
    lists = _mine(known, store, chosen, vector_QD, settings)
    if len(lists.rows_QK):
        _learn(reranker, store, lists, settings, report)
    limit = settings.evaluation.max_queries
    queries = sample_queries(catalog.judged("val").queries, limit, settings.seed)
    fusion = fuse(
        reranker,
        encoder,
        catalog,
        store,
        queries,
        candidates=settings.reranker.candidates,
        is_cross_trained=len(lists.rows_QK) > 0,
    )
    return reranker, fusion


def _new(encoder: Encoder, known: Remembered) -> Reranker:
    spec = RerankerSpec(
        dim=encoder.dim,
        vocabulary=len(encoder.vocabulary),
        pictures=len(known.row_R),
        words=known.words_ML.shape[1],
        bank=min(MOST_BANK, len(known.row_M)),
    )
    return Reranker(spec)


def _remember(memory: Neighbours, encoder: Encoder, store: FeatureStore, known: Remembered) -> None:
    owner_R = known.owner_R
    memory.remember(
        take_tokens(store, known.row_R),
        torch.from_numpy(owner_R),
        torch.from_numpy(known.words_ML[owner_R]),
        encoder.patch.get_buffer("base_spread"),
    )


def _fill_bank(hubness: Hubness, encoder: Encoder, vector_QD: Tensor) -> None:
    basis = encoder.patch.get_buffer("vector_basis")
    size = len(hubness.bank_NE)
    hubness.bank_NE.copy_(vector_QD[:size].float() @ basis)


def _mine(
    known: Remembered, store: FeatureStore, chosen: Ints, vector_QD: Tensor, settings: Settings
) -> Lists:
    """The first stage's hardest wrong pictures of each chosen product's title, all of `train`.

    A product that bears the title too is never wrong. Where the first stage finds too few wrong
    ones, any of train fill the list up; a title that all products bear makes no list.
    """
    wanted, total = settings.reranker.negatives, len(known.row_M)
    vectors_MD = store.take(known.row_M, ["vector"])["vector"].astype(np.float32)
    _, found_QK = topk(vector_QD.numpy(), vectors_MD, min(_MINED, total))
    same = known.same_title()
    rng = np.random.default_rng(settings.seed)
    queries, places = [], []
    for query, place in enumerate(chosen):
        drawn = [*rng.permutation(found_QK[query]), *rng.integers(total, size=_SPARE * wanted)]
        wrong = [other for other in drawn if other not in same[place]][:wanted]
        if len(wrong) == wanted:
            queries.append(query)
            places.append([place, *wrong])
    places_QK = np.array(places, dtype=np.int64).reshape(len(places), 1 + wanted)
    return Lists(
        vector_QD[queries],
        torch.from_numpy(known.title_words_MW[places_QK[:, 0]]),
        known.row_M[places_QK],
        torch.from_numpy(known.other_words_MW[places_QK]),
    )


def _learn(
    reranker: Reranker, store: FeatureStore, lists: Lists, settings: Settings, report: Report
) -> None:
    """Train the cross-attention to put the right picture of each list first."""
    recipe, cross = settings.reranker, reranker.cross
    size = min(recipe.batch, len(lists.rows_QK))
    steps = max(1, len(lists.rows_QK) // size)
    optimizer = make_optimizer(cross, recipe.learning_rate, settings.training.weight_decay)
    schedule = make_schedule(optimizer, recipe.epochs * steps, 0.1)
    rng = np.random.default_rng(settings.seed)
    cross.train()
    for epoch in range(recipe.epochs):
        order, total = rng.permutation(len(lists.rows_QK)), 0.0
        for step in range(steps):
            some = order[step * size : (step + 1) * size]
            loss = _list_loss(reranker, store, lists, some, with_titles=step % 2 == 1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(cross.parameters(), settings.training.clip_norm)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        report({"rerank_loss": total / steps}, epoch)
    cross.eval()


def _list_loss(
    reranker: Reranker, store: FeatureStore, lists: Lists, some: Ints, *, with_titles: bool
) -> Tensor:
    """Listwise loss, in nats: the right picture stands first in each row."""
    titles_BKW = None
    if with_titles:
        # A list whose right product has no second caption would show which one it is.
        is_told_B = (lists.titles_QKW[some, 0] > 0).any(dim=1)
        titles_BKW = lists.titles_QKW[some] * is_told_B[:, None, None]
    rows_BK = lists.rows_QK[some]
    tokens = take_tokens(store, rows_BK.ravel()).unflatten(0, rows_BK.shape)
    logits_BK = reranker.cross(lists.vector_QD[some], lists.words_QW[some], tokens, titles_BKW)
    return cross_entropy(logits_BK, torch.zeros(len(some), dtype=torch.long))
