"""Files that appear whole or not at all, and file systems by URI.

Whatever is written is written beside its place, under a hidden name, and renamed at the end.
What a killed process left behind is swept away by the next one that publishes the same thing.
"""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import fs

from xmodal.errors import StorageError, XmodalError

Place = tuple[fs.FileSystem, str]  # a file or folder, and where it lies

_FULL = (errno.ENOSPC, errno.EDQUOT)
# How FAISS, safetensors and numpy's `tofile` say it, in errors that carry no number.
_FULL_WORDS = ("No space left", "Disk quota exceeded", " requested and ")


@contextmanager
def publish(final: Path) -> Iterator[Path]:
    """Yield an empty folder beside `final`; it becomes `final` when the block ends well.

    A folder that is already there is replaced. If the block fails, nothing is left.

    Raises:
        StorageError: the disk is full, or the place cannot be written.
    """
    with _beside(final) as temporary:
        temporary.mkdir()
        yield temporary


@contextmanager
def publish_file(final: Path) -> Iterator[Path]:
    """Yield a path beside `final` to write to; it becomes `final` when the block ends well.

    Raises:
        StorageError: the disk is full, or the place cannot be written.
    """
    with _beside(final) as temporary:
        yield temporary


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield an empty hidden folder in `parent`, gone after the block unless `settle` moved it.

    Raises:
        StorageError: the disk is full, or the place cannot be written.
    """
    with _hidden(parent / "scratch") as temporary:
        temporary.mkdir()
        yield temporary


def settle(temporary: Path, final: Path) -> None:
    """Give a finished scratch folder its final name; one that is already there is replaced."""
    _move(temporary, final)


def write_json_atomic(path: Path, value: object) -> None:
    """Write `value` as readable JSON; a reader sees the old file or the new one, never half."""
    with publish_file(path) as temporary:
        text = json.dumps(value, ensure_ascii=False, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> object:
    """The value of a JSON file.

    Raises:
        StorageError: it is not there, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read as JSON ({error})") from error


def filesystem(uri: str | Path) -> Place:
    """The file system and the path in it, of a local path or a URI such as `s3://shop/catalog`."""
    text = str(uri)
    if "://" in text:
        try:
            found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(text)
        except (OSError, ValueError) as error:
            raise StorageError(f"{text}: not a place that can be read ({error})") from error
        return found
    return fs.LocalFileSystem(), str(Path(text).expanduser().resolve())


@contextmanager
def _beside(final: Path) -> Iterator[Path]:
    with _hidden(final) as temporary:
        yield temporary
        _move(temporary, final)


@contextmanager
def _hidden(final: Path) -> Iterator[Path]:
    temporary = final.parent / f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        yield temporary
    except Exception as error:
        mended = _readable(error, final)
        if mended is None:
            raise
        raise mended from error
    finally:
        _remove(temporary)


def _move(temporary: Path, final: Path) -> None:
    if not final.is_dir():
        os.replace(temporary, final)
        return
    # A folder cannot be renamed onto a full one: the old steps aside first.
    old = final.parent / f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    os.rename(final, old)
    os.rename(temporary, final)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # nothing there, or a place that never was a folder
            path.unlink()


def _sweep(final: Path) -> None:
    """Remove what processes that are gone left beside `final`."""
    for leftover in final.parent.glob(f".{final.name}.*-*.tmp"):
        process = leftover.name.removesuffix(".tmp").rsplit(".", 1)[-1].split("-")[0]
        if process.isdigit() and not _is_alive(int(process)):
            _remove(leftover)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _readable(error: Exception, final: Path) -> StorageError | None:
    """The line for a full disk or a place that cannot be written; None for anything else."""
    if isinstance(error, XmodalError):
        return None
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL or any(words in str(error) for words in _FULL_WORDS):
        return StorageError(
            f"{final}: the disk is full; free some space or set XMODAL_HOME to another disk"
        )
    if not isinstance(error, OSError):
        return None
    place = str(error.filename or "")
    is_ours = place and (place.startswith(str(final.parent)) or str(final).startswith(place))
    denied = (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
    if is_ours and number in denied:
        return StorageError(f"{final}: cannot be written ({error.strerror}); choose another place")
    return None
