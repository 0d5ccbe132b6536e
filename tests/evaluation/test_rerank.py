"""xmodal/evaluation/rerank.py: the first candidates change places, the rest keep theirs."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.evaluation.gallery import open_gallery
from xmodal.evaluation.rerank import rerank
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import Matcher
from xmodal.matcher.tokens import dequantise
from xmodal.retrieval.embed import embed_here, embed_texts
from xmodal.retrieval.metrics import ranked
from xmodal.retrieval.store import Plan

TEXTS = {"q1": "red shoe", "q2": "蓝色衬衫"}


class ByFirstToken(nn.Module):
    """A reranker whose logit is the first number of the first patch token."""

    def forward(self, query, first_BK, tokens_BKTC, title_words_BKW):
        assert title_words_BKW is None
        assert query["vector_BD"].shape == (1, 16)
        assert first_BK.shape == tokens_BKTC.shape[:2]
        return tokens_BKTC[:, :, 0, 0]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rerank")
    products = [make_product(n) for n in range(12)]
    products[4]["images"] = [make_picture(4), make_picture(44), make_picture(444)]
    catalog, encoder = make_catalog(folder / "catalog", products), tiny_encoder()
    store = embed_here(encoder, catalog, folder / "store", Plan("vector+tokens", "e", "c", 12))
    gallery = open_gallery(catalog, store, encoder)
    run = gallery.search(list(TEXTS), embed_texts(encoder, list(TEXTS.values())), 12)
    matcher = Matcher(encoder, ByFirstToken(), Facts())
    return run, rerank(matcher, TEXTS, run, gallery, store, candidates=5), store, encoder


def test_only_the_first_candidates_change_places(case):
    before, after, _, _ = case
    for query in TEXTS:
        assert set(ranked(after[query])[:5]) == set(ranked(before[query])[:5])
        assert ranked(after[query])[5:] == ranked(before[query])[5:]


def test_their_order_is_that_of_the_logits_of_each_products_best_picture(case):
    before, after, store, encoder = case
    taken = store.take(np.arange(store.rows))
    tokens = dequantise(torch.from_numpy(taken["tokens"]), torch.from_numpy(taken["scale"]))
    logit_N = tokens[:, 0, 0].numpy()
    for query, text in TEXTS.items():
        cosine_N = taken["vector"] @ embed_texts(encoder, [text])[0]
        for product in ranked(before[query])[:5]:
            rows = np.flatnonzero(store.product_row == int(product[1:]))
            best = rows[cosine_N[rows].argmax()]
            assert after[query][product] == pytest.approx(float(logit_N[best]), abs=1e-6)
