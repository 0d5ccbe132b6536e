"""jobs/promote.py: exit codes, and what a person reads."""

import json

from jobs.promote import main


def test_a_home_without_a_candidate_is_one_line_and_the_users(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    assert main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no candidate")
    assert error.count("\n") == 1


def test_a_torn_candidate_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "candidate.json").write_text(json.dumps({"index": "i"}))
    assert main([]) == 2
    assert "candidate.json holds no candidate" in capsys.readouterr().err


def test_nothing_to_roll_back_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    assert main(["--rollback"]) == 2
    assert "nothing is released" in capsys.readouterr().err


def test_no_home_is_said_before_anything_else(monkeypatch, capsys):
    monkeypatch.delenv("XMODAL_HOME", raising=False)
    assert main([]) == 2
    assert "XMODAL_HOME" in capsys.readouterr().err
