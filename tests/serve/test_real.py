"""The service as users run it: `serve.up`, Ray Serve behind HAProxy, over real HTTP."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from serve.ports import free_ports, is_free
from serve.record import end, read_record
from tests.factories import make_picture
from tests.homes import add_release, tiny_home
from xmodal.catalog.store import current_catalog
from xmodal.registry.pointer import move_pointer, read_pointer, read_release

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]

ROOT = Path(__file__).resolve().parents[2]
START_S = 240
SPREAD = """
import sys
from pathlib import Path
from serve.app import ServeArgs, build
from xmodal.ray_session import set_flags
set_flags()
import ray
from ray import serve
ray.init(address=sys.argv[2], log_to_driver=False)
serve.run(build(ServeArgs(home=sys.argv[1], topology="spread", rerank_depth=10)),
          name="spread", route_prefix="/spread")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    first = tiny_home(folder)
    add_release(folder, current_catalog(folder), seed=1)
    move_pointer(folder, first)
    return folder


@pytest.fixture(scope="module")
def environment(home):
    return {
        **os.environ,
        "XMODAL_HOME": str(home),
        "RAY_AUTH_MODE": "disabled",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.5",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="module")
def service(home, environment):
    """A service in the foreground: its URL and its process."""
    port, mlflow, dashboard = free_ports(20)[-3:]
    command = [sys.executable, "-m", "serve.up", "--foreground"]
    ports = {"port": port, "mlflow_port": mlflow, "dashboard_port": dashboard}
    for name, value in ports.items():
        command += ["--set", f"serve.{name}={value}"]
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + START_S
    while not _answers(url):
        assert process.poll() is None, process.stdout.read().decode()
        assert time.monotonic() < until
        time.sleep(0.5)
    yield url, process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    process.stdout.close()
    end(home)


def _answers(url):
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def ask(url, **body):
    return httpx.post(f"{url}/v1/search", json=body, timeout=60)


def test_it_listens_on_loopback_only(service):
    port = service[0].rsplit(":", 1)[1]
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    place = f":{int(port):04X} "
    rows = [row.split() for row in listening.splitlines() if place in row]
    assert {row[1] for row in rows if row[3] == "0A"} == {f"0100007F:{int(port):04X}"}


def test_a_move_under_traffic_fails_no_request(service, home):
    url = service[0]
    old = read_pointer(home)
    new = read_release(home, next(p.stem for p in home.glob("releases/r0002*.json")))
    seen, stop = [], threading.Event()

    def traffic():
        with httpx.Client(timeout=60) as client:
            while not stop.is_set():
                answer = client.post(f"{url}/v1/search", json={"text": "red shoe", "limit": 3})
                seen.append((answer.status_code, answer.json()["release"]))

    thread = threading.Thread(target=traffic)
    thread.start()
    for release in (new, old):
        move_pointer(home, release)
        until = time.monotonic() + 60
        while not seen or seen[-1][1]["id"] != release.id:
            assert time.monotonic() < until
            time.sleep(0.1)
    stop.set()
    thread.join()
    assert {status for status, _ in seen} == {200}
    pairs = {(one["id"], one["index"]) for _, one in seen}
    assert pairs == {(old.id, old.index), (new.id, new.index)}  # never one's index with another's


def test_spread_answers_as_fused(service, home, environment):
    url = service[0]
    address = read_record(home).address
    subprocess.run(
        [sys.executable, "-c", SPREAD, str(home), address],
        env=environment,
        cwd=ROOT,
        check=True,
        timeout=START_S,
    )
    picture = base64.b64encode(make_picture(70)).decode()
    bodies = [
        {"text": "red shoe"},
        {"image": picture},
        {"text": "bag", "image": picture, "limit": 3},
        {"text": "blue shirt", "filter": {"colour": ["blue", "red"]}, "rerank": False},
        {"text": [{"text": "bag"}, {"text": "red", "weight": -0.5}], "user_history": ["p003"]},
        {"text": "bag", "filter": {"price": {"gte": 3}}, "facets": ["colour"], "limit": 4},
        {"text": "bag", "sort": {"field": "price"}, "min_score": 0.1, "explain": True},
    ]
    for body in bodies:
        body |= {"candidates": 10}  # the two are set to different depths
        fused, spread = ask(url, **body).json(), ask(f"{url}/spread", **body).json()
        assert fused["release"] == spread["release"]
        assert fused["facets"] == spread["facets"]
        assert [hit["product_id"] for hit in fused["hits"]] == [
            hit["product_id"] for hit in spread["hits"]
        ]
        for one, other in zip(fused["hits"], spread["hits"], strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
    cursor = ask(url, text="red shoe", limit=4).json()["next_cursor"]
    pages = [
        ask(where, text="red shoe", limit=9, cursor=cursor).json()["hits"]
        for where in (url, f"{url}/spread")
    ]
    assert pages[0] == pages[1]
    near = [
        httpx.get(f"{where}/v1/products/p007/similar?diversity=0.3", timeout=60).json()["hits"]
        for where in (url, f"{url}/spread")
    ]
    assert len(near[0]) == 10
    assert [hit["product_id"] for hit in near[0]] == [hit["product_id"] for hit in near[1]]
    for put_at, product_id in ((url, "put1"), (f"{url}/spread", "put2")):
        body = {"title": "green hat", "images": [picture]}
        kept = httpx.put(f"{put_at}/v1/products/{product_id}", json=body, timeout=60)
        assert kept.json() == {"product_id": product_id, "result": "created"}
        for where in (url, f"{url}/spread"):
            hits = ask(where, image=picture, limit=5).json()["hits"]
            assert product_id in [hit["product_id"] for hit in hits]
            assert ask(where, text="green hat").status_code == 200  # reranked, of both stores
            assert httpx.get(f"{where}/v1/products/{product_id}").json()["title"] == "green hat"
            assert httpx.get(f"{where}/v1/products/{product_id}/image").status_code == 200
        assert httpx.delete(f"{put_at}/v1/products/{product_id}").status_code == 200
        for where in (url, f"{url}/spread"):
            assert httpx.get(f"{where}/v1/products/{product_id}").status_code == 404
    gone = httpx.get(f"{url}/spread/v1/products/nobody/similar", timeout=60)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")
    wrong = ask(f"{url}/spread", text="a", filter={"color": "red"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "unknown_attribute")
    wrong = ask(f"{url}/spread", text="a", filter={"colour": {"gte": 1}})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "not_a_number")
    wrong = ask(f"{url}/spread", image=base64.b64encode(b"text").decode())
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "bad_image")


def test_a_second_up_says_that_it_is_up(service, environment):
    done = subprocess.run(
        [sys.executable, "-m", "serve.up"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert f"up already: {service[0]}" in done.stdout


def test_sigterm_ends_it_and_leaves_nothing(service, home):
    url, process = service
    record = json.loads((home / "service.json").read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0
    assert not (home / "service.json").exists()
    port = int(url.rsplit(":", 1)[1])
    assert is_free("127.0.0.1", port)
    for one in record["processes"]:
        assert not Path(f"/proc/{one['pid']}/cmdline").exists()
