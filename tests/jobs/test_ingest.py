"""jobs/ingest.py: what a person types and sees."""

from jobs import ingest
from tests.shops import make_rows, write_csv


def run(*argv):
    return ingest.main([str(arg) for arg in argv])


def test_a_folder_comes_in_with_a_summary(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path / "home"))
    rows = make_rows(60)
    rows[7]["title"] = rows[7]["image"] = ""
    assert run("--catalog", write_csv(tmp_path / "shop", rows)) == 0
    shown = capsys.readouterr().out
    for line in (
        "59, 59 images",
        "empty",
        "made of titles",
        "cut from train",
        "python jobs/train.py",
    ):
        assert line in shown
    assert "val shares a picture with train" in shown


def test_a_second_run_says_that_nothing_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path / "home"))
    folder = write_csv(tmp_path / "shop", make_rows(10))
    assert [run("--catalog", folder), run("--catalog", folder)] == [0, 0]
    assert "unchanged since the last ingest" in capsys.readouterr().out


def test_mistakes_are_one_line_and_exit_two(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path / "home"))
    for argv, message in (
        (["--catalog", tmp_path / "nowhere"], "no such folder"),
        ([], "give --catalog"),
        (["--config", tmp_path / "none.yaml"], "cannot be read"),
        (["--set", "catalog.val_shares=0.1"], "did you mean catalog.val_share?"),
    ):
        assert run(*argv) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert not (tmp_path / "home" / "catalog.json").exists()


def test_without_a_home_there_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("XMODAL_HOME", raising=False)
    assert run("--catalog", write_csv(tmp_path / "shop", make_rows(3))) == 2
    assert "set XMODAL_HOME" in capsys.readouterr().err
