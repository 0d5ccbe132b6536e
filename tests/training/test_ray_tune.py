"""xmodal/training/ray_tune.py: a real search, killed and gone on with; room without a hang."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import ray

from tests.training.toy import make_plan
from xmodal.errors import ServiceError
from xmodal.settings import Settings
from xmodal.storage import write_json_atomic
from xmodal.training.prepare import PLAN_FILE
from xmodal.training.ray_tune import Room, find_room, search, trials_of

ROOT = Path(__file__).resolve().parents[2]
SPACE = [{"setting": "training.learning_rate", "low": 1e-4, "high": 1e-2, "log": True}]
FIRST = {"training.learning_rate": 3e-3}
SETTINGS = {
    "training": {"epochs": 2, "batch": 8, "learning_rate": 3e-3},
    "tuning": {"trials": 2, "space": SPACE},
}


@pytest.mark.slow
def test_a_killed_search_goes_on_and_begins_with_the_settings_as_they_stand(ray_cluster, tmp_path):
    plan = make_plan(tmp_path, epochs=2)
    write_json_atomic(tmp_path / PLAN_FILE, plan.as_config())
    _search_and_kill(tmp_path)
    seen = []
    trials = search(
        tmp_path,
        Settings.model_validate(SETTINGS),
        Room(1, 0.5),
        lambda trial, metrics, epoch: seen.append((trial, epoch)),
        FIRST,
    )
    assert len(trials) == 2
    assert sum(trial.point == FIRST for trial in trials) == 1
    assert {trial.epochs for trial in trials} <= {1, 2}
    assert sorted(seen) == [(t.name, e) for t in trials for e in range(t.epochs)]
    assert _free_cpus(2.5) > 2.5  # what the trials held is free again


@pytest.mark.slow
def test_no_more_trials_run_at_once_than_the_cluster_can_finish(ray_cluster):
    assert find_room(workers=2, gpu=False) == Room(1, 0.5)
    with pytest.raises(ServiceError, match=r"training\.workers=1, or start Ray"):
        find_room(workers=40, gpu=False)
    with pytest.raises(ServiceError, match="0 GPU"):
        find_room(workers=1, gpu=True)


def _free_cpus(wanted, within_s=60):
    """Ray frees what a trial held a little after the search has ended."""
    deadline = time.monotonic() + within_s
    while (free := ray.available_resources().get("CPU", 0)) <= wanted:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return free


def _search_and_kill(folder):
    """Start the search in a job of its own; kill that when its first trial has done an epoch."""
    script = f"""
        import ray
        from pathlib import Path
        from xmodal.settings import Settings
        from xmodal.training.ray_tune import Room, search
        ray.init(address={ray.get_runtime_context().gcs_address!r}, log_to_driver=False)
        settings = Settings.model_validate({SETTINGS!r})
        search(Path({str(folder)!r}), settings, Room(1, 0.5), print, {FIRST!r})
    """
    job = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)
    deadline = time.monotonic() + 240
    while not trials_of(folder):
        assert time.monotonic() < deadline
        assert job.poll() is None
        time.sleep(0.1)
    job.send_signal(signal.SIGKILL)
    job.wait()
