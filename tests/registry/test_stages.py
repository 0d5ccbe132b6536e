"""xmodal/registry/stages.py: done once, done again only when something changed."""

import pytest

from xmodal.registry.stages import Stages


def make_stages(home, said=None):
    lines = [] if said is None else said
    return Stages(home, announce=lines.append, say=lines.append)


def test_same_inputs_run_once_over_two_pipelines(tmp_path):
    calls = []
    for _ in range(2):
        record = make_stages(tmp_path).run("train", {"lr": 1}, lambda: calls.append(1) or {"n": 1})
        assert record == {"n": 1}
    assert len(calls) == 1


def test_changed_inputs_run_again(tmp_path):
    stages = make_stages(tmp_path)
    assert stages.run("train", {"lr": 1}, lambda: {"n": 1}) == {"n": 1}
    assert stages.run("train", {"lr": 2}, lambda: {"n": 2}) == {"n": 2}


def test_a_stage_that_failed_is_not_remembered(tmp_path):
    stages = make_stages(tmp_path)
    with pytest.raises(ZeroDivisionError):
        stages.run("index", 1, lambda: {"n": 1 / 0})
    assert stages.run("index", 1, lambda: {"n": 1}) == {"n": 1}


def test_a_result_whose_folder_is_gone_is_made_anew(tmp_path):
    stages, folder = make_stages(tmp_path), tmp_path / "matcher"
    folder.mkdir()
    stages.run("train", 1, lambda: {"folder": str(folder), "n": 1})
    folder.rmdir()
    assert stages.run("train", 1, lambda: {"folder": str(tmp_path), "n": 2})["n"] == 2


def test_a_folder_may_be_given_relative_to_the_home(tmp_path):
    stages = make_stages(tmp_path)
    (tmp_path / "matcher").mkdir()
    for _ in range(2):
        record = stages.run("register", 1, lambda: {"folder": "matcher", "n": len(stages.took_s)})
    assert record["n"] == 0


def test_a_torn_record_is_made_anew(tmp_path):
    stages = make_stages(tmp_path)
    stages.run("train", 1, lambda: {"n": 1})
    next((tmp_path / "stages").iterdir()).write_text('{"n"')
    assert stages.run("train", 1, lambda: {"n": 2}) == {"n": 2}


def test_a_result_that_is_no_longer_whole_is_made_anew(tmp_path):
    stages = make_stages(tmp_path)
    stages.run("index", 1, lambda: {"n": 1})
    assert stages.run("index", 1, lambda: {"n": 2}, lambda found: found["n"] > 1) == {"n": 2}
    assert stages.run("index", 1, lambda: {"n": 3}, lambda found: found["n"] > 1) == {"n": 2}


def test_a_reused_stage_says_so(tmp_path):
    said = []
    for _ in range(2):
        make_stages(tmp_path, said).run("train", 1, dict)
    assert any("as before" in line for line in said)
