"""xmodal/client.py: over the wire to a real application, in memory."""

import json

import httpx
import pytest
from starlette.testclient import TestClient

from serve.api import make_api
from serve.service import Service
from serve.shelves import fused
from tests.factories import make_picture
from tests.homes import tiny_home
from xmodal.client import Client
from xmodal.errors import QueryError, ServiceError


class _ToApp(httpx.BaseTransport):
    """Hands requests to an application in this process."""

    def __init__(self, app: TestClient):
        self.app = app

    def handle_request(self, request):
        answer = self.app.request(
            request.method, str(request.url), content=request.read(), headers=request.headers
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tiny_home(home)
    service = Service(home, fused(home, depth=10), deadline_ms=30_000)
    with TestClient(make_api(service)) as app:
        app.portal.call(service.holder.start)
        yield Client("http://testserver", transport=_ToApp(app))
        app.portal.call(service.holder.stop)


def test_a_text_search_is_typed(client):
    answer = client.search("red shoe", limit=2, filter={"kind": "shoe"})
    assert len(answer.hits) == 2
    assert answer.hits[0].attributes["kind"] == "shoe"
    assert answer.release["id"] == client.release()


def test_wishes_are_the_apis_own(client):
    answer = client.search(
        {"red shoe": 1, "bag": -0.5},
        filter={"price": {"gte": 3, "lt": 12}, "colour": {"not": ["red"]}},
        user_history=["p001"],
        facets=["colour"],
        sort={"field": "price", "order": "desc"},
        explain=True,
    )
    prices = [client.product(hit.product_id)["price"] for hit in answer.hits]
    assert prices == sorted((n for n in range(3, 12) if n % 3), reverse=True)
    assert answer.facets == {"colour": {"blue": 3, "green": 3}}
    assert set(answer.hits[0].explanation) >= {"first_stage", "rerank", "boosts"}


def test_pages_go_on_to_the_end(client):
    pages = list(client.pages("red shoe", limit=10))
    assert [len(page.hits) for page in pages] == [10, 10, 4]
    assert len({hit.product_id for page in pages for hit in page.hits}) == 24


def test_a_picture_is_sent_as_bytes_or_as_a_file(client, tmp_path):
    file = tmp_path / "picture.png"
    file.write_bytes(make_picture(50))
    assert client.search(image=file).hits[0].product_id == "p005"
    assert client.search(image=make_picture(50)).hits[0].product_id == "p005"


def test_products_pictures_and_facets(client):
    assert client.product("p004")["title"] == "blue shirt"
    assert client.picture("p004") == make_picture(40)
    assert client.facets()["kind"]["shoe"] > 0


def test_the_services_words_reach_the_caller(client):
    with pytest.raises(QueryError, match=r"filter: unknown attribute 'color'.*colour, kind"):
        client.search("a", filter={"color": "red"})


def test_a_service_that_is_not_there_says_how_to_start_it():
    def refuse(request):
        raise httpx.ConnectError("refused")

    with pytest.raises(ServiceError, match="make serve"):
        Client(transport=httpx.MockTransport(refuse)).search("a")


def test_an_answer_that_is_not_ours_is_named():
    strange = httpx.MockTransport(lambda request: httpx.Response(502, text="bad gateway"))
    with pytest.raises(ServiceError, match="502"):
        Client(transport=strange).search("a")


HIT = {"product_id": "p", "score": 1.0, "title": "", "attributes": {}}
OURS = {"query_id": "q", "hits": [HIT], "release": {"id": "r"}, "degraded": [], "took_ms": {}}


@pytest.mark.parametrize(
    "body",
    [
        "<html>hello</html>",
        "[]",
        "{}",
        json.dumps(OURS | {"more": 1}),
        json.dumps(OURS | {"hits": [HIT | {"more": 1}]}),
        json.dumps(OURS | {"hits": ["p"]}),
        json.dumps(OURS | {"release": {}}),
    ],
)
def test_a_200_that_is_not_ours_is_one_line(body):
    strange = httpx.MockTransport(lambda request: httpx.Response(200, text=body))
    with pytest.raises(ServiceError, match=r"^http://127.0.0.1:8000 answers, but not as"):
        Client(transport=strange).search("a")


@pytest.mark.parametrize("ask", [Client.facets, Client.release, lambda c: c.product("p")])
@pytest.mark.parametrize("body", ["<html>hello</html>", "[]"])
def test_nothing_else_is_taken_for_ours_either(ask, body):
    strange = httpx.MockTransport(lambda request: httpx.Response(200, text=body))
    with pytest.raises(ServiceError, match="answers, but not as"):
        ask(Client(transport=strange))


@pytest.mark.parametrize("url", ["http://[1", "http://a:b", "localhost:8000", "", "http://\x00"])
def test_a_malformed_url_is_one_line(url):
    with pytest.raises(ServiceError) as caught:
        Client(url).search("a")
    assert "\n" not in str(caught.value)


def test_a_picture_that_cannot_be_read_is_named(client, tmp_path):
    with pytest.raises(QueryError, match=r"nothing\.png"):
        client.search(image=tmp_path / "nothing.png")


def test_products_are_put_in_and_taken_out(client, tmp_path):
    file = tmp_path / "hat.png"
    file.write_bytes(make_picture(321))
    assert client.upsert("hat 1", title="violet hat", images=[file], price=3.5) == "created"
    assert client.search(image=make_picture(321), limit=1).hits[0].product_id == "hat 1"
    assert client.product("hat 1")["price"] == 3.5
    assert client.picture("hat 1") == make_picture(321)
    several = [{"product_id": "hat 1", "title": "green hat"}, {"product_id": "hat 2"}]
    first, second = client.upsert_all(several)
    assert (first, "give a `title`" in second) == ("updated", True)
    client.delete("hat 1")
    with pytest.raises(QueryError, match="no product 'hat 1'"):
        client.delete("hat 1")
    with pytest.raises(QueryError, match="unknown field"):
        client.upsert("hat 3", titel="hat")
