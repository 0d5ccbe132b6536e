"""xmodal/training/loop.py and worker.py: it learns, goes on exactly, and workers do not matter."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from tests.training.toy import make_plan
from xmodal.errors import TrainingError
from xmodal.matcher.saved import load_encoder
from xmodal.retrieval.embed import open_store
from xmodal.training.finish import judge, trained_encoder
from xmodal.training.loop import OBJECTIVE, Progress
from xmodal.training.state import read_weights, save_state
from xmodal.training.worker import train_worker

CPU = torch.device("cpu")
MRR_OF_CHANCE = 0.29  # 6 relevant products of 48, in random order: by simulation


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return tmp_path_factory.mktemp("toy")


def train(plan, wrap=lambda model: model, keep=lambda *_: None, checkpoint=None):
    torch.set_num_threads(1)
    return train_worker(plan, CPU, wrap, keep, checkpoint)


def assert_same_weights(one, other, atol=0.0):
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, atol=atol, rtol=0, msg=name)


def test_retrieval_rises_and_the_loss_falls(toy):
    history = train(make_plan(toy)).progress.history
    assert max(row["mrr@10"] for row in history) > 2 * MRR_OF_CHANCE
    assert history[-1]["loss"] < history[0]["loss"]
    assert 0 <= history[0]["data_wait_share"] <= 1


def test_a_resumed_run_ends_as_the_undisturbed_one(toy, tmp_path):
    # Mined before epoch 2, used in epoch 3 too: a resumed run has to know them.
    plan = make_plan(toy, dropout=0.3, epochs=4, mining=2, ema=0.9, loss="siglip")

    def stop_after_the_third(trainee, metrics):
        save_state(trainee, tmp_path)
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan, keep=stop_after_the_third)
    whole, resumed = train(plan), train(plan, checkpoint=tmp_path)
    assert_same_weights(whole.encoder.trained_state(), resumed.encoder.trained_state())
    assert_same_weights(whole.average.weights, resumed.average.weights)
    assert torch.equal(whole.loss.bias, resumed.loss.bias)
    figures = [[row["loss"] for row in t.progress.history] for t in (whole, resumed)]
    assert figures[0] == figures[1]


def test_two_workers_end_where_one_does(toy, tmp_path):
    plan = make_plan(toy, epochs=2, mining=1, loss="siglip")
    one = train(plan)
    mp.spawn(_worker, args=(plan, tmp_path), nprocs=2)
    two = torch.load(tmp_path / "weights.pt")
    assert_same_weights(one.encoder.trained_state(), two, atol=1e-5)


def test_the_average_is_judged_and_saved_and_the_weights_go_on(toy, tmp_path):
    kept = []

    def keep(trainee, metrics):
        save_state(trainee, tmp_path)
        kept.append(metrics["map"])

    plan = make_plan(toy, epochs=1, ema=0.9)
    trainee, plain = train(plan, keep=keep), train(make_plan(toy, epochs=1))
    assert_same_weights(plain.encoder.trained_state(), trainee.encoder.trained_state())
    assert_same_weights(trainee.average.weights, read_weights(tmp_path))
    assert judge(trained_encoder(plan, tmp_path), plan)["map"] == pytest.approx(kept[0])


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_last_checkpoint(toy, tmp_path):
    def keep_then_break(trainee, _):
        save_state(trainee, tmp_path)
        trainee.encoder.log_scale.data.fill_(float("nan"))

    with pytest.raises(
        TrainingError, match=r"epoch 2, step 21: the loss \(nan\) .* row \d+"
    ) as said:
        train(make_plan(toy), keep=keep_then_break)
    assert "\n" not in str(said.value)
    assert all(weight.isfinite().all() for weight in read_weights(tmp_path).values())


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_checkpoint_holds_adapters_alone_and_ends_as_an_encoder_without(kind, toy, tmp_path):
    plan = replace(make_plan(toy, epochs=1), adapter=kind, adapter_rank=2)
    trainee = train(plan, keep=lambda trainee, _: save_state(trainee, tmp_path))
    names = [name for name in read_weights(tmp_path) if name.startswith(("tuned.", "text."))]
    assert names
    assert all(".lora_" in name for name in names)
    merged = trained_encoder(plan, tmp_path)
    assert merged.state_dict().keys() == load_encoder(Path(plan.encoder)).state_dict().keys()
    features = open_store(Path(plan.images)).take(np.arange(8))
    image = {name: torch.from_numpy(x) for name, x in features.items()}
    ours, theirs = (e.eval().image_head(image) for e in (merged, trainee.encoder))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_accumulation_is_the_whole_batch(toy):
    whole, parts = (train(make_plan(toy, epochs=1, accumulate=k)) for k in (1, 4))
    assert_same_weights(whole.encoder.trained_state(), parts.encoder.trained_state(), atol=1e-5)


def test_bf16_learns_too_and_keeps_its_weights_in_fp32(toy):
    trainee = train(make_plan(toy, epochs=1, precision="bf16"))
    assert math.isfinite(trainee.progress.history[0]["loss"])
    assert {weight.dtype for weight in trainee.encoder.parameters()} == {torch.float32}


def test_batch_normalisation_and_frozen_weights_stay_as_they_are(toy):
    plan = make_plan(toy, epochs=1)
    before = train(make_plan(toy, epochs=1, learning_rate=1e-12)).encoder.state_dict()
    after = train(plan).encoder
    trained = after.trained_state()
    for name, value in after.state_dict().items():
        if name not in trained:
            assert torch.equal(value, before[name]), name


def test_training_stops_when_patience_ends():
    progress = Progress()
    for figure in (0.1, 0.3, 0.2, 0.3):
        assert not progress.is_over(epochs=10, patience=2)
        progress.note({OBJECTIVE: figure})
    assert progress.is_over(epochs=10, patience=2)
    assert progress.best_epoch == 1


def _worker(rank, plan, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    trainee = train(plan, wrap=lambda m: DistributedDataParallel(m, static_graph=True))
    if rank == 0:
        torch.save(trainee.encoder.trained_state(), folder / "weights.pt")
    dist.destroy_process_group()
