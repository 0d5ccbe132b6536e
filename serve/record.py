"""The record of what was started: which processes, where. Nothing else is ever ended.

A process is known by its number and the time it began, so a number that was used again is left
alone. Ray's many children are found below the head, and by the folder that is this home's alone.
"""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from serve.apart import run_apart
from xmodal.errors import XmodalError
from xmodal.storage import read_json, write_json_atomic

log = logging.getLogger(__name__)
FILE = "service.json"
PATIENCE_S = 10.0
WITHDRAW_S = 120.0  # Ray drains for 30 s, and waits for ever for a cluster that is gone


@dataclass(frozen=True)
class Started:
    """One process that we started."""

    name: str
    pid: int
    began: float

    def process(self) -> psutil.Process | None:
        """The process, or None where it ended."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.began) > 1 or process.status() == "zombie":
                return None
        except psutil.NoSuchProcess:
            return None
        return process


@dataclass(frozen=True)
class Record:
    """What runs for a home."""

    address: str
    """Of the Ray head."""
    url: str | None
    """Of the search service; None where only the head was started."""
    processes: tuple[Started, ...]
    is_ending: bool = False
    """Somebody is ending it: whoever stays in the foreground may go."""

    @property
    def head(self) -> Started | None:
        """The Ray head, if it was started here."""
        return next((one for one in self.processes if one.name == "ray"), None)

    @property
    def is_joined(self) -> bool:
        """Whether the cluster is another's: it lives on when the service ends."""
        return self.head is None

    @property
    def is_alive(self) -> bool:
        """Whether the head still runs; on a joined cluster, whether the service was deployed."""
        if self.is_ending:
            return False
        return self.url is not None if self.head is None else self.head.process() is not None


def started(name: str, pid: int) -> Started:
    """The record of a process that was just started."""
    return Started(name, pid, psutil.Process(pid).create_time())


def read_record(home: Path) -> Record | None:
    """What was started for `home`, None where nothing was."""
    path = home / FILE
    if not path.exists():
        return None
    record: Any = read_json(path)
    processes = tuple(Started(**one) for one in record["processes"])
    return Record(record["address"], record["url"], processes, record.get("is_ending", False))


def write_record(home: Path, record: Record) -> None:
    """Keep `record` for `end`."""
    write_json_atomic(home / FILE, asdict(record))


def ray_folder(home: Path) -> Path:
    """Ray's folder for this home: short, because UNIX socket paths end at 107 bytes."""
    name = hashlib.blake2b(str(home).encode(), digest_size=4).hexdigest()
    return Path(tempfile.gettempdir()) / f"xm-{os.getuid()}-{name}"


def end(home: Path, kept: Record | None = None) -> list[str]:
    """End what the home's record names, and its children; returns their names.

    What `kept` names, an earlier record, lives on, and is the home's record again. A cluster that
    lives on, `kept`'s or a joined one, loses the application.
    """
    record = read_record(home)
    names: list[str] = []
    if record is not None:
        with contextlib.suppress(XmodalError):  # a full disk is no reason to let it run
            write_record(home, replace(record, is_ending=kept is None))
        if kept is not None or record.is_joined:
            names += _withdraw(record)
    spared = {one.pid for one in kept.processes} if kept else set()
    names += _end_processes(home, record, spared)
    if kept is not None:
        write_record(home, kept)
    else:
        (home / FILE).unlink(missing_ok=True)
    return names


def _withdraw(record: Record) -> list[str]:
    from serve.deploy import withdraw

    try:
        done = run_apart(WITHDRAW_S, withdraw, record)
    except XmodalError as error:
        log.warning("event=not_withdrawn address=%s reason=%s", record.address, error)
        return []
    return [done] if done else []


def _end_processes(home: Path, record: Record | None, spared: set[int]) -> list[str]:
    """End the record's processes but `spared`, and, if no head is spared, all of Ray's folder."""
    mine = [one.process() for one in record.processes if one.pid not in spared] if record else []
    alive = [process for process in mine if process is not None]

    def in_folder() -> list[psutil.Process]:
        return [] if spared else _in_folder(ray_folder(home))

    family = _unique([*alive, *_below(alive), *in_folder()])
    names = sorted({_name(process) for process in family})
    for process in alive or family:
        _signal(process, is_hard=False)
    # The head ends its children; what it leaves behind is ended here, and looked for again:
    # a dying proxy actor starts one more HAProxy, which nobody would own.
    _, left = psutil.wait_procs(family, PATIENCE_S / 2)
    for is_hard in (False, False, True):
        left = _unique([*left, *in_folder()])
        for process in left:
            _signal(process, is_hard)
        _, left = psutil.wait_procs(left, PATIENCE_S / 3)
    return names


def _below(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in processes:
        try:
            found += process.children(recursive=True)
        except psutil.NoSuchProcess:
            continue
    return found


def _in_folder(folder: Path) -> list[psutil.Process]:
    """Processes that were told of a file in this home's own Ray folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(f"{folder}/" in arg for arg in process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _unique(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    return list({process.pid: process for process in processes}.values())


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return "ended"


def _signal(process: psutil.Process, is_hard: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill() if is_hard else process.terminate()
