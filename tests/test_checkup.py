"""xmodal/checkup.py: what is looked at, and what is said of what is missing."""

import socket

import pytest

from serve.ports import free_ports
from tests.homes import tiny_home
from xmodal import checkup
from xmodal.checkup import check_up
from xmodal.cli import main
from xmodal.settings import Settings
from xmodal.storage import write_json_atomic

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def settings():
    names = ("port", "mlflow_port", "dashboard_port")
    return Settings.model_validate({"serve": dict(zip(names, free_ports(3), strict=True))})


@pytest.fixture(autouse=True)
def room(monkeypatch):
    """This machine's own disk is no matter of these tests."""
    monkeypatch.setattr(checkup, "LEAST_DISK", 0)


def looked(home, settings, **environ):
    return {check.name: check for check in check_up(home, settings, environ)}


def test_a_new_home_has_nothing_bad(tmp_path, settings):
    found = looked(tmp_path / "new", settings)
    assert [check.name for check in found.values() if check.state == "bad"] == []
    assert found["home"].state == found["release"].state == found["service"].state == "note"


def test_a_release_is_good_while_its_parts_are_there(tmp_path, settings):
    release = tiny_home(tmp_path)
    assert looked(tmp_path, settings)["release"].state == "good"
    release.index_folder(tmp_path).rename(tmp_path / "gone")
    lost = looked(tmp_path, settings)["release"]
    assert lost.state == "bad"
    assert release.index in lost.seen
    assert "--rollback" in lost.mend
    (tmp_path / "releases" / "pointer.json").write_text("{", encoding="utf-8")
    assert "cannot be read" in looked(tmp_path, settings)["release"].seen


def test_a_port_of_somebody_else_is_named_with_its_setting(tmp_path, settings):
    with socket.create_server(("127.0.0.1", settings.serve.port)):
        found = looked(tmp_path, settings)["port"]
        assert found.state == "bad"
        assert "serve.port" in found.mend
        write_json_atomic(tmp_path / "service.json", {})
        assert looked(tmp_path, settings)["port"].state == "good"


def test_a_head_that_is_not_there_and_a_missing_token_are_bad(tmp_path, settings):
    (port,) = free_ports(1)
    nowhere = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}
    found = looked(tmp_path, settings, RAY_ADDRESS=f"127.0.0.1:{port}", **nowhere)
    assert found["ray"].state == found["token"].state == "bad"
    assert found["token"].mend == "ray get-auth-token --generate"
    assert looked(tmp_path, settings, RAY_AUTH_TOKEN="t")["token"].state == "good"


def test_the_command_ends_with_2_where_anything_is_bad(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(checkup, "_port", lambda name, *_, **__: checkup.Check(name, "good", ""))
    assert main(["check"]) == 0
    monkeypatch.setattr(checkup, "LEAST_DISK", 1 << 62)
    assert main(["check"]) == 2
    printed = capsys.readouterr().out
    assert "BAD   disk" in printed
    assert "-> free " in printed
