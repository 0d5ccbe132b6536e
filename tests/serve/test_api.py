"""serve/api.py and what it stands on: the HTTP interface over real parts, without Ray."""

import asyncio
import base64

import numpy as np
import pytest
from starlette.testclient import TestClient

from serve.api import make_api
from serve.problems import problem_of
from serve.schemas import MAX_BODY_BYTES
from serve.service import Service
from serve.shelves import fused
from tests.factories import make_picture
from tests.homes import tiny_home
from xmodal.errors import MatcherError, QueryError


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return home, tiny_home(home)


@pytest.fixture(scope="module")
def client(release):
    service = Service(release[0], fused(release[0], depth=10), deadline_ms=30_000)
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        client.portal.call(service.holder.start)
        yield client
        client.portal.call(service.holder.stop)


def search(client, **body):
    return client.post("/v1/search", json=body)


def error(answer):
    assert answer.status_code >= 400
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message", "field", "type"}
    return answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["field"]


def as_base64(content):
    return base64.b64encode(content).decode()


def test_an_answer_has_exactly_what_is_promised(client, release):
    answer = search(client, text="red shoe", limit=3).json()
    promised = {"query_id", "hits", "release", "degraded", "took_ms", "no_good_match"}
    assert set(answer) == promised | {"next_cursor", "facets", "rules"}
    assert len(answer["hits"]) == 3
    shown = {"product_id", "score", "title", "attributes", "probability"}
    assert set(answer["hits"][0]) == shown | {"collapsed", "explanation"}
    assert 0 < answer["hits"][0]["probability"] < 1
    assert answer["no_good_match"] is False
    assert answer["release"] == {
        "id": release[1].id,
        "matcher": "xmodal/1",
        "index": release[1].index,
        "catalog": "c1",
    }
    assert answer["degraded"] == []
    assert {"encode", "retrieve", "total"} <= set(answer["took_ms"])


def test_a_picture_finds_its_own_product(client):
    hits = search(client, image=as_base64(make_picture(70))).json()["hits"]
    assert hits[0]["product_id"] == "p007"
    assert hits[0]["score"] == pytest.approx(1, abs=1e-3)


def test_text_and_picture_together(client):
    answer = search(client, text="bag", image=as_base64(make_picture(70)))
    assert answer.status_code == 200
    assert len(answer.json()["hits"]) == 10


def test_a_filter_narrows(client):
    hits = search(client, text="bag", filter={"colour": ["red", "blue"], "kind": "bag"}).json()
    assert {hit["title"] for hit in hits["hits"]} == {"red bag", "blue bag"}


def test_chinese_is_taken(client):
    assert search(client, text="红色鞋子").status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "no_query", None)),
        ({"text": ""}, (400, "empty", "text")),
        ({"text": "   "}, (400, "empty", "text")),
        ({"text": 5}, (400, "invalid", "text")),
        ({"text": "x" * 1001}, (400, "too_large", "text")),
        ({"text": "a", "limits": 3}, (400, "unknown_field", "limits")),
        ({"text": "a", "limit": 0}, (400, "invalid", "limit")),
        ({"text": "a", "limit": 101}, (400, "invalid", "limit")),
        ({"text": "a", "limit": "10"}, (400, "invalid", "limit")),
        ({"text": "a", "rerank": "yes"}, (400, "invalid", "rerank")),
        ({"text": "a", "deadline_ms": 0}, (400, "invalid", "deadline_ms")),
        ({"text": "a", "filter": {"color": "red"}}, (400, "unknown_attribute", "filter")),
        ({"text": "a", "filter": "red"}, (400, "invalid", "filter")),
        ({"text": "a", "filter": {"colour": ["red"] * 101}}, (400, "too_large", "filter.colour")),
        ({"image": "%%%"}, (400, "bad_image", "image")),
        ({"image": ""}, (400, "bad_image", "image")),
        ({"image": as_base64(b"this is a text file")}, (400, "bad_image", "image")),
        ({"image": as_base64(make_picture(1)[:60])}, (400, "bad_image", "image")),
        ({"image": as_base64(b"x" * 10_000_001)}, (400, "too_large", "image")),
    ],
)
def test_a_bad_request_is_told_what_and_where(client, body, expected):
    assert error(search(client, **body)) == expected


