"""xmodal/storage.py: whole or not at all."""

import errno
import os
from pathlib import Path

import faiss
import numpy as np
import pytest
from pyarrow import fs

from xmodal.errors import StorageError
from xmodal.storage import (
    filesystem,
    publish,
    publish_file,
    read_json,
    scratch,
    settle,
    write_json_atomic,
)


def _fail_half_way(publishing, error=None):
    with publishing as path:
        (path / "rows" if path.is_dir() else path).write_text("half")
        raise error or ZeroDivisionError


def _write_faiss(place):
    vectors = faiss.IndexFlatIP(8)
    vectors.add(np.ones((10_000, 8), np.float32))
    faiss.write_index(vectors, place)


def _write_numpy(place):
    np.ones(100_000).tofile(place)


def test_a_published_folder_appears_whole(tmp_path):
    final = tmp_path / "deep" / "index"
    with publish(final) as folder:
        (folder / "rows").write_text("1")
        assert not final.exists()
    assert (final / "rows").read_text() == "1"
    assert os.listdir(final.parent) == ["index"]


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        _fail_half_way(publish(tmp_path / "index"))
    assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_old_one(tmp_path):
    write_json_atomic(tmp_path / "pointer.json", 1)
    with pytest.raises(ZeroDivisionError):
        _fail_half_way(publish_file(tmp_path / "pointer.json"))
    assert read_json(tmp_path / "pointer.json") == 1


def test_a_folder_is_replaced(tmp_path):
    for content in ("old", "new"):
        with publish(tmp_path / "index") as folder:
            (folder / content).touch()
    assert os.listdir(tmp_path / "index") == ["new"]


def test_a_full_disk_is_one_line(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageError, match="disk is full; free some space"):
        _fail_half_way(publish(tmp_path / "index"), full)
    assert os.listdir(tmp_path) == []


def test_a_really_full_disk_is_one_line(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(StorageError, match="disk is full"), publish(tmp_path / "index"):
        Path("/dev/full").write_text("x" * 100_000)


@pytest.mark.parametrize("write", [_write_faiss, _write_numpy])
def test_a_library_that_fills_the_disk_is_one_line(tmp_path, write):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(StorageError, match="disk is full"), publish(tmp_path / "index"):
        write("/dev/full")


def test_an_error_that_is_not_the_disks_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="no faith"):
        _fail_half_way(publish(tmp_path / "index"), RuntimeError("no faith"))


def test_what_a_dead_process_left_is_swept(tmp_path):
    dead = tmp_path / ".index.999999999-abcd.tmp"
    alive = tmp_path / f".index.{os.getpid()}-abcd.tmp"
    dead.mkdir()
    alive.mkdir()
    with publish(tmp_path / "index"):
        pass
    assert not dead.exists()
    assert alive.exists()


def test_scratch_is_gone_unless_settled(tmp_path):
    with scratch(tmp_path):
        pass
    with scratch(tmp_path) as folder:
        settle(folder, tmp_path / "kept")
    assert os.listdir(tmp_path) == ["kept"]


def test_what_is_not_json_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(StorageError, match=r"x\.json: cannot be read as JSON"):
        read_json(tmp_path / "x.json")


def test_a_path_or_a_uri_is_a_place(tmp_path):
    assert filesystem(tmp_path) == (fs.LocalFileSystem(), str(tmp_path))
    system, path = filesystem(f"file://{tmp_path}")
    assert (system.type_name, path) == ("local", str(tmp_path))
    with pytest.raises(StorageError, match="nowhere"):
        filesystem("nowhere://shop")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written .*; choose another place"):
        write_json_atomic(tmp_path / "file" / "home" / "pointer.json", 1)
