"""A look at a set-up: is everything there that the jobs and the service need? `xmodal check`.

Reads files, asks sockets and the service; starts nothing, and needs neither Ray nor a model.
"""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from xmodal.errors import StorageError, XmodalError
from xmodal.settings import Settings
from xmodal.storage import read_json

State = Literal["good", "note", "bad"]
LEAST_DISK = 5 << 30  # a catalogue of 40,000 products leaves 3 GB in its home
LEAST_MEMORY = 4 << 30  # what the whole job on it needed at the most
KNOCK_S = 2.0
TOKEN_FILE = "~/.ray/auth_token"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `mend` says what to do where it is not good."""

    name: str
    state: State
    seen: str
    mend: str = ""


def check_up(home: Path, settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """All checks, one after the other; each says what it saw."""
    yield _home(home)
    yield _disk(home)
    yield _memory()
    yield _release(home)
    is_up = (home / "service.json").exists()
    for name in ("port", "mlflow_port", "dashboard_port"):
        yield _port(name, settings.serve.host, getattr(settings.serve, name), is_up=is_up)
    yield _service(settings, is_up=is_up)
    yield _head(environ)
    yield _token(environ)


def _home(home: Path) -> Check:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        return Check("home", "bad", f"{home} cannot be written", "set XMODAL_HOME=<folder>")
    if there != home:
        return Check(
            "home", "note", f"{home} is not there yet", "make demo, or make shop, makes it"
        )
    return Check("home", "good", str(home))


def _disk(home: Path) -> Check:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    seen = f"{free / 2**30:.1f} GB free"
    if free < LEAST_DISK:
        return Check("disk", "bad", seen, f"free {LEAST_DISK >> 30} GB, or move XMODAL_HOME")
    return Check("disk", "good", seen)


def _memory() -> Check:
    free = psutil.virtual_memory().available
    seen = f"{free / 2**30:.1f} GB free, {os.cpu_count()} cores"
    if free < LEAST_MEMORY:
        return Check("memory", "note", seen, f"the whole job wants {LEAST_MEMORY >> 30} GB")
    return Check("memory", "good", seen)


def _release(home: Path) -> Check:
    """Whether the pointer names a release whose parts are there."""
    try:
        if not (home / "releases" / "pointer.json").exists():
            return Check("release", "note", "none yet", "python jobs/pipeline.py makes one")
        live = str(_object(home / "releases" / "pointer.json")["release"])
        release = _object(home / "releases" / f"{live}.json")
        matcher = home / str(_part(release["matcher"])["folder"])
        index = home / "indexes" / str(release["index"])
    except (StorageError, KeyError) as error:
        mend = "python jobs/promote.py --rollback, or make a new one: python jobs/pipeline.py"
        return Check("release", "bad", f"cannot be read ({error})", mend)
    for folder in (matcher, index):
        if not folder.is_dir():
            mend = "put it back, or roll back: python jobs/promote.py --rollback"
            return Check("release", "bad", f"{live} lacks {folder}", mend)
    return Check("release", "good", f"{live}, its matcher and its index are there")


def _port(name: str, host: str, port: int, *, is_up: bool) -> Check:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(KNOCK_S)
        is_taken = probe.connect_ex((host, port)) == 0
    if is_taken and not is_up:
        mend = f"end what listens there, or set another: --set serve.{name}=..."
        return Check(name, "bad", f"{port} is taken by something else", mend)
    return Check(name, "good", f"{port} {'in use by this home' if is_taken else 'free'}")


def _service(settings: Settings, *, is_up: bool) -> Check:
    from xmodal.client import Client

    if not is_up:
        return Check("service", "note", "not up", "make serve starts it")
    try:
        with Client(f"http://{settings.serve.host}:{settings.serve.port}") as client:
            return Check("service", "good", f"answers with release {client.release()}")
    except XmodalError as error:
        return Check("service", "bad", str(error), "make down, then make serve")


def _head(environ: Mapping[str, str]) -> Check:
    address = environ.get("RAY_ADDRESS", "")
    if not address:
        return Check("ray", "good", "RAY_ADDRESS is not set: jobs start a Ray of their own")
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()
    except (OSError, ValueError) as error:
        mend = "start the head (ray start --head), or unset RAY_ADDRESS"
        return Check("ray", "bad", f"nothing answers at {address} ({error})", mend)
    return Check("ray", "good", f"a head answers at {address}")


def _token(environ: Mapping[str, str]) -> Check:
    if environ.get("RAY_AUTH_MODE", "token") != "token":
        mend = "RAY_AUTH_MODE=token, unless nobody else reaches this machine"
        return Check("token", "note", "Ray asks for none", mend)
    place = Path(environ.get("RAY_AUTH_TOKEN_PATH", TOKEN_FILE)).expanduser()
    if environ.get("RAY_AUTH_TOKEN") or place.is_file():
        return Check("token", "good", "there")
    state: State = "bad" if environ.get("RAY_ADDRESS") else "note"
    return Check("token", state, "none here", "ray get-auth-token --generate")


def _object(path: Path) -> dict[str, object]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise StorageError(f"{path} is no JSON object")
    return found


def _part(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise StorageError("the release names no matcher")
    return value
