"""serve/up.py: what is checked before anything starts, and who may end what."""

import argparse
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve.record import Record, end, read_record, started, write_record
from serve.up import _check, _stay, main
from tests.homes import tiny_home
from xmodal.console import Job
from xmodal.errors import ServiceError
from xmodal.settings import ServeSettings, Settings, TrackingSettings

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = f"import subprocess, time; subprocess.Popen({SLEEP!r}); time.sleep(60)"


@pytest.fixture
def head():
    """A process that stands for a Ray head."""
    with subprocess.Popen([sys.executable, "-c", PARENT], start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket(socket.AF_INET) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.enable_socket
def test_a_failed_up_leaves_the_head_of_an_earlier_one(tmp_path, monkeypatch, head, taken):
    tiny_home(tmp_path)
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    before = Record("127.0.0.1:1", None, (started("ray", head.pid),))
    write_record(tmp_path, before)
    assert main(["--set", f"serve.port={taken}"]) == 2
    assert head.poll() is None
    assert read_record(tmp_path) == before
    end(tmp_path)


@pytest.mark.enable_socket
@pytest.mark.parametrize(("address", "uri"), [("10.0.0.1:6379", None), (None, "http://tracked")])
def test_only_ports_that_are_needed_must_be_free(tmp_path, monkeypatch, taken, address, uri):
    tiny_home(tmp_path)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)
    wanted = ServeSettings(port=taken) if address else ServeSettings(mlflow_port=taken)
    free = {name: 40_000 + n for n, name in enumerate(ServeSettings.model_fields) if "port" in name}
    serve = wanted.model_copy(update=free | wanted.model_dump(exclude_unset=True))
    settings = Settings(home=str(tmp_path), serve=serve, tracking=TrackingSettings(uri=uri))
    job = Job(argparse.Namespace(head_only=False), settings, None)
    assert _check(job, None).id.startswith("r0001")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    local = settings.model_copy(update={"tracking": TrackingSettings()})
    with pytest.raises(ServiceError, match=f"port {taken}"):
        _check(Job(job.args, local, None), None)


def test_whoever_stays_may_go_when_another_ends_it(tmp_path, monkeypatch, head):
    monkeypatch.setattr("serve.record.PATIENCE_S", 4)  # its child outlives the head by half of it
    write_record(tmp_path, Record("here", "http://here", (started("ray", head.pid),)))
    with ThreadPoolExecutor(1) as pool:
        stays = pool.submit(_stay, tmp_path)
        time.sleep(0.5)
        assert not stays.done()
        end(tmp_path)
        stays.result(10)


def test_a_head_that_dies_by_itself_is_an_error(tmp_path, head):
    write_record(tmp_path, Record("here", "http://here", (started("ray", head.pid),)))
    head.kill()
    with pytest.raises(ServiceError, match=r"ray\.log"):
        _stay(tmp_path)
    end(tmp_path)