def test_an_unknown_attribute_names_the_known_ones(client):
    answer = search(client, text="a", filter={"color": "red"})
    assert "colour, kind" in answer.json()["error"]["message"]


def test_what_is_not_json_is_refused(client):
    answer = client.post(
        "/v1/search", content=b"{text", headers={"content-type": "application/json"}
    )
    assert error(answer) == (400, "bad_json", None)


@pytest.mark.parametrize("body", [b'{"text": "\xff"}', b'{"text": ' + b"[" * 100_000])
def test_a_body_that_breaks_the_reader_is_bad_json(client, body):
    answer = client.post("/v1/search", content=body, headers={"content-type": "application/json"})
    assert error(answer) == (400, "bad_json", None)


def test_a_body_above_the_limit_is_refused(client):
    answer = client.post("/v1/search", content=b" " * (MAX_BODY_BYTES + 1))
    assert error(answer) == (413, "too_large", None)


def test_a_body_that_hides_its_size_is_refused(client):
    answer = client.post("/v1/search", content=(b" " * 1_000_000 for _ in range(20)))
    assert error(answer) == (413, "too_large", None)


def test_products_and_pictures(client):
    product = client.get("/v1/products/p004").json()
    assert (product["title"], product["price"]) == ("blue shirt", 4.0)
    picture = client.get("/v1/products/p004/image")
    assert picture.content == make_picture(40)
    assert picture.headers["content-type"] == "image/png"
    assert client.get("/v1/products/p001/image?number=2").content == make_picture(12)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/products/nobody", "not_found"),
        ("/v1/products/nobody/image", "not_found"),
        ("/v1/products/p023/image", "no_picture"),
        ("/v1/nothing", "not_found"),
    ],
)
def test_what_is_not_there_is_404_in_the_same_shape(client, path, code):
    assert error(client.get(path))[:2] == (404, code)


def test_a_wrong_method_is_405_in_the_same_shape(client):
    assert error(client.get("/v1/search"))[:2] == (405, "method_not_allowed")


def test_facets_say_what_a_filter_can_ask_for(client):
    assert client.get("/v1/facets").json()["facets"]["colour"] == {"red": 8, "blue": 8, "green": 8}


def test_health(client, release):
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json()["release"] == release[1].id


def test_not_ready_before_a_release_is_open(release):
    service = Service(release[0], fused(release[0], depth=10), deadline_ms=1000)
    with TestClient(make_api(service)) as client:
        assert error(client.get("/readyz")) == (503, "not_ready", None)
        assert client.get("/healthz").status_code == 200


def test_the_docs_need_no_network(client):
    page = client.get("/docs").text
    assert "cdn" not in page
    assert client.get("/docs/assets/swagger-ui-bundle.js").status_code == 200
    schema = client.get("/openapi.json").json()
    assert schema["components"]["schemas"]["SearchRequest"]["examples"]


def test_only_errors_that_are_sent_are_documented(client):
    text = client.get("/openapi.json").text
    assert "422" not in text
    assert "ValidationError" not in text


def test_the_page_is_there(client):
    page = client.get("/")
    assert "<html" in page.text
    assert page.headers["cache-control"] == "no-cache"


