"""serve/apart.py: a step in another process, its outcome in this one."""

import os
import time
from pathlib import Path

import pytest

from serve.apart import run_apart
from serve.deploy import check_release
from xmodal.errors import ReleaseError, XmodalError


def test_what_a_step_returns_comes_back():
    assert run_apart(60, os.path.join, "a", "b") == "a/b"


def test_an_error_of_ours_stays_what_it_is(tmp_path):
    with pytest.raises(ReleaseError, match="no release yet"):
        run_apart(60, check_release, tmp_path)


def test_any_other_error_comes_as_one_line():
    with pytest.raises(XmodalError, match="^FileNotFoundError: .*nothing_there") as caught:
        run_apart(60, Path.read_text, Path("/nothing_there"))
    assert "\n" not in str(caught.value)


def test_a_step_that_dies_is_named_with_its_exit_code():
    with pytest.raises(XmodalError, match=r"_exit broke off \(exit code 7\)"):
        run_apart(60, os._exit, 7)


def test_a_step_that_hangs_is_ended():
    with pytest.raises(XmodalError, match="sleep did not end within 0.5 s"):
        run_apart(0.5, time.sleep, 60)
