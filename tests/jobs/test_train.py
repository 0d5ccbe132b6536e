"""jobs/train.py on a small shop: what it leaves, and that twice is once."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from ray.train import Result

from jobs.train import main as train
from xmodal.matcher.saved import load_matcher
from xmodal.training.ray_train import OBJECTIVE
from xmodal.training.state import read_progress


@pytest.fixture(scope="module")
def trained(shop_config, ray_cluster):
    """The folder of a run, and what the job said."""
    home = shop_config.parent / "home"
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
        patch.setenv("XMODAL_HOME", str(home))
        assert train(["--config", str(shop_config), "--run", "mine", "--trace"]) == 0
    return home / "runs/mine", said.getvalue()


@pytest.mark.slow
def test_train_leaves_a_matcher_and_the_base_and_twice_is_once(trained, small_shop):
    run, said = trained
    assert "epoch 3/3: loss " in said
    assert "python jobs/build_index.py --config" in said
    written = (run / "matcher/matcher.json").stat().st_mtime_ns
    assert load_matcher(run.parents[1] / "base/matcher").encoder.spec.head == "linear"
    assert load_matcher(run / "reranked/matcher").reranker is not None
    assert train(["--config", str(small_shop), "--run", "mine"]) == 0
    assert (run / "matcher/matcher.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_best_and_last_checkpoint_are_kept_and_no_other(trained):
    result = Result.from_path(str(trained[0]))
    best, last = (
        Path(c.path) for c in (result.get_best_checkpoint(OBJECTIVE, "max"), result.checkpoint)
    )
    folders = {path.name for path in trained[0].glob("checkpoint_*") if path.is_dir()}
    assert folders == {best.name, last.name}
    history = read_progress(last).history
    assert len(history) == 3
    assert read_progress(best).history[-1][OBJECTIVE] == max(row[OBJECTIVE] for row in history)


@pytest.mark.slow
def test_a_run_of_other_settings_is_refused_in_one_line(small_shop, capsys):
    uneven = ["--set", "training.batch=13", "--set", "training.workers=2"]
    assert train(["--config", str(small_shop), "--run", "theirs", *uneven]) == 2
    assert "error: training.batch=13 does not fall into equal parts" in capsys.readouterr().err
