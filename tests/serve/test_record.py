"""serve/record.py, ports.py and up.py: what is started is ended, and nothing else is."""

import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from serve.ports import check_free, free_ports
from serve.record import Record, Started, end, read_record, started, write_record
from serve.up import main
from tests.homes import tiny_home
from xmodal.errors import ServiceError
from xmodal.settings import ServeSettings

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = f"import subprocess, time; subprocess.Popen({SLEEP!r}); time.sleep(60)"


def spawn(command=SLEEP):
    return subprocess.Popen(command, start_new_session=True)


def children(process):
    import psutil

    for _ in range(100):
        found = psutil.Process(process.pid).children()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("no child came")


def test_the_record_ends_what_it_names_and_its_children(tmp_path):
    parent = spawn([sys.executable, "-c", PARENT])
    (child,) = children(parent)
    write_record(tmp_path, Record("here", None, (started("ray", parent.pid),)))
    assert read_record(tmp_path).is_alive
    assert end(tmp_path)
    assert not child.is_running()
    assert parent.poll() is not None
    assert read_record(tmp_path) is None


def test_a_number_that_was_used_again_is_left_alone(tmp_path):
    other = spawn()
    begun = started("ray", other.pid).began
    write_record(tmp_path, Record("here", None, (Started("ray", other.pid, begun - 100),)))
    assert end(tmp_path) == []
    assert other.poll() is None
    other.kill()
    other.wait()


def test_on_a_joined_cluster_alive_means_deployed():
    assert Record("there", "http://there", ()).is_alive
    assert Record("there", "http://there", (Started("mlflow", 1, 0.0),)).is_joined
    assert not Record("there", None, ()).is_alive
    assert not Record("there", "http://there", (), is_ending=True).is_alive


def test_what_an_earlier_record_names_lives_on(tmp_path, monkeypatch):
    monkeypatch.setattr("serve.record.WITHDRAW_S", 0.1)  # there is no cluster
    head, mlflow = spawn(), spawn()
    kept = Record("127.0.0.1:1", None, (started("ray", head.pid),))
    write_record(tmp_path, replace(kept, processes=(*kept.processes, started("m", mlflow.pid))))
    end(tmp_path, kept)
    assert (head.poll(), read_record(tmp_path)) == (None, kept)
    assert mlflow.poll() is not None
    end(tmp_path)


def test_nothing_to_end_is_no_error(tmp_path):
    assert end(tmp_path) == []


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket(socket.AF_INET) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.enable_socket
def test_a_port_in_use_is_named_with_its_setting(taken):
    with pytest.raises(ServiceError, match=rf"port {taken} is in use.*--set serve.mlflow_port"):
        check_free(ServeSettings(mlflow_port=taken), ("mlflow_port",))


@pytest.mark.enable_socket
def test_free_ports_differ():
    assert len(set(free_ports(4))) == 4


@pytest.mark.enable_socket
def test_up_says_in_one_line_that_a_port_is_taken(tmp_path, monkeypatch, capsys, taken):
    tiny_home(tmp_path)
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    assert main(["--set", f"serve.port={taken}"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"port {taken}" in message
    assert not (tmp_path / "service.json").exists()


def test_up_without_a_release_says_what_to_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    assert main([]) == 2
    assert "pipeline.py" in capsys.readouterr().err


def test_up_refuses_an_index_of_another_encoder(tmp_path, monkeypatch, capsys):
    release = tiny_home(tmp_path)
    facts = release.matcher_folder(tmp_path) / "matcher.json"
    facts.write_text(facts.read_text().replace(release.matcher.fingerprint, "0" * 16))
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    assert main([]) == 2
    assert "holds vectors of encoder" in capsys.readouterr().err
