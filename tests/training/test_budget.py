"""xmodal/training/budget.py: epochs for a stated time, kept; a longer budget goes on."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture
from tests.training.toy import make_plan
from xmodal.errors import SettingsError
from xmodal.settings import Settings
from xmodal.storage import write_json_atomic
from xmodal.training import budget
from xmodal.training.batches import passes_of
from xmodal.training.budget import Clock, Costs, seconds_of, shorter_run, within_budget
from xmodal.training.captions import load_table
from xmodal.training.history import write_history
from xmodal.training.prepare import CLAIM_FILE, load_plan
from xmodal.training.state import save_state
from xmodal.training.worker import train_worker

EPOCH = {"loss": 1.0, "map": 0.5, "train_s": 30.0, "validate_s": 10.0}


@pytest.fixture
def catalog(tmp_path):
    rows = [make_product(n, images=[make_picture(n)]) for n in range(4)]
    return make_catalog(tmp_path / "catalog", rows)


@pytest.fixture
def known(monkeypatch):
    """Costs that are not this machine's, and a process that has just begun."""
    monkeypatch.setattr(budget, "measure_costs", lambda *_: Costs(epoch_s=10.0, after_s=100.0))
    monkeypatch.setattr(budget.psutil.Process, "create_time", lambda _: time.time())


def begin(runs: Path, name: str, given: str | None, *, batch: int = 12, epochs: int = 0) -> Path:
    folder = runs / name
    folder.mkdir(parents=True)
    write_json_atomic(folder / CLAIM_FILE, {"training.batch": batch, "budget": given})
    if epochs:
        write_history(folder, [EPOCH] * epochs)
    return folder


def epochs_for(folder, toy, catalog, given, shares=1):
    settings = Settings(budget=given)
    return within_budget(toy, folder, catalog, settings, shares=shares).training["epochs"]


@pytest.mark.parametrize(("given", "seconds"), [("90s", 90), ("40m", 2400), ("1.5h", 5400)])
def test_a_time_is_read(given, seconds):
    assert seconds_of(given) == seconds


@pytest.mark.parametrize("given", ["", "h", "2 hours", "-1h", "0m", "nanh", "infh", "90"])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(SettingsError, match="give a time such as 40m or 2h"):
        seconds_of(given)


def test_epochs_fill_what_the_rest_of_the_job_leaves(tmp_path, catalog, known):
    toy = make_plan(tmp_path / "toy")
    runs = tmp_path / "runs"
    assert epochs_for(begin(runs, "train-a", "305s"), toy, catalog, "305s") == 19  # 195 s of 10
    assert epochs_for(begin(runs, "train-b", "305s"), toy, catalog, "305s", shares=2) == 9
    assert epochs_for(begin(runs, "train-c", "60s"), toy, catalog, "60s") == 1
    passes = passes_of(len(load_table(Path(toy.data))), toy.training["batch"])
    most = budget.MOST_PASSES // 2 // passes  # few products: each epoch passes them often
    assert epochs_for(begin(runs, "train-d", "9h"), toy, catalog, "9h") == most
    plan = load_plan(runs / "train-a")
    assert plan.facts["epochs"].startswith("19: 305s leave 3 min to train")
    assert plan.training["patience"] == 9


def test_a_run_that_is_resumed_keeps_its_epochs(tmp_path, catalog, known, monkeypatch):
    toy, folder = make_plan(tmp_path / "toy"), begin(tmp_path / "runs", "train-a", "500s")
    first = epochs_for(folder, toy, catalog, "500s")
    monkeypatch.setattr(budget, "measure_costs", lambda *_: Costs(1.0, 0.0))
    assert epochs_for(folder, toy, catalog, "500s") == first


def test_a_longer_budget_goes_on_and_counts_the_time_spent(tmp_path, catalog, known):
    toy, runs = make_plan(tmp_path / "toy"), tmp_path / "runs"
    short = begin(runs, "train-short", "500s", epochs=10)
    write_json_atomic(short / budget.CLOCK_FILE, {"an earlier job": 400.0})
    long = begin(runs, "train-long", "640s")
    assert shorter_run(long) == short
    assert epochs_for(long, toy, catalog, "640s") == 10 + 13  # 10 done; 133 s of 10 are left
    assert Clock(long).spent_s() == pytest.approx(400, abs=5)


def test_a_longer_schedule_goes_on_from_the_shorter_ones_end(tmp_path):
    toy, cpu = make_plan(tmp_path / "toy", epochs=2), torch.device("cpu")
    short = train_worker(toy, cpu, lambda model: model, lambda t, _: save_state(t, tmp_path))
    longer = replace(toy, training=toy.training | {"epochs": 4})
    trainee = train_worker(longer, cpu, lambda model: model, lambda *_: None, tmp_path)
    assert len(trainee.progress.history) == 4
    assert trainee.progress.history[:2] == short.progress.history
    moved = [
        (weight - short.encoder.get_parameter(name)).abs().max()
        for name, weight in trainee.encoder.trained_state().items()
    ]
    assert max(moved) > 1e-3  # the rate, at nought when the shorter one ended, is up again


def test_only_a_run_alike_in_all_but_a_smaller_budget_is_gone_on_from(tmp_path):
    runs = tmp_path / "runs"
    begin(runs, "train-other", "5m", batch=24, epochs=2)
    begin(runs, "train-longer", "3h", epochs=2)
    begin(runs, "train-no-budget", None, epochs=2)
    begin(runs, "train-without-an-epoch", "5m")
    begin(runs, "tune-alike", "5m", epochs=2)
    assert shorter_run(begin(runs, "train-mine", "1h")) is None


def test_the_time_of_a_killed_job_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(budget.psutil.Process, "create_time", lambda _: time.time() - 50)
    Clock(tmp_path).keep()
    monkeypatch.setattr(budget.psutil.Process, "create_time", lambda _: time.time() - 7)
    assert Clock(tmp_path).spent_s() == pytest.approx(57, abs=2)


def test_epochs_given_by_hand_win_over_a_budget(tmp_path, catalog):
    settings = Settings.model_validate({"budget": "1h", "training": {"epochs": 6}})
    toy = make_plan(tmp_path / "toy")
    assert within_budget(toy, begin(tmp_path / "runs", "train-a", None), catalog, settings) is toy
    assert Settings(budget="1h").epoch_budget == "1h"


def test_no_budget_leaves_the_plan_alone_and_gpus_refuse_one(tmp_path, catalog):
    toy, folder = make_plan(tmp_path / "toy"), begin(tmp_path / "runs", "train-a", None)
    assert within_budget(toy, folder, catalog, Settings()) is toy
    with pytest.raises(SettingsError, match=r"set training\.epochs"):
        within_budget(make_plan(tmp_path / "toy", gpu=True), folder, catalog, Settings(budget="1h"))


def test_costs_are_measured_on_the_plan_or_read_from_what_was_done(tmp_path, catalog):
    toy = make_plan(tmp_path / "toy")
    measured = budget.measure_costs(toy, catalog, [])
    assert 0 < measured.epoch_s < 30
    assert measured.after_s > budget.AFTER_S
    assert budget.measure_costs(toy, catalog, [EPOCH, EPOCH]).epoch_s == 40
