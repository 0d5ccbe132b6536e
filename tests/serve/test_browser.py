"""serve/ui in a real browser: what a visitor sees, by the address alone."""

import re
import shutil
import socket
import subprocess
import threading
import time

import httpx
import pytest
import uvicorn

from serve.api import make_api
from serve.service import Service
from serve.shelves import fused
from tests.homes import tiny_home

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian's package)"),
]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=8000",
    "--dump-dom",
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tiny_home(home)
    service = Service(home, fused(home, depth=10), deadline_ms=30_000)
    api = make_api(service)
    api.router.on_startup.append(service.holder.start)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(api, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


def seen(url, query, profile, *flags):
    """The page's elements, once it has settled."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={profile}", url + query]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return done.stdout


def text_of(page, element):
    return re.sub(r"<[^>]+>", "", re.search(rf'id="{element}"[^>]*>(.*?)</', page, re.S)[1]).strip()


def test_an_address_with_words_shows_hits_with_pictures(url, tmp_path):
    page = seen(url, "?q=red+shoe", tmp_path)
    assert page.count('class="card"') == 24
    assert text_of(page, "summary") == "24 products for “red shoe”, best first"
    assert page.count("/v1/products/p") >= 24


def test_a_filter_in_the_address_holds_and_can_be_taken_off(url, tmp_path):
    page = seen(url, "?q=shoe&f.colour=blue", tmp_path)
    assert page.count('class="card"') == 8
    assert 'aria-label="Remove colour blue"' in page


def test_what_is_like_a_product_has_an_address(url, tmp_path):
    page = seen(url, "?like=p003", tmp_path)
    assert "for that product, best first" in text_of(page, "summary")
    assert page.count('class="card"') == 23


def test_a_request_that_is_refused_says_why(url, tmp_path):
    page = seen(url, "?q=shoe&f.color=blue", tmp_path)
    assert "colour" in text_of(page, "problem")
    assert 'class="card"' not in page


def test_the_page_speaks_chinese_to_who_does(url, tmp_path):
    page = seen(url, "?q=shoe", tmp_path, "--lang=zh-CN", "--accept-lang=zh-CN")
    assert '<html lang="zh"' in page
    assert "件商品，最合适的在前" in text_of(page, "summary")
