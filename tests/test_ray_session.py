"""xmodal/ray_session.py: a head that is not there, through the exit code of a job."""

import os
import subprocess
import sys

import pytest

from tests.shops import make_rows, take_in, write_csv


@pytest.fixture
def home(tmp_path):
    take_in(write_csv(tmp_path / "shop", make_rows(12)), tmp_path / "home")
    return tmp_path / "home"


def train(home, **environ):
    """jobs/train.py in a process of its own: here, another test's cluster may be joined."""
    given = {"XMODAL_HOME": str(home), "RAY_AUTH_MODE": "disabled", **environ}
    command = [sys.executable, "jobs/train.py", "--set", "training.workers=1"]
    return subprocess.run(
        command, env=os.environ | given, capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.parametrize("address", ["127.0.0.1:59999", "[::1]:59999"])
def test_a_head_that_is_not_there_is_one_line_within_seconds(home, address):
    done = train(home, RAY_ADDRESS=address)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: no Ray head answers at {address} (")
    assert "unset RAY_ADDRESS" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (home / "runs").exists()