def test_a_picture_that_is_known_is_not_sent_again(client):
    tag = client.get("/v1/products/p004/image").headers["etag"]
    assert tag.startswith('"c1-')
    again = client.get("/v1/products/p004/image", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/v1/products/p005/image", headers={"If-None-Match": tag})
    assert other.content == make_picture(50)


def test_a_damaged_matcher_is_never_the_shoppers_fault():
    assert problem_of(MatcherError("weights are cut short")).status == 500
    assert problem_of(QueryError("no picture")).code == "bad_image"


def test_an_error_nobody_foresaw_is_one_line_with_a_number(release):
    service = Service(release[0], fused(release[0], depth=10), deadline_ms=1000)

    async def broken(request):
        raise RuntimeError("secret")

    service.search = broken
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        answer = search(client, text="a")
        assert error(answer) == (500, "internal", None)
        assert "secret" not in answer.text


def test_too_many_at_once_are_refused_in_our_shape(release):
    from serve.limits import Limits

    async def slow(scope, receive, send):
        await asyncio.sleep(0.2)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run():
        limited, seen = Limits(slow, at_once=2), []

        async def send(message):
            if "status" in message:
                seen.append((message["status"], dict(message["headers"]).get(b"retry-after")))

        paths = ["/v1/search"] * 3 + ["/healthz", "/readyz"]
        scopes = [{"type": "http", "path": path, "headers": []} for path in paths]
        await asyncio.gather(*(limited(scope, None, send) for scope in scopes))
        return seen

    assert sorted(asyncio.run(run())) == [(200, None)] * 4 + [(429, b"1")]


def test_a_hit_is_explained(client):
    hit = search(client, text="red shoe", limit=1).json()["hits"][0]
    asked = {"text": "red shoe", "product_id": hit["product_id"]}
    answer = client.post("/v1/explain", json=asked).json()
    assert [word["text"] for word in answer["words"]] == ["red", "shoe"]
    assert [word["start"] for word in answer["words"]] == [0, 4]
    assert np.array(answer["regions"]).shape == (8, 8)
    assert answer["score"] == pytest.approx(hit["score"], abs=0.05)
    assert answer["drawing"].startswith("<svg")
    assert answer["release"]["matcher"] == "xmodal/1"


def test_what_is_not_there_is_not_explained(client):
    answer = client.post("/v1/explain", json={"text": "red shoe", "product_id": "nobody"})
    assert error(answer) == (404, "not_found", "product_id")
    answer = client.post("/v1/explain", json={"text": " ", "product_id": "p007"})
    assert error(answer)[0] == 400


def test_similar_products_leave_the_product_out(client):
    answer = client.get("/v1/products/p007/similar", params={"limit": 5}).json()
    assert len(answer["hits"]) == 5
    assert "p007" not in {hit["product_id"] for hit in answer["hits"]}
    assert error(client.get("/v1/products/nobody/similar")) == (404, "not_found", "product_id")
    assert error(client.get("/v1/products/p007/similar", params={"limit": 0}))[0] == 400


def test_a_session_is_read_from_its_newest_product(client):
    def recommend(**body):
        return client.post("/v1/recommend", json=body)

    newest = recommend(products=["p003", "p009"], recency=1e-6, limit=4).json()["hits"]
    alone = client.get("/v1/products/p009/similar", params={"limit": 5}).json()["hits"]
    ids = [hit["product_id"] for hit in alone if hit["product_id"] != "p003"]
    assert [hit["product_id"] for hit in newest] == ids[:4]
    without = recommend(products=["p003", "p009"], recency=1e-6, limit=4, exclude=ids[:1]).json()
    assert ids[0] not in {hit["product_id"] for hit in without["hits"]}
    assert error(recommend(products=["nobody"]))[:2] == (404, "not_found")
    assert error(recommend(products=[])) == (400, "invalid", "products")


def test_each_search_of_a_batch_has_its_own_status(client):
    good, bad = {"text": "red shoe", "limit": 2}, {"text": "bag", "filter": {"colr": "red"}}
    answer = client.post("/v1/search:batch", json={"queries": [good, bad, {"limit": 3}]})
    assert answer.status_code == 207
    first, second, third = answer.json()["answers"]
    assert (first["status"], second["status"], third["status"]) == (200, 400, 400)
    alone = search(client, **good).json()["hits"]
    ids = [[hit["product_id"] for hit in hits] for hits in (first["answer"]["hits"], alone)]
    assert ids[0] == ids[1]
    assert second["error"]["code"] == "unknown_attribute"
    assert third["error"]["code"] == "no_query"
    whole = client.post("/v1/search:batch", json={"queries": [good, good]})
    assert whole.status_code == 200
    assert error(client.post("/v1/search:batch", json={"queries": [good] * 65}))[0] == 400


def test_typing_leads_to_titles(client):
    def suggest(**params):
        return client.get("/v1/suggest", params=params)

    assert "red shoe" in suggest(q="red sh").json()["suggestions"]
    assert (
        suggest(q="shrit", limit=3).json()["suggestions"]
        == suggest(q="shirt", limit=3).json()["suggestions"]
    )
    assert suggest(q="").json()["suggestions"] == []
    assert error(suggest(q="a", limit=0))[0] == 400
    assert error(client.get("/v1/suggest"))[0] == 400
