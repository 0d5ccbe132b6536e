"""The releases that a process holds open: the live one, and those with requests still inside.

A move of the pointer is seen within `WATCH_S`; the new release is opened and warmed in a thread
while the old one answers, then one reference is swapped. The old one is closed when its last
request is done. A roll-back is the same move.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from xmodal.errors import ReleaseError, XmodalError
from xmodal.registry.pointer import Release, read_pointer, read_release

log = logging.getLogger(__name__)

Part = TypeVar("Part")
WATCH_S = 1.0
RETRY_S = 30.0


@dataclass
class Held(Generic[Part]):
    """One open release, or the part of it that this process serves."""

    release: Release
    part: Part
    users: int = 0
    idle_since: float = 0.0


class Holder(Generic[Part]):
    """Opens parts of releases and lends them to requests.

    `linger_s` keeps a release after its last request: a stage behind a gateway may be asked for
    the old one until the gateway has seen the move too.
    """

    def __init__(
        self, home: Path, open_part: Callable[[Release], Awaitable[Part]], linger_s: float = 0.0
    ) -> None:
        self._home, self._open, self._linger_s = home, open_part, linger_s
        self._held: dict[str, Held[Part]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._live: str | None = None
        self._failed: tuple[str, float] | None = None
        self.problem: str | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def live(self) -> Held[Part] | None:
        """What new requests get; None before `start`."""
        return self._held.get(self._live) if self._live else None

    @property
    def ids(self) -> list[str]:
        """Releases held open, for tests and logs."""
        return list(self._held)

    async def start(self) -> None:
        """Open the live release and watch the pointer. Raises ReleaseError where there is none."""
        release = await asyncio.to_thread(read_pointer, self._home)
        if release is None:
            raise ReleaseError(f"{self._home} has no release yet; run jobs/pipeline.py first")
        await self._hold(release)
        self._live = release.id
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End the watch."""
        if self._watching is not None:
            self._watching.cancel()

    def check(self) -> None:
        """Raises ReleaseError where nothing is open, or nobody watches the pointer any more."""
        if self.live is None:
            raise ReleaseError("no release is open")
        if self._watching is None or self._watching.done():
            raise ReleaseError("the release pointer is no longer watched")

    @asynccontextmanager
    async def use(self, release_id: str | None = None) -> AsyncIterator[Held[Part]]:
        """Lend the live release, or the one of that id (opened if this process lacks it)."""
        held = self.live if release_id is None else self._held.get(release_id)
        if held is None:
            if release_id is None:
                raise ReleaseError("no release is open yet")
            held = await self._hold(await asyncio.to_thread(read_release, self._home, release_id))
        held.users += 1
        try:
            yield held
        finally:
            held.users -= 1
            held.idle_since = time.monotonic()
            self._drop_unused()

    async def follow(self) -> None:
        """Look at the pointer once, and move if it moved."""
        release = await asyncio.to_thread(read_pointer, self._home)
        if release is not None and release.id == self._live:
            self.problem = self._failed = None
        if release is None or release.id == self._live or self._is_failed(release.id):
            self._drop_unused()
            return
        try:
            await self._hold(release)
        except Exception as error:  # whatever is wrong with it, the old one goes on
            self.problem, self._failed = _reason(error), (release.id, time.monotonic())
            log.exception("event=release_refused release=%s", release.id)
            return
        old, self._live = self._live, release.id
        self.problem = self._failed = None
        log.warning("event=release_moved old=%s new=%s", old, release.id)
        self._drop_unused()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await self.follow()
            except Exception as error:  # noqa: BLE001  # a watch that ends is never noticed
                self.problem = _reason(error)
                log.warning("event=pointer_unreadable message=%s", self.problem)

    async def _hold(self, release: Release) -> Held[Part]:
        """Open a release once, however many ask for it."""
        async with self._locks.setdefault(release.id, asyncio.Lock()):
            if release.id not in self._held:
                part = await self._open(release)
                self._held[release.id] = Held(release, part, idle_since=time.monotonic())
            return self._held[release.id]

    def _is_failed(self, release_id: str) -> bool:
        if self._failed is None or self._failed[0] != release_id:
            return False
        return time.monotonic() - self._failed[1] < RETRY_S

    def _drop_unused(self) -> None:
        now = time.monotonic()
        for release_id, held in list(self._held.items()):
            is_idle = held.users == 0 and now - held.idle_since >= self._linger_s
            if is_idle and release_id != self._live and self._live is not None:
                del self._held[release_id]
                self._locks.pop(release_id, None)
                log.warning("event=release_dropped release=%s", release_id)


def _reason(error: Exception) -> str:
    """One line for /readyz; an error that is not ours needs its kind to be understood."""
    text = " ".join(str(error).split())
    return text if isinstance(error, XmodalError) else f"{type(error).__name__}: {text}"
