"""jobs/tune.py on a small shop: a killed search goes on; its best trial becomes the matcher."""

import re
import subprocess
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import ray

from jobs.tune import main as tune
from xmodal.catalog.store import current_catalog
from xmodal.layers import load_settings
from xmodal.matcher.saved import load_matcher
from xmodal.training.ray_tune import trials_of, tune_encoder

ROOT = Path(__file__).resolve().parents[2]
FIRST = {"training.learning_rate": 3e-3}  # as the small shop's config has it
JOB = """
import sys
import ray
from jobs.tune import main
ray.init(address=sys.argv[1], log_to_driver=False)
main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def searched(shop_config, ray_cluster):
    """The folder of a search that was killed after an epoch of a trial; what the next one said.

    And the processors that were free between them: a job that is killed at the very moment at which
    a trial takes its own leaves them taken, as Ray does not yet know whose they are.
    """
    folder = shop_config.parent / "home/runs/search"
    flags = ["--config", str(shop_config), "--run", "search"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_HOME", str(shop_config.parent / "home"))
        _search_and_kill(folder, flags)
        free = _free_cpus(ray.cluster_resources()["CPU"], within_s=30)
        with redirect_stdout(StringIO()) as said:
            assert tune([*flags, "--trace"]) == 0
    return folder, said.getvalue(), free


def _search_and_kill(folder, flags):
    address = ray.get_runtime_context().gcs_address
    job = subprocess.Popen([sys.executable, "-c", JOB, address, *flags], cwd=ROOT)
    deadline = time.monotonic() + 240
    while not trials_of(folder):
        assert time.monotonic() < deadline
        assert job.poll() is None
        time.sleep(0.1)
    job.kill()
    job.wait()


def _free_cpus(wanted, within_s=60):
    """Ray frees what a trial held a little after the search has ended."""
    deadline = time.monotonic() + within_s
    while (free := ray.available_resources().get("CPU", 0)) < wanted:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return free


@pytest.mark.slow
def test_a_killed_search_goes_on_and_begins_with_the_settings_as_they_stand(searched):
    trials = trials_of(searched[0])
    assert len(trials) == 2
    assert sum(trial.point == FIRST for trial in trials) == 1
    assert {trial.epochs for trial in trials} <= {1, 2, 3}
    seen = re.findall(r"^(trial-\S+): epoch (\d)/3: ", searched[1], re.MULTILINE)
    assert sorted(seen) == [(t.name, str(e + 1)) for t in trials for e in range(t.epochs)]
    free = searched[2]
    assert free > 2  # of four: two trials in the making hold less than the rest
    assert _free_cpus(free) >= free  # what the trials held is free again


@pytest.mark.slow
def test_tune_leaves_the_best_trial_as_a_matcher(searched):
    folder, said, _ = searched
    assert "trials, best first" in said
    best = max(trial.best for trial in trials_of(folder))
    assert load_matcher(folder / "matcher").facts.evaluation["map"] == best


@pytest.mark.slow
def test_a_search_that_beats_nothing_saves_nothing(searched):
    home = searched[0].parents[1]
    settings = load_settings(home.parent / "small.yaml", [], {})
    catalog, best = current_catalog(home), max(t.best for t in trials_of(searched[0]))
    for to_beat, is_saved in ((best, False), (best - 0.001, True)):
        found = tune_encoder(home, catalog, settings, "search", print, to_beat=to_beat)
        assert (found.folder is not None) == is_saved
        assert found.metrics["map"] == best


@pytest.mark.slow
def test_a_space_outside_training_is_refused(small_shop, capsys):
    space = 'tuning.space=[{"setting": "matcher.dim", "choices": [8, 16]}]'
    assert tune(["--config", str(small_shop), "--set", space]) == 2
    assert "'matcher.dim' cannot be searched" in capsys.readouterr().err
