"""What a request may cost: a body of so many bytes, so many requests at once, so much time.

Plain ASGI, before anything is read: an answer of ours, in the shape of all errors, instead of
the bare text that a proxy would give.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from serve.problems import Problem, render
from serve.schemas import MAX_BODY_BYTES

ALWAYS = ("/healthz", "/readyz", "/metrics")  # a service that is busy is well, and has to say so
Message = MutableMapping[str, Any]


class Limits:
    """Wraps an ASGI app; 413, 429 and 504 are answered here."""

    def __init__(self, app: ASGIApp, at_once: int = 128, longest_s: float = 60.0) -> None:
        self._app, self._at_once, self._longest_s = app, at_once, longest_s
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] != "http" or scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._running >= self._at_once:
            problem = Problem(429, "overloaded", f"{self._running} requests are running; try later")
            await render(problem)(scope, receive, send)
            return
        self._running += 1
        try:
            await self._limited(scope, receive, send)
        finally:
            self._running -= 1

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        watched = _Watched(send)
        try:
            async with asyncio.timeout(self._longest_s):
                await self._app(scope, _counted(scope, receive), watched)
        except Problem as problem:
            await self._instead(problem, watched, scope, receive)
        except TimeoutError:
            late = Problem(504, "timeout", f"no answer within {self._longest_s:.0f} s")
            await self._instead(late, watched, scope, receive)

    async def _instead(
        self, problem: Problem, watched: "_Watched", scope: Scope, receive: Receive
    ) -> None:
        if watched.is_started:
            raise problem  # half an answer is out: the connection breaks, which a client notices
        await render(problem)(scope, receive, watched)


class _Watched:
    """Remembers whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.is_started = False

    async def __call__(self, message: Message) -> None:
        self.is_started = True
        await self._send(message)


def _counted(scope: Scope, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """`receive`, but a body above the limit raises Problem, announced or not."""
    headers = dict(scope.get("headers", []))
    announced = headers.get(b"content-length", b"0")
    seen = int(announced) if announced.isdigit() and int(announced) > MAX_BODY_BYTES else 0

    async def receive_counted() -> Message:
        nonlocal seen
        message: Message = {} if seen > MAX_BODY_BYTES else await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise Problem(413, "too_large", f"the request is above {MAX_BODY_BYTES:,} bytes")
        return message

    return receive_counted
