"""jobs/train.py on a small shop: what it leaves, and that twice is once."""

import pytest

from jobs.train import main as train
from xmodal.matcher.saved import load_matcher


@pytest.mark.slow
def test_train_leaves_a_matcher_and_the_base_and_twice_is_once(small_shop, capsys):
    assert train(["--config", str(small_shop), "--run", "mine", "--trace"]) == 0
    said = capsys.readouterr().out
    assert "epoch 2/2: loss " in said
    assert "python jobs/build_index.py --config" in said
    home = small_shop.parent / "home"
    written = (home / "runs/mine/matcher/matcher.json").stat().st_mtime_ns
    assert load_matcher(home / "base/matcher").encoder.spec.head == "linear"
    assert load_matcher(home / "runs/mine/reranked/matcher").reranker is not None
    assert train(["--config", str(small_shop), "--run", "mine"]) == 0
    assert (home / "runs/mine/matcher/matcher.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_run_of_other_settings_is_refused_in_one_line(small_shop, capsys):
    assert (
        train(["--config", str(small_shop), "--run", "theirs", "--set", "training.batch=13"]) == 2
    )
    assert "error: training.batch=13 does not fall into equal parts" in capsys.readouterr().err
