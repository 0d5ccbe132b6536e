"""jobs/tune.py on a small shop: the best trial becomes the matcher."""

import json

import pytest

from jobs.tune import main as tune
from xmodal.matcher.saved import load_matcher


@pytest.mark.slow
def test_tune_leaves_the_best_trial_as_a_matcher(small_shop, capsys):
    assert tune(["--config", str(small_shop), "--run", "search", "--trace"]) == 0
    assert "trials, best first" in capsys.readouterr().out
    folder = small_shop.parent / "home/runs/search"
    best = max(
        max(json.loads(line)["map"] for line in path.read_text().splitlines())
        for path in folder.glob("trials/*/history.jsonl")
    )
    assert load_matcher(folder / "matcher").facts.evaluation["map"] == best


@pytest.mark.slow
def test_a_space_outside_training_is_refused(small_shop, capsys):
    space = 'tuning.space=[{"setting": "matcher.dim", "choices": [8, 16]}]'
    assert tune(["--config", str(small_shop), "--set", space]) == 2
    assert "'matcher.dim' cannot be searched" in capsys.readouterr().err
