"""What a Prometheus server may ask of this process, at `/metrics`.

    requests by route and status | seconds by route and by stage | degraded answers by kind
    queues, batches and remembered texts of the live release, read when asked

Of one replica: with several behind the proxy, each scrape is of one of them. In the spread
topology the stages' own queues are Ray Serve's to tell.
"""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.schemas import SearchAnswer
from xmodal.search.searcher import Searcher
from xmodal.search.shared import CachedEncoder

UNKNOWN = "unknown"  # a path that is no route: one name for all, or every typing error is a series
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Live = Callable[[], tuple[str, Searcher] | None]


class Telemetry:
    """Counts in a registry of its own: several services may live in one process."""

    def __init__(self, live: Live) -> None:
        """`live`: the id of the live release and its search; None before one is open."""
        self._registry = CollectorRegistry()
        self._registry.register(_Now(live))
        self._requests = Counter(
            "xmodal_requests", "Requests answered", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "xmodal_request_seconds",
            "From the request to the end of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "xmodal_stage_seconds",
            "Of one search, by stage; `total` is all of it",
            ["stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._degraded = Counter(
            "xmodal_degraded_answers", "Searches that gave way", ["kind"], registry=self._registry
        )

    def searched(self, answer: SearchAnswer) -> None:
        """Count one search's stages, and what it went without."""
        for stage, took_ms in answer.took_ms.items():
            self._stages.labels(stage).observe(took_ms / 1000)
        for kind in answer.degraded:
            self._degraded.labels(kind).inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class HasTelemetry(Protocol):
    """Whoever counts."""

    telemetry: Telemetry


class Counted:
    """Wraps an ASGI app: every answer is counted, those of `Limits` too."""

    def __init__(self, app: ASGIApp, service: HasTelemetry) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count its answer; one that broke off counts as 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def watched(message: dict[str, object]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(str(message["status"]))
            await send(message)

        try:
            await self._app(scope, receive, watched)  # type: ignore[arg-type]  # a plain dict
        finally:
            route = getattr(scope.get("route"), "path", UNKNOWN)
            self._service.telemetry.answered(route, status, time.perf_counter() - start)


class _Now:
    """What is read at the moment of a scrape."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterator[Metric]:
        """The live release, its queues, and what its cache was good for."""
        release = GaugeMetricFamily("xmodal_release", "The live release", labels=["id"])
        depth = GaugeMetricFamily("xmodal_queue_depth", "Queries that wait", labels=["queue"])
        batches = CounterMetricFamily("xmodal_batches", "Batches that ran", labels=["queue"])
        items = CounterMetricFamily("xmodal_batched_items", "Queries in them", labels=["queue"])
        cache = CounterMetricFamily("xmodal_cached_texts", "Texts asked for", labels=["found"])
        if (now := self._live()) is not None:
            name, searcher = now
            release.add_metric([name], 1.0)
            for queue, load in searcher.loads().items():
                depth.add_metric([queue], load.depth)
                batches.add_metric([queue], load.batches)
                items.add_metric([queue], load.items)
            if isinstance(searcher.encoder, CachedEncoder):
                cache.add_metric(["yes"], searcher.encoder.hits)
                cache.add_metric(["no"], searcher.encoder.misses)
        yield from (release, depth, batches, items, cache)
