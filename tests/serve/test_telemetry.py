"""serve/telemetry.py: what was asked and how it went, as Prometheus reads it."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from serve.api import make_api
from serve.service import Service
from serve.shelves import fused
from tests.homes import tiny_home


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """The metrics after a few requests, and the release."""
    home = tmp_path_factory.mktemp("home")
    release = tiny_home(home)
    service = Service(home, fused(home, depth=10), deadline_ms=30_000)
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        assert "xmodal_release{" not in client.get("/metrics").text
        client.portal.call(service.holder.start)
        for text in ("red shoe", "red shoe", "blue bag"):
            assert client.post("/v1/search", json={"text": text}).status_code == 200
        client.post("/v1/search", json={"text": "green bag", "limit": 0})
        client.get("/v1/products/nobody")
        client.get("/no/such/path")
        answer = client.get("/metrics")
        client.portal.call(service.holder.stop)
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text, release


def value(text, name, **labels):
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def test_requests_are_counted_by_route_and_status(scraped):
    text, _ = scraped
    assert value(text, "xmodal_requests_total", route="/v1/search", status="200") == 3
    assert value(text, "xmodal_requests_total", route="/v1/search", status="400") == 1
    product = "/v1/products/{product_id:path}"
    assert value(text, "xmodal_requests_total", route=product, status="404") == 1
    assert "no/such/path" not in text
    assert value(text, "xmodal_request_seconds_count", route="/v1/search") == 4


def test_stages_queues_cache_and_release_are_there(scraped):
    text, release = scraped
    for stage in ("encode", "retrieve", "rerank", "total"):
        assert value(text, "xmodal_stage_seconds_count", stage=stage) == 3
    assert value(text, "xmodal_release", id=release.id) == 1
    assert value(text, "xmodal_queue_depth", queue="texts") == 0
    assert value(text, "xmodal_batched_items_total", queue="reranker") >= 3
    assert value(text, "xmodal_cached_texts_total", found="yes") >= 1


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_prometheus_own_tool_finds_no_fault(scraped):
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped[0], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
