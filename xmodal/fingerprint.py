"""Content hashes: the same content has the same sixteen hex digits, on every machine."""

import hashlib
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from xmodal import __version__

_CHUNK_BYTES = 1 << 20


def of_bytes(content: bytes) -> str:
    """Fingerprint of a byte string, 16 hex digits."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def of_json(value: object) -> str:
    """Fingerprint of a JSON value; the order of keys does not count."""
    return of_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False).encode())


def of_file(path: Path) -> str:
    """Fingerprint of a file's bytes, read in chunks."""
    digest = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def of_folder(path: Path, names: Iterable[str] | None = None) -> str:
    """Fingerprint of all files below a folder (or of `names` in it): relative names and bytes."""
    files = sorted(path / name for name in names) if names is not None else _files_below(path)
    return of_json([[file.relative_to(path).as_posix(), of_file(file)] for file in files])


class Running:
    """Fingerprint of many JSON values, taken one by one."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=8)

    def add(self, value: object) -> None:
        """Take the next value in."""
        self._digest.update(json.dumps(value, sort_keys=True, ensure_ascii=False).encode())
        self._digest.update(b"\0")

    def hexdigest(self) -> str:
        """Fingerprint of all values so far, 16 hex digits."""
        return self._digest.hexdigest()


def code_version() -> str:
    """The package's version, with the git commit where it runs in a checkout: `0.1.0+1a2b3c4`."""
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return __version__
    try:
        answer = subprocess.run(
            ["git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{answer.stdout.strip()}"


def _files_below(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())
