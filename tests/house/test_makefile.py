"""Makefile: what is typed after `make shop` reaches the job as it is."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AS_READY = ["-o", ".venv/.ready"]  # nothing is installed, however old the environment is


@pytest.mark.parametrize("folder", ["my shop", "s3://bucket/shop", "a #2 $HOME `x` \"'", "007"])
def test_a_shops_folder_reaches_the_job_as_it_was_typed(folder):
    given = [f"CATALOG={folder.replace('$', '$$')}", "GLOSSARY=terms of mine.json"]
    shown = ["PY=printf '%s\\n'", *AS_READY]
    done = subprocess.run(
        ["make", "-s", "shop", *given, *shown], cwd=ROOT, capture_output=True, text=True, check=True
    )
    words = done.stdout.splitlines()
    assert words[-4:] == ["--catalog", folder, "--glossary", "terms of mine.json"]


def test_a_shop_without_a_folder_is_one_line():
    done = subprocess.run(
        ["make", "-s", "shop", *AS_READY], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == "error: say which folder: make shop CATALOG=<your folder>\n"
