"""Makefile: what is typed after `make shop` reaches the job as it is."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# As in a shell of its own: a `make test ARGS=...` above hands its variables down in these.
HANDED_DOWN = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "ARGS")
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in HANDED_DOWN}
AS_READY = ["-o", ".venv/.ready"]  # nothing is installed, however old the environment is


@pytest.mark.parametrize("folder", ["my shop", "s3://bucket/shop", "a #2 $HOME `x` \"'", "007"])
def test_a_shops_folder_reaches_the_job_as_it_was_typed(folder):
    given = [f"CATALOG={folder.replace('$', '$$')}", "GLOSSARY=terms of mine.json"]
    shown = ["PY=printf '%s\\n'", *AS_READY]
    done = _make("shop", *given, *shown)
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert words[-4:] == ["--catalog", folder, "--glossary", "terms of mine.json"]


def test_a_shop_without_a_folder_is_one_line():
    done = _make("shop", *AS_READY)
    assert done.returncode == 2
    assert done.stdout == "error: say which folder: make shop CATALOG=<your folder>\n"


def _make(*words):
    return subprocess.run(
        ["make", "-s", *words],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
