"""xmodal/training/{rerank,fusion,remembered}.py on a small shop that is taken in for real."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.factories import tiny_encoder
from tests.shops import make_rows, take_in, write_csv
from xmodal.matcher.tokens import fit_patch_tokens
from xmodal.retrieval.embed import embed_here, embed_texts
from xmodal.retrieval.store import Plan
from xmodal.settings import RerankerSettings, Settings
from xmodal.training.remembered import remembered
from xmodal.training.rerank import _mine, train_reranker

SETTINGS = Settings(reranker=RerankerSettings(epochs=2, batch=8, negatives=3, candidates=10))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    write_csv(folder / "in", make_rows(60))
    catalog = take_in(folder / "in", folder / "home").catalog
    encoder = tiny_encoder(catalog.pairs("train")["text"].to_pylist())
    pixels = [encoder.inputs.image(image) for _, _, image in catalog.images(0, 40)]
    with torch.no_grad():
        trunk = encoder.image_trunk(torch.stack(pixels))
        fit_patch_tokens(encoder.patch, [encoder.image_views(trunk)])
    plan = Plan("vector+tokens", "tiny", catalog.manifest.fingerprint, catalog.n_products)
    return encoder, catalog, embed_here(encoder, catalog, folder / "store", plan)


def test_only_train_products_are_remembered(shop):
    encoder, catalog, store = shop
    known = remembered(encoder, catalog, store.product_row, np.random.default_rng(0))
    split = catalog.products(["split"])["split"].to_pylist()
    assert {split[row] for row in known.product_M} == {"train"}
    assert len(known.product_M) == split.count("train")


def test_titles_come_first_among_remembered_words(shop):
    encoder, catalog, store = shop
    known = remembered(encoder, catalog, store.product_row, np.random.default_rng(0))
    titles = catalog.products(["title"])["title"].to_pylist()
    assert known.titles[0] == titles[known.product_M[0]]
    words = encoder.vocabulary.encode(known.titles[0])
    assert known.words_ML[0][: len(set(words))].tolist() == list(dict.fromkeys(words))


def mine(shop, titles, negatives=3):
    """Lists of the shop's train products under `titles`; the split of each wrong picture."""
    encoder, catalog, store = shop
    known = remembered(encoder, catalog, store.product_row, np.random.default_rng(0))
    captions = [[titles[place % len(titles)]] for place in range(len(known.captions))]
    known = replace(known, captions=captions)
    vectors = torch.from_numpy(embed_texts(encoder, known.titles))
    settings = Settings(reranker=RerankerSettings(negatives=negatives))
    return known, _mine(known, store, np.arange(len(captions)), vectors, settings)


def test_wrong_pictures_are_of_train_and_never_bear_the_title(shop):
    known, lists = mine(shop, ["one", "two"])
    title = dict(zip(known.row_M.tolist(), known.titles, strict=True))
    assert lists.rows_QK.shape == (len(known.row_M), 4)
    for right, *wrong in lists.rows_QK.tolist():
        assert title[right] not in {title[row] for row in wrong}  # a KeyError were it not train's


def test_one_title_on_all_products_makes_no_list_and_gives_the_cross_attention_no_say(shop):
    assert not len(mine(shop, ["one"])[1].rows_QK)


def test_the_loss_falls_and_is_reported(shop):
    seen = []
    settings = SETTINGS.model_copy(
        update={"reranker": RerankerSettings(epochs=6, batch=8, negatives=3, candidates=10)}
    )
    train_reranker(*shop, settings, lambda metrics, epoch: seen.append(metrics["rerank_loss"]))
    assert len(seen) == 6
    assert seen[-1] < seen[0]


def test_one_seed_gives_one_reranker(shop):
    one, other = (train_reranker(*shop, SETTINGS)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_does_not_help_on_val_gets_no_weight(shop):
    reranker, fusion = train_reranker(*shop, SETTINGS)
    assert fusion.fused >= fusion.first
    if fusion.fused == fusion.first:
        assert not reranker.weights.any()
    assert tuple(reranker.weights.tolist()) == pytest.approx(fusion.weights)
