"""serve/up.py on a Ray head that was there before: what it leaves as it was. One head for all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from serve.ports import free_ports, is_free
from serve.record import end, read_record
from tests.homes import tiny_home

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]

ROOT = Path(__file__).resolve().parents[2]
START_S = 240


@pytest.fixture(scope="module")
def ports():
    return dict(zip(("port", "mlflow_port", "dashboard_port"), free_ports(30)[-3:], strict=True))


def command(ports, name, *flags):
    sets = [part for key, port in ports.items() for part in ("--set", f"serve.{key}={port}")]
    return [sys.executable, "-m", f"serve.{name}", *flags, *sets]


def environment(home, **more):
    return {
        **os.environ,
        "XMODAL_HOME": str(home),
        "RAY_AUTH_MODE": "disabled",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.5",
        "OMP_NUM_THREADS": "1",
        **more,
    }


def run(home, command, **more):
    done = subprocess.run(
        command, env=environment(home, **more), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def head(tmp_path_factory, ports):
    """A home whose head was started alone, for jobs."""
    home = tmp_path_factory.mktemp("head")
    tiny_home(home)
    run(home, command(ports, "up", "--head-only"))
    yield home
    end(home)


def ready(ports):
    try:
        return httpx.get(f"http://127.0.0.1:{ports['port']}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_ctrl_c_leaves_the_head_that_was_there_before(head, ports):
    before = read_record(head)
    process = subprocess.Popen(
        command(ports, "up", "--foreground"), env=environment(head), cwd=ROOT
    )
    until = time.monotonic() + START_S
    while not (read_record(head).url and ready(ports)):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 0
    assert read_record(head) == before
    assert before.is_alive
    assert is_free("127.0.0.1", ports["port"])


def test_on_a_joined_cluster_down_takes_the_service_off_it(head, ports, tmp_path):
    tiny_home(tmp_path)
    more = {"RAY_ADDRESS": read_record(head).address}
    assert "the service is up" in run(tmp_path, command(ports, "up"), **more)
    assert ready(ports)
    assert "up already" in run(tmp_path, command(ports, "up"), **more)
    assert "xmodal on" in run(tmp_path, command(ports, "down"))
    assert not ready(ports)
    assert read_record(head).is_alive
