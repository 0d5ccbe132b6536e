"""The release pointer: which matcher, index and settings are live in a home.

    gate -> [Release file, immutable] -> [pointer.json] -> serve watches it

A release is one small immutable file; `pointer.json` is the only thing that ever changes. MLflow's
`@champion` mirrors it (`releases.py`); nothing here imports MLflow, because `serve` reads this.
"""

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from xmodal.errors import ReleaseError
from xmodal.fingerprint import of_json
from xmodal.storage import read_json, write_json_atomic

ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class MatcherVersion:
    """A saved matcher as the registry knows it; `folder` is relative to the home if inside it."""

    name: str
    version: str
    folder: str
    fingerprint: str


@dataclass(frozen=True)
class Release:
    """What goes live together. `index` and `catalog` are ids; `previous` is the release before."""

    id: str
    matcher: MatcherVersion
    index: str
    catalog: str
    settings: str
    gate: dict[str, Any]
    created_at: str
    previous: str | None = None

    def matcher_folder(self, home: Path) -> Path:
        """The saved matcher's folder (an absolute `folder` stays what it is)."""
        return home / self.matcher.folder

    def index_folder(self, home: Path) -> Path:
        """The index version's folder."""
        return home / "indexes" / self.index


def read_pointer(home: Path) -> Release | None:
    """The live release, or None where nothing was released yet.

    Raises:
        ReleaseError: it names none, or the release that it names is missing or damaged.
        StorageError: a file of the two cannot be read.
    """
    path = _pointer_path(home)
    if not path.exists():
        return None
    release_id = _read(path).get("release")
    if release_id is None:
        raise ReleaseError(f"{path} names no release; restore it, or move it away and promote anew")
    return read_release(home, str(release_id))


def read_release(home: Path, release_id: str) -> Release:
    """The release of that id. Raises ReleaseError where its file is missing or damaged."""
    path = _release_path(home, release_id)
    if not path.exists():
        known = ", ".join(list_releases(home)) or "none"
        raise ReleaseError(f"no release {release_id} in {home}; it has: {known}")
    record = _read(path)
    try:
        return Release(**{**record, "matcher": MatcherVersion(**record["matcher"])})
    except (KeyError, TypeError) as problem:
        raise ReleaseError(f"{path} is no release file ({problem}); move it away") from problem


def list_releases(home: Path) -> list[str]:
    """Ids of all releases of the home, oldest first."""
    return sorted(path.stem for path in (home / "releases").glob("r*.json"))


def make_release(
    home: Path,
    matcher: MatcherVersion,
    *,
    index: str,
    catalog: str,
    settings: str,
    gate: dict[str, Any],
) -> Release:
    """A release of these parts, not yet written. Its id counts up and names its content."""
    live = read_pointer(home)
    content = [dataclasses.asdict(matcher), index, catalog, settings]
    return Release(
        id=f"r{len(list_releases(home)) + 1:04d}-{of_json(content)[:8]}",
        matcher=matcher,
        index=index,
        catalog=catalog,
        settings=settings,
        gate=gate,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        previous=live.id if live else None,
    )


def holds_same(release: Release | None, other: Release) -> bool:
    """Whether both would serve the same: matcher, index, catalogue and settings are equal."""
    return release is not None and (
        (release.matcher.fingerprint, release.index, release.catalog, release.settings)
        == (other.matcher.fingerprint, other.index, other.catalog, other.settings)
    )


def move_pointer(home: Path, release: Release, why: str = "promoted") -> None:
    """Make `release` the live one: its file first, then the pointer, each by one atomic rename.

    Raises:
        ReleaseError: a part that the release names is not there, so it could not be served.
    """
    for part in (release.matcher_folder(home), release.index_folder(home)):
        if not part.is_dir():
            raise ReleaseError(f"release {release.id} names {part}, which is gone; build it again")
    path = _release_path(home, release.id)
    if not path.exists():
        write_json_atomic(path, dataclasses.asdict(release))
    moved = {"release": release.id, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    write_json_atomic(
        _pointer_path(home), moved | {"moves": [*history(home), {**moved, "why": why}]}
    )


def rollback(home: Path) -> Release:
    """Move the pointer back to the release before the live one, and return that.

    Raises:
        ReleaseError: nothing is live, or the live release is the first.
    """
    live = read_pointer(home)
    if live is None:
        raise ReleaseError(f"nothing is released in {home}, so there is nothing to roll back")
    if live.previous is None:
        raise ReleaseError(f"{live.id} is the first release of {home}; there is none before it")
    before = read_release(home, live.previous)
    move_pointer(home, before, why=f"{ROLLED_BACK} from {live.id}")
    return before


def was_rolled_back(home: Path, release: Release) -> bool:
    """Whether what `release` holds was live, rolled back, and not made live again since."""
    is_back = False
    for before, move in pairwise(history(home)):
        if move["why"].startswith(ROLLED_BACK):
            is_back |= holds_same(read_release(home, before["release"]), release)
        elif holds_same(read_release(home, move["release"]), release):
            is_back = False
    return is_back


def history(home: Path) -> list[dict[str, str]]:
    """Every move of the pointer, oldest first: {"release", "at", "why"}."""
    path = _pointer_path(home)
    return list(_read(path).get("moves", [])) if path.exists() else []


def _read(path: Path) -> dict[str, Any]:
    record = read_json(path)
    if not isinstance(record, dict):
        raise ReleaseError(f"{path} holds no JSON object; restore it from a copy")
    return record


def _pointer_path(home: Path) -> Path:
    return home / "releases" / "pointer.json"


def _release_path(home: Path, release_id: str) -> Path:
    return home / "releases" / f"{release_id}.json"
