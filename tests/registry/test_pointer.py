"""xmodal/registry/pointer.py: one pointer, immutable releases, one move back."""

import json
import subprocess
import sys

import pytest

from xmodal.errors import ReleaseError, StorageError
from xmodal.registry.pointer import (
    MatcherVersion,
    history,
    holds_same,
    list_releases,
    make_release,
    move_pointer,
    read_pointer,
    rollback,
    was_rolled_back,
)


def make_home(path):
    for folder in ("runs/a/matcher", "runs/b/matcher", "indexes/i1", "indexes/i2"):
        (path / folder).mkdir(parents=True)
    return path


def release_of(home, run="a", index="i1"):
    matcher = MatcherVersion("xmodal", "1", f"runs/{run}/matcher", f"print-{run}")
    return make_release(
        home, matcher, index=index, catalog="c", settings="s", gate={"passed": True}
    )


def test_an_empty_home_has_no_release(tmp_path):
    assert read_pointer(tmp_path) is None


def test_what_was_moved_to_is_read_back_equal(tmp_path):
    release = release_of(make_home(tmp_path))
    move_pointer(tmp_path, release)
    assert read_pointer(tmp_path) == release
    assert release.matcher_folder(tmp_path) == tmp_path / "runs/a/matcher"


def test_rollback_returns_to_the_release_before_and_keeps_both_files(tmp_path):
    home = make_home(tmp_path)
    move_pointer(home, first := release_of(home))
    move_pointer(home, second := release_of(home, "b", "i2"))
    assert rollback(home) == first
    assert read_pointer(home) == first
    assert list_releases(home) == [first.id, second.id]
    assert [move["release"] for move in history(home)] == [first.id, second.id, first.id]


def test_the_first_release_cannot_be_rolled_back(tmp_path):
    home = make_home(tmp_path)
    with pytest.raises(ReleaseError, match="nothing is released"):
        rollback(home)
    move_pointer(home, release_of(home))
    with pytest.raises(ReleaseError, match="first release"):
        rollback(home)


def test_a_release_whose_index_is_gone_never_goes_live(tmp_path):
    home = make_home(tmp_path)
    with pytest.raises(ReleaseError, match="i9"):
        move_pointer(home, release_of(home, index="i9"))
    assert read_pointer(home) is None


def test_same_content_is_recognised(tmp_path):
    home = make_home(tmp_path)
    move_pointer(home, live := release_of(home))
    assert holds_same(live, release_of(home))
    assert not holds_same(live, release_of(home, "b"))
    assert not holds_same(None, live)


def test_a_torn_pointer_is_named(tmp_path):
    home = make_home(tmp_path)
    move_pointer(home, release_of(home))
    (home / "releases/pointer.json").write_text('{"release": ')
    with pytest.raises(StorageError, match="pointer.json"):
        read_pointer(home)


def test_a_pointer_that_names_no_release_is_one_line(tmp_path):
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases/pointer.json").write_text('{"at": "now"}')
    with pytest.raises(ReleaseError, match=r"pointer\.json names no release"):
        read_pointer(tmp_path)


def test_what_was_rolled_back_is_known_until_it_is_live_again(tmp_path):
    home = make_home(tmp_path)
    move_pointer(home, release_of(home))
    move_pointer(home, bad := release_of(home, "b", "i2"))
    assert not was_rolled_back(home, bad)
    rollback(home)
    assert was_rolled_back(home, release_of(home, "b", "i2"))
    assert not was_rolled_back(home, release_of(home, "b", "i1"))
    move_pointer(home, release_of(home, "b", "i2"))
    assert not was_rolled_back(home, bad)


def test_a_release_file_of_another_shape_is_named(tmp_path):
    home = make_home(tmp_path)
    move_pointer(home, live := release_of(home))
    (home / f"releases/{live.id}.json").write_text(json.dumps({"id": live.id}))
    with pytest.raises(ReleaseError, match="no release file"):
        read_pointer(home)


def test_reading_the_pointer_needs_no_mlflow():
    code = "import sys, xmodal.registry.pointer; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
