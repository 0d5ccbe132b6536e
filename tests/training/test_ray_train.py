"""xmodal/training/ray_train.py: a real cluster, a real killed worker, a real killed job."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray

from tests.training.test_loop import assert_same_weights, train
from tests.training.toy import make_plan
from xmodal.errors import ServiceError, SettingsError
from xmodal.settings import TrainingSettings
from xmodal.training.divergence import Diverged
from xmodal.training.history import HISTORY_FILE, read_history
from xmodal.training.ray_train import check_resources, fit_run
from xmodal.training.space import check_shares
from xmodal.training.state import read_progress, read_weights

TRAINING = {"epochs": 4, "retries": 1, "patience": 9}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return make_plan(tmp_path_factory.mktemp("toy"), **TRAINING)


@pytest.fixture(scope="module")
def alone(plan):
    """The run without Ray, by one worker; without dropout, only rounding is left between them."""
    return train(plan)


@pytest.fixture(scope="module")
def worker_killed(ray_cluster, plan, tmp_path_factory):
    """The last checkpoint of a run of two workers, one of which was killed."""
    folder = tmp_path_factory.mktemp("runs")
    killer = threading.Thread(target=_kill_a_worker, args=(folder / "killed",))
    killer.start()
    _, last = fit_run(plan, folder, "killed")
    killer.join()
    return last


def test_a_batch_of_unequal_parts_is_refused():
    with pytest.raises(SettingsError, match=r"training\.batch=9 .* multiple of 2"):
        check_shares(TrainingSettings(batch=9, workers=2))


@pytest.mark.slow
def test_two_workers_under_ray_one_killed_end_near_one_without(worker_killed, alone):
    assert_same_weights(alone.encoder.trained_state(), read_weights(worker_killed), atol=1e-4)
    assert losses(read_progress(worker_killed)) == pytest.approx(losses(alone.progress), abs=1e-5)


@pytest.mark.slow
def test_a_killed_job_goes_on_where_it_stopped(worker_killed, plan, tmp_path):
    script = f"""
        import ray
        from pathlib import Path
        from xmodal.training.prepare import TrainPlan
        from xmodal.training.ray_train import fit_run
        ray.init(address={ray.get_runtime_context().gcs_address!r}, log_to_driver=False)
        fit_run(TrainPlan(**{plan.as_config()!r}), Path({str(tmp_path)!r}), "job")
    """
    job = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)
    _wait_for_epochs(tmp_path / "job", 1)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert len(read_history(tmp_path / "job")) < TRAINING["epochs"]
    _, last = fit_run(plan, tmp_path, "job")
    assert_same_weights(read_weights(worker_killed), read_weights(last))
    assert losses(read_progress(last)) == losses(read_progress(worker_killed))


@pytest.mark.slow
def test_workers_that_the_cluster_can_never_start_are_an_error(ray_cluster):
    with pytest.raises(ServiceError, match="need 50 CPU, and the cluster has 4"):
        check_resources({"workers": 100, "gpu": False}, worker_cpus=0.5)


def losses(progress):
    assert len(progress.history) == TRAINING["epochs"]
    return [row["loss"] for row in progress.history]


def _wait_for_epochs(run, epochs):
    deadline = time.monotonic() + 300
    while len(read_history(run)) < epochs:
        assert time.monotonic() < deadline, f"no {HISTORY_FILE} in {run}"
        time.sleep(0.05)


def _kill_a_worker(run):
    """Kill worker 1 after two epochs, one more than the killed job has done, so that two runs that
    went on from different places are compared. Ours only: this process started the cluster."""
    _wait_for_epochs(run, 2)
    mine = [p for p in psutil.Process().children(recursive=True) if _is_worker(p)]
    os.kill(max(p.pid for p in mine), signal.SIGKILL)


def _is_worker(process):
    try:
        return "RayTrainWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_the_objective_is_one_name_in_both_files():
    from xmodal.training import loop, ray_train

    assert loop.OBJECTIVE == ray_train.OBJECTIVE


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_run_at_once(ray_cluster, tmp_path):
    plan = make_plan(tmp_path / "toy", **TRAINING)
    path = Path(plan.texts) / "sentence_BS.npy"
    np.save(path, np.full_like(np.load(path), np.nan))
    with pytest.raises(Diverged, match="epoch 1, step 1: the loss"):
        fit_run(plan, tmp_path / "runs", "broken")
