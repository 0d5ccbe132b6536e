"""Stages of a pipeline that are done once: same inputs, same result, no second run.

    stages.run("train", inputs, work) -> the result of `work`, now or from the time before

A finished stage is one JSON file under `<home>/stages/`; a killed pipeline starts again at the
stage that has none. A stage's key holds the keys of what it was built from, so a changed
catalogue changes every key below it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xmodal import __version__
from xmodal.errors import StorageError
from xmodal.fingerprint import of_json
from xmodal.storage import read_json, write_json_atomic

Record = dict[str, Any]  # a stage's own JSON object


@dataclass
class Stages:
    """The stages of one home. `announce` gets the name of each that really runs."""

    home: Path
    announce: Callable[[str], None]
    say: Callable[[str], None]
    took_s: dict[str, float] = field(default_factory=dict)

    def run(
        self,
        name: str,
        inputs: object,
        work: Callable[[], Record],
        is_whole: Callable[[Record], bool] = lambda _: True,
    ) -> Record:
        """The record that `work` returns for these `inputs`.

        Args:
            name: a verb; part of the file's name.
            inputs: JSON; everything that the result depends on. Paths inside the record that
                are gone again (`folder`) make the stage run anew.
            work: does it, and returns a JSON object.
            is_whole: whether what an earlier record tells of is still there; else it is done anew.
        """
        key = of_json([name, inputs, __version__])
        path = self.home / "stages" / f"{name}-{key}.json"
        self.announce(name)
        found = _read(path, self.home)
        if found is not None and is_whole(found):
            self.took_s[name] = 0.0
            self.say(f"{name}: as before, nothing changed ({path.name})")
            return found
        start = time.monotonic()
        record = work()
        self.took_s[name] = time.monotonic() - start
        write_json_atomic(path, record)
        self.say(f"{name}: done in {self.took_s[name]:.0f} s")
        return record


def _read(path: Path, home: Path) -> Record | None:
    if not path.exists():
        return None
    try:
        record = read_json(path)
    except StorageError:
        return None  # torn by a crash of the disk: do the stage again
    if not isinstance(record, dict):
        return None
    folder = record.get("folder")
    return record if folder is None or (home / str(folder)).is_dir() else None
