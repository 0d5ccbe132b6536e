"""xmodal/training/worker.py: runs with all that can be added to the loss, alone and together."""

import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from tests.training.test_loop import assert_same_weights, train
from tests.training.toy import COLOURS, KINDS, make_plan
from xmodal.training.captions import load_table
from xmodal.training.clues import CLUES, build_clues
from xmodal.training.state import read_weights, save_state
from xmodal.training.worker import ddp_options

ALL = {
    "tasks": ("attributes", "relevance", "matching", "self"),
    "adversary": 0.02,
    "consistency": 1.0,
    "bias_attribute": "colour",
    "bias_share": 0.5,
}
EACH = [{"tasks": (task,)} for task in ALL["tasks"]] + [
    {"adversary": 0.02},
    {"consistency": 1.0},
    {"bias_attribute": "colour", "bias_share": 0.5},
]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy run whose products have a colour and a kind; some lack the kind."""
    folder = tmp_path_factory.mktemp("toy")
    table = load_table(Path(make_plan(folder).data))
    colours = list(COLOURS)
    products = [
        {"colour": colours[p % 8 // 2]} | ({"kind": KINDS[p % 2]} if p % 5 else {})
        for p in table.product_P.tolist()
    ]
    texts = sorted({f"{c} {k} {age}" for c in COLOURS for k in KINDS for age in ("old", "new")})
    texts = [text.removeprefix("red ") for text in texts]  # as if red were not named
    names = ["colour", "kind"]
    clues = build_clues(products, names, "colour", texts=texts, facts={}, terms={})
    clues.save(folder / "data" / CLUES)
    return folder


@pytest.mark.parametrize("added", EACH, ids="-".join)
def test_each_method_alone_trains_a_finite_epoch_of_its_own(added, toy):
    weights = train(make_plan(toy, epochs=1, dropout=0.2)).encoder.trained_state()
    trainee = train(make_plan(toy, epochs=1, dropout=0.2, **added))
    assert math.isfinite(trainee.progress.history[0]["loss"])
    found = trainee.encoder.trained_state()
    assert found.keys() == weights.keys()  # heads are the loss's, not the matcher's
    assert any(not torch.equal(found[name], weights[name]) for name in weights)


def test_a_resumed_run_with_all_methods_ends_as_the_undisturbed_one(toy, tmp_path):
    plan = make_plan(toy, dropout=0.3, epochs=2, **ALL)

    def stop_after_the_first(trainee, metrics):
        save_state(trainee, tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan, keep=stop_after_the_first)
    whole, resumed = train(plan), train(plan, checkpoint=tmp_path)
    assert_same_weights(whole.encoder.trained_state(), resumed.encoder.trained_state())
    assert_same_weights(whole.loss.state_dict(), resumed.loss.state_dict())
    assert read_weights(tmp_path).keys() == whole.encoder.trained_state().keys()
    figures = [[row["loss"] for row in t.progress.history] for t in (whole, resumed)]
    assert figures[0] == figures[1]


def test_two_workers_with_all_methods_end_where_one_does(toy, tmp_path):
    plan = make_plan(toy, epochs=1, **ALL)
    one = train(plan)
    mp.spawn(_worker, args=(plan, tmp_path), nprocs=2)
    two = torch.load(tmp_path / "state.pt")
    assert_same_weights(one.encoder.trained_state(), two["encoder"], atol=1e-4)
    assert_same_weights(one.loss.state_dict(), two["loss"], atol=1e-4)


def test_accumulation_with_all_methods_is_the_whole_batch(toy):
    whole, parts = (train(make_plan(toy, epochs=1, accumulate=k, **ALL)) for k in (1, 4))
    assert_same_weights(whole.encoder.trained_state(), parts.encoder.trained_state(), atol=1e-4)
    assert_same_weights(whole.loss.state_dict(), parts.loss.state_dict(), atol=1e-4)


def test_bf16_with_all_methods_keeps_its_weights_in_fp32(toy):
    trainee = train(make_plan(toy, epochs=1, dropout=0.2, precision="bf16", **ALL))
    assert math.isfinite(trainee.progress.history[0]["loss"])
    both = [*trainee.encoder.parameters(), *trainee.loss.parameters()]
    assert {weight.dtype for weight in both} == {torch.float32}


def _worker(rank, plan, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    options = ddp_options(plan.training["accumulate"])
    trainee = train(plan, wrap=lambda model: DistributedDataParallel(model, **options))
    if rank == 0:
        state = {"encoder": trainee.encoder.trained_state(), "loss": trainee.loss.state_dict()}
        torch.save(state, folder / "state.pt")
    dist.destroy_process_group()
