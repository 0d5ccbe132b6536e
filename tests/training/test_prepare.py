"""xmodal/training/prepare.py to finish.py: a real shop becomes a plan, a run, a saved matcher."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.factories import tiny_encoder
from tests.shops import make_rows, take_in, write_csv
from tests.training.toy import tiny_base
from xmodal.errors import SettingsError, TrainingError
from xmodal.matcher.saved import load_encoder, load_matcher
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.store import Plan
from xmodal.settings import Settings
from xmodal.training.baseline import make_base
from xmodal.training.captions import load_table
from xmodal.training.clues import CLUES, open_clues
from xmodal.training.divergence import Diverged, Divergence
from xmodal.training.finish import finish, finished
from xmodal.training.held_out import load_valset
from xmodal.training.names import run_name
from xmodal.training.prepare import load_plan, prepare
from xmodal.training.ray_train import _told
from xmodal.training.state import read_weights, save_state
from xmodal.training.worker import set_dropout, train_worker

SPLITS = ["train"] * 9 + ["val"] * 2 + ["dev"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A home with a shop of 48 products; settings; its catalogue."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [row | {"split": SPLITS[i % 12]} for i, row in enumerate(make_rows(48))]
    catalog = take_in(write_csv(folder / "shop", rows), folder / "home").catalog
    return folder / "home", catalog, make_settings(tiny_base(folder / "base"))


def make_settings(base, **training):
    return Settings.model_validate(
        {
            "matcher": {"base": base, "dim": 16, "image_size": [32, 32], "dropout": 0.1},
            "training": {"epochs": 2, "batch": 12, "workers": 1} | training,
        }
    )


def make_plan(shop, run="first", settings=None):
    home, catalog, usual = shop

    def embed(encoder, out, key):
        out.mkdir(parents=True, exist_ok=True)
        plan = Plan("trunk", key, catalog.manifest.fingerprint, catalog.n_products)
        return embed_here(load_encoder(encoder), catalog, out, plan)

    return prepare(home, catalog, settings or usual, run, embed)


def products_of(catalog, split):
    return np.flatnonzero(np.array(catalog.products(["split"])["split"].to_pylist()) == split)


def test_only_train_is_trained_and_the_gallery_holds_val_and_no_dev(shop):
    plan = make_plan(shop)
    table = load_table(Path(plan.data))
    valset = load_valset(Path(plan.data) / "val.json")
    assert set(table.product_P) == set(products_of(shop[1], "train"))
    assert set(products_of(shop[1], "val")) <= set(valset.gallery_products)
    assert not set(products_of(shop[1], "dev")) & set(valset.gallery_products)
    assert load_plan(shop[0] / "runs" / "first") == plan


def test_other_settings_use_the_same_cached_features(shop):
    first = make_plan(shop)
    before = {p: p.stat().st_mtime_ns for p in (shop[0] / "cache").rglob("*") if p.is_file()}
    settings = make_settings(shop[2].matcher.base, learning_rate=0.01)
    other = make_plan(shop, "other", settings)
    after = {p: p.stat().st_mtime_ns for p in (shop[0] / "cache").rglob("*") if p.is_file()}
    assert (first.images, first.texts) == (other.images, other.texts)
    assert before == after


def test_a_run_does_not_go_on_with_other_settings(shop):
    make_plan(shop)
    changed = make_settings(shop[2].matcher.base, batch=24)
    with pytest.raises(SettingsError, match=r"begun with training\.batch=12, not 24.*--run"):
        make_plan(shop, "first", changed)


def test_a_run_ends_as_a_matcher_that_loads(shop, tmp_path):
    plan = make_plan(shop)

    def keep_best(trainee, metrics):
        if metrics["map"] == trainee.progress.best:
            save_state(trainee, tmp_path)

    trainee = train_worker(plan, torch.device("cpu"), lambda model: model, keep_best)
    folder = shop[0] / "runs" / "first"
    done = finish(folder, plan, tmp_path, tmp_path)
    matcher = load_matcher(folder / "matcher")
    assert matcher.facts.evaluation["map"] == trainee.progress.best
    assert finished(folder) == done
    for name, weight in read_weights(tmp_path).items():
        assert torch.equal(matcher.encoder.get_parameter(name), weight), name


def test_the_base_is_made_once_and_shares_the_cache(shop):
    make_plan(shop)
    folder = make_base(*shop, "first")
    made = (folder / "matcher.json").stat().st_mtime_ns
    assert load_matcher(folder).encoder.spec.head == "linear"
    assert (make_base(*shop, "first") / "matcher.json").stat().st_mtime_ns == made


def test_a_base_is_made_where_the_text_tower_is_trained_too(shop, tmp_path):
    _, catalog, usual = shop
    matcher = usual.matcher.model_copy(update={"train_text": True})
    settings = usual.model_copy(update={"matcher": matcher})
    make_plan((tmp_path, catalog, settings), settings=settings)
    encoder = load_matcher(make_base(tmp_path, catalog, settings, "first")).encoder
    vectors = encoder.encode_text(encoder.inputs.texts(["Red Shoes", "Blue Hats"]))
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1])


def test_what_tasks_learn_from_is_left_beside_the_pairs_and_told(shop):
    given = {"tasks": ["attributes"], "bias_attribute": "colour", "bias_share": 1.0}
    plan = make_plan(shop, "tasks", make_settings(shop[2].matcher.base, **given))
    clues = open_clues(Path(plan.data) / CLUES)
    assert len(clues.value_PA) == len(load_table(Path(plan.data)))
    assert clues.sizes == (3, 4)
    assert plan.facts["attributes"] == "colour (3), kind (4) values are told from pictures"
    assert plan.facts["bias"].startswith("3 groups; ")
    assert not (Path(make_plan(shop).data) / CLUES).exists()


def test_untitled_products_of_train_alone_borrow_a_title(shop, tmp_path):
    rows = [
        row | {"split": SPLITS[i % 12], "title": row["title"] if i % 3 else ""}
        for i, row in enumerate(make_rows(48))
    ]
    catalog = take_in(write_csv(tmp_path / "shop", rows), tmp_path / "home").catalog
    base = shop[2].matcher.base
    settings = make_settings(base, pseudo_share=0.5)
    plan = make_plan((tmp_path / "home", catalog, settings))
    table = load_table(Path(plan.data))
    train = set(products_of(catalog, "train"))
    assert set(table.product_P) <= train
    untitled = [row for row in train if row % 3 == 0]
    assert plan.facts["pseudo-captions"] == f"{round(len(untitled) / 2)} untitled products"


def test_two_passes_without_dropout_are_refused_before_anything_is_cached(shop, tmp_path):
    settings = make_settings(shop[2].matcher.base, consistency=1.0)
    matcher = settings.matcher.model_copy(update={"dropout": 0.0})
    settings = settings.model_copy(update={"matcher": matcher})
    with pytest.raises(SettingsError, match="this encoder drops nothing"):
        make_plan((tmp_path, shop[1], settings))
    assert not (tmp_path / "cache").exists()


def test_dropout_is_set_in_the_heads_and_not_in_pretrained_blocks():
    encoder = tiny_encoder()
    encoder.tuned = nn.Sequential(nn.Dropout(0.0))
    set_dropout(encoder, 0.4)
    assert (encoder.image_out.dropout.p, encoder.text_out.dropout.p) == (0.4, 0.4)
    assert encoder.tuned[0].p == 0.0


def test_a_run_is_named_by_what_shapes_it(shop):
    _, catalog, settings = shop
    other = make_settings(settings.matcher.base, epochs=3)
    assert run_name("train", catalog, settings) != run_name("train", catalog, other)
    assert run_name("tune", catalog, settings).startswith("tune-")


def test_a_run_that_diverged_names_products_and_the_folder_of_its_checkpoint(shop):
    where = Divergence(epoch=2, step=40, loss=float("nan"), products=list(range(7)))
    with pytest.raises(TrainingError) as said, _told(shop[1], shop[0] / "runs" / "first"):
        raise Diverged(where)
    line = str(said.value)
    ids = shop[1].products(["product_id"])["product_id"].to_pylist()
    assert f"has the products {', '.join(ids[:5])} and 2 more" in line
    assert f"the checkpoint of epoch 2 is kept in {shop[0] / 'runs' / 'first'}" in line
