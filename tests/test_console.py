"""xmodal/console.py: flags, one-line errors, progress without a terminal."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from xmodal.console import (
    absolute,
    job_parser,
    next_command,
    next_job,
    next_serve,
    progress,
    run_job,
    table,
)
from xmodal.errors import CatalogError, StorageError


def run(argv, job=lambda job: 0, flag=None):
    parser = job_parser("Do it.\n\nMore.")
    if flag:
        parser.add_argument(flag)
    return run_job(parser, argv, job)


def raising(error):
    def job(_):
        raise error

    return job


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CatalogError("no folder"), 2, "error: no folder\n"),
        (StorageError("disk full"), 1, "error: disk full\n"),
        (ZeroDivisionError("x\ny"), 1, "error: ZeroDivisionError: x y (--trace shows where)\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error, code, line, capsys):
    assert run([], raising(error)) == code
    assert capsys.readouterr().err == line


def test_trace_shows_where(capsys):
    assert run(["--trace"], raising(CatalogError("no folder"))) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bad_setting_is_the_users_error(capsys):
    assert run(["--set", "training.epoch=3"]) == 2
    assert "did you mean training.epochs" in capsys.readouterr().err


def test_an_interrupt_is_quiet(capsys):
    assert run([], raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_print_config_shows_who_set_what(capsys, monkeypatch):
    monkeypatch.setenv("XMODAL_SEED", "7")
    assert run(["--print-config", "--set", "training.epochs=3"], raising(ValueError)) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["training.epochs"] == ["3", "--set"]
    assert lines["seed"] == ["7", "XMODAL_SEED"]
    assert lines["training.batch"][-1] == "default"


def test_a_jobs_own_flag_becomes_a_setting():
    parser = job_parser("Do it.")
    parser.add_argument("--catalog")
    seen = []
    code = run_job(
        parser,
        ["--catalog", "/shop #2"],
        lambda job: seen.append(job.settings.catalog.path) or 0,
        lambda args: [("catalog.path", args.catalog)],
    )
    assert (code, seen) == (0, ["/shop #2"])


def test_the_job_knows_its_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    seen = []
    assert run([], lambda job: seen.append(job.home) or 0) == 0
    assert seen == [tmp_path]


def test_without_a_terminal_every_tenth_is_a_line(capsys):
    with progress("embed", 40) as bar:
        for _ in range(40):
            bar.advance()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" after")[0] for line in lines] == [f"embed: {p}0 %" for p in range(1, 11)]


def test_a_table_aligns(capsys):
    table("made", {"rows": 3, "products": "many"})
    assert capsys.readouterr().out == "\nmade\n  rows      3\n  products  many\n"


def test_the_next_command_can_be_pasted(capsys):
    next_command("make serve")
    assert capsys.readouterr().out == "\nnext: make serve\n"


def test_the_next_job_is_typed_as_this_one_was(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("XMODAL_HOME", raising=False)
    (tmp_path / "my shop.yaml").write_text("seed: 1")
    given = ["--config", str(tmp_path / "my shop.yaml")]
    monkeypatch.setattr(sys, "executable", str(Path.cwd() / ".venv/bin/python"))
    assert run(given, lambda job: next_job(job, "train", "--matcher", "/a b") or 0) == 0
    typed = capsys.readouterr().out.split("next: ")[1].strip()
    assert typed == f".venv/bin/python jobs/train.py --config '{given[1]}' --matcher '/a b'"
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "python").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert run(given, lambda job: next_job(job, "train") or 0) == 0
    assert "next: python jobs/train.py" in capsys.readouterr().out


def test_what_comes_next_names_the_home_and_no_config_that_is_not_there(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    assert run([], lambda job: next_serve(job) or 0) == 0
    assert capsys.readouterr().out == f"\nnext: XMODAL_HOME={tmp_path} make serve\n"


def test_paths_become_absolute_and_uris_stay():
    assert absolute("my shop") == str(Path.cwd() / "my shop")
    assert absolute("~/shop") == str(Path.home() / "shop")
    assert absolute("s3://bucket/my shop") == "s3://bucket/my shop"


def test_help_answers_within_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "jobs/ingest.py", "--help"], capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "--print-config" in done.stdout
    # Of a core, however busy the machine: a free one takes half a second, torch alone two.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    heavy = (
        "import sys; import jobs.ingest; print([m for m in ('torch', 'ray') if m in sys.modules])"
    )
    light = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True)
    assert light.stdout.strip() == "[]"
