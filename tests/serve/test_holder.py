"""serve/holder.py: moves of the pointer, seen from inside a process."""

import asyncio
from types import MappingProxyType

import pytest

from serve.holder import Holder
from tests.homes import add_release, tiny_home
from xmodal.catalog.store import current_catalog
from xmodal.errors import IndexDamaged, ReleaseError
from xmodal.registry.pointer import move_pointer, rollback
from xmodal.storage import write_json_atomic


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def releases(home):
    first = tiny_home(home)
    return first, add_release(home, current_catalog(home), seed=1)


def holder(home, linger_s=0.0, refused=MappingProxyType({})):
    async def open_part(release):
        if release.id in refused:
            raise refused[release.id]
        return f"part of {release.id}"

    return Holder(home, open_part, linger_s)


async def until(holds):
    for _ in range(200):
        await asyncio.sleep(0.02)
        if holds():
            return
    raise AssertionError("it never came")


async def test_a_home_without_a_release_is_refused(tmp_path):
    with pytest.raises(ReleaseError, match="no release yet"):
        await holder(tmp_path).start()


async def test_a_request_keeps_its_release_through_a_move(home, releases):
    old, new = releases
    move_pointer(home, old)
    held = holder(home)
    await held.start()
    async with held.use() as during:
        move_pointer(home, new)
        await held.follow()
        assert held.live.release == new
        assert during.part == f"part of {old.id}"
        assert set(held.ids) == {old.id, new.id}
    assert held.ids == [new.id]
    await held.stop()


async def test_a_rollback_is_the_same_move(home, releases):
    old, new = releases
    move_pointer(home, new)
    held = holder(home)
    await held.start()
    assert rollback(home) == old
    await held.follow()
    assert held.live.release == old
    await held.stop()


async def test_the_pointer_is_watched(home, releases, monkeypatch):
    monkeypatch.setattr("serve.holder.WATCH_S", 0.02)
    move_pointer(home, releases[0])
    held = holder(home)
    await held.start()
    move_pointer(home, releases[1])
    await until(lambda: held.live.release == releases[1])
    assert held.ids == [releases[1].id]
    await held.stop()


async def test_a_release_that_cannot_be_opened_leaves_the_old_one(home, releases):
    old, new = releases
    move_pointer(home, old)
    held = holder(home, refused={new.id: IndexDamaged("cut short")})
    await held.start()
    move_pointer(home, new)
    await held.follow()
    assert held.live.release == old
    assert "cut short" in held.problem
    await held.stop()


async def test_a_stage_opens_what_it_is_asked_for_and_keeps_it_a_while(home, releases):
    old, new = releases
    move_pointer(home, old)
    held = holder(home, linger_s=60)
    await held.start()
    async with held.use(new.id) as during:
        assert during.part == f"part of {new.id}"
    assert set(held.ids) == {old.id, new.id}
    await held.stop()


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("odd"), MemoryError("odd")])
async def test_an_error_nobody_foresaw_leaves_the_old_release(home, releases, error):
    old, new = releases
    move_pointer(home, old)
    held = holder(home, refused={new.id: error})
    await held.start()
    move_pointer(home, new)
    await held.follow()
    assert held.live.release == old
    assert f"{type(error).__name__}: " in held.problem
    move_pointer(home, old)
    await held.follow()
    assert held.problem is None
    await held.stop()


async def test_the_watch_outlives_a_pointer_that_names_no_release(home, releases, monkeypatch):
    monkeypatch.setattr("serve.holder.WATCH_S", 0.02)
    move_pointer(home, releases[0])
    held = holder(home)
    await held.start()
    write_json_atomic(home / "releases" / "pointer.json", {"at": "noon"})
    await until(lambda: held.problem)
    held.check()
    move_pointer(home, releases[1])
    await until(lambda: held.live.release == releases[1])
    await held.stop()


async def test_a_watch_that_ended_is_no_good_health(home, releases):
    move_pointer(home, releases[0])
    held = holder(home)
    with pytest.raises(ReleaseError, match="no release is open"):
        held.check()
    await held.start()
    held.check()
    await held.stop()
    await asyncio.sleep(0)
    with pytest.raises(ReleaseError, match="no longer watched"):
        held.check()
