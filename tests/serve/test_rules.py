"""serve/rules.py, search/shown.py and lead.py: rules over the whole path, without Ray."""

import json
import time
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from serve.api import make_api
from serve.service import Service
from serve.shelves import fused
from tests.homes import tiny_home
from xmodal.errors import Overloaded

PRODUCTS = 40


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tiny_home(home, PRODUCTS)
    return home


@pytest.fixture(scope="module")
def client(home):
    service = Service(home, fused(home, depth=10), deadline_ms=30_000)
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        client.portal.call(service.holder.start)
        client.service = service
        yield client
        client.portal.call(service.holder.stop)


@pytest.fixture
def ruled(home):
    """Writes the home's rules, numbered; takes them away at the end."""

    def write(*rules):
        numbered = [{"id": f"r{n}"} | rule for n, rule in enumerate(rules)]
        (home / "rules.json").write_text(json.dumps({"rules": numbered}))

    yield write
    (home / "rules.json").unlink(missing_ok=True)


def ask(client, **body):
    answer = client.post("/v1/search", json={"text": "red shoe", "limit": 5} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer):
    return [hit["product_id"] for hit in answer["hits"]]


def pages(client, **body):
    found = [ask(client, **body)]
    while found[-1]["next_cursor"]:
        found.append(ask(client, cursor=found[-1]["next_cursor"], **body))
    return [one for page in found for one in ids(page)]


FORMS = [{}, {"rerank": False}, {"hybrid": True}, {"hybrid": True, "rerank": False}]


@pytest.mark.parametrize("form", FORMS)
def test_a_pinned_product_has_its_place_however_far_it_is(client, ruled, form):
    plain = pages(client, **form)
    far = plain[-1]
    ruled({"action": "pin", "products": [far, "nobody"], "position": 2})
    answer = ask(client, **form)
    assert ids(answer) == [plain[0], far, *plain[1:4]]
    assert answer["rules"] == ["r0"]


@pytest.mark.parametrize("form", FORMS)
def test_pages_with_rules_hold_each_product_once(client, ruled, form):
    plain = pages(client, **form)
    hidden = {plain[1], plain[20]}
    ruled(
        {"action": "pin", "products": [plain[30], plain[1]]},
        {"action": "hide", "products": sorted(hidden)},
        {"action": "boost", "weight": 0.5, "where": {"colour": "blue"}},
    )
    found = pages(client, **form)
    assert len(found) == len(set(found))
    assert set(found) == set(plain) - hidden
    assert found[0] == plain[30]


def test_what_is_hidden_is_hidden_everywhere(client, ruled):
    ruled({"action": "hide", "where": {"colour": ["red", "blue"]}})
    for answer in (
        ask(client, limit=100),
        client.get("/v1/products/p001/similar?limit=30").json(),
        client.post("/v1/recommend", json={"products": ["p001"], "limit": 30}).json(),
    ):
        assert {hit["attributes"]["colour"] for hit in answer["hits"]} == {"green"}
    assert len(ask(client, limit=100)["hits"]) == len(range(2, PRODUCTS, 3))


def test_filters_hold_for_pinned_products(client, ruled):
    ruled({"action": "pin", "products": ["p000", "p001"]})  # red, blue
    answer = ask(client, filter={"colour": "blue"})
    assert ids(answer)[0] == "p001"
    assert {hit["attributes"]["colour"] for hit in answer["hits"]} == {"blue"}


def test_boost_and_bury_move_within_the_candidates(client, ruled):
    before = ask(client, limit=10)
    ruled(
        {"action": "boost", "weight": 2, "where": {"kind": "bag"}},
        {"action": "bury", "weight": 2, "where": {"kind": "shoe"}},
    )
    after = ask(client, limit=10)
    assert sorted(ids(after)) == sorted(ids(before))
    kinds = [hit["attributes"]["kind"] for hit in after["hits"]]
    assert kinds == sorted(kinds, key=("bag", "shirt", "shoe").index)
    scores = {hit["product_id"]: hit["score"] for hit in before["hits"]}
    assert {hit["product_id"]: hit["score"] for hit in after["hits"]} == pytest.approx(scores)


def test_a_field_to_sort_by_wins_over_rules(client, ruled):
    sort = {"field": "price", "order": "asc"}
    plain = ids(ask(client, sort=sort))
    ruled({"action": "pin", "products": [plain[-1]]})
    assert ids(ask(client, sort=sort)) == plain


def test_synonyms_are_read_before_the_query_is_encoded(client, ruled):
    said = ask(client, text="red shoe")
    ruled({"action": "synonyms", "words": ["crimson sneaker"], "to": "red shoe"})
    answer = ask(client, text="Crimson  sneaker")
    assert ids(answer) == ids(said)
    assert answer["rules"] == ["r0"]
    assert ask(client, text="red shoe")["rules"] == []


def test_a_condition_leaves_other_queries_alone(client, ruled):
    plain = ids(ask(client))
    ruled({"action": "hide", "products": plain[:1], "query": {"exact": "blue bag"}})
    assert ids(ask(client)) == plain
    assert plain[0] not in ids(ask(client, text="Blue bag", limit=100))


def test_a_picture_meets_the_rules_for_all(client, ruled):
    from base64 import b64encode

    from tests.factories import make_picture

    image = b64encode(make_picture(70)).decode()
    ruled({"action": "hide", "products": ["p007"]})
    found = ask(client, text=None, image=image)
    assert "p007" not in ids(found)
    assert found["rules"] == ["r0"]


def test_a_change_holds_within_a_second(client, ruled):
    plain = ids(ask(client))
    ruled({"action": "hide", "products": plain[:1]})
    start = time.monotonic()
    while ids(ask(client)) == plain:
        assert time.monotonic() - start < 1
    ruled()
    assert ids(ask(client)) == plain


def test_a_bad_file_keeps_the_old_rules_and_is_named(client, ruled, home):
    plain = ids(ask(client))
    ruled({"action": "hide", "products": plain[:1]})
    assert plain[0] not in ids(ask(client))
    ruled({"action": "hide", "products": plain[1:2], "until": "tomorrow"})
    assert ids(ask(client))[0] == plain[1]
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert "rules.json, rule 'r0', field 'until'" in ready["problem"]
    ruled()
    assert client.get("/readyz").json()["problem"] is None


def test_an_answer_from_memory_hides_what_is_hidden_now(client, ruled, monkeypatch):
    async def full(request):
        raise Overloaded("full")

    before = ask(client, text="some bag")
    ruled({"action": "hide", "products": ids(before)[1:2], "query": {"contains": "bag"}})
    monkeypatch.setattr(client.service, "_search", full)
    kept = ask(client, text="some bag")
    assert kept["degraded"] == ["cached_answer"]
    assert ids(kept) == [one for one in ids(before) if one != ids(before)[1]]


def test_what_is_no_file_is_named_too(client, home):
    (home / "rules.json").mkdir()
    assert ask(client)["rules"] == []
    assert "directory" in client.get("/readyz").json()["problem"]
    (home / "rules.json").rmdir()
    assert client.get("/readyz").json()["problem"] is None


def test_products_changed_since_meet_the_rules(tmp_path):
    tiny_home(tmp_path)
    with serving(tmp_path) as client:
        body = {"title": "red shoe", "attributes": {"colour": "red", "kind": "shoe"}}
        assert client.put("/v1/products/new", json=body).status_code == 200
        assert client.put("/v1/products/p004", json=body | {"title": "old"}).status_code == 200
        pin = {"id": "pin", "action": "pin", "products": ["p004", "new", "p006"]}
        (tmp_path / "rules.json").write_text(json.dumps({"rules": [pin]}))
        for form in FORMS:
            assert ids(ask(client, **form))[:3] == ["p004", "new", "p006"]
        assert ids(ask(client, filter={"kind": "bag"}))[0] == "p006"
        assert client.delete("/v1/products/new").status_code == 200
        assert ids(ask(client))[:2] == ["p004", "p006"]


@contextmanager
def serving(home):
    service = Service(home, fused(home, depth=10), deadline_ms=30_000)
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        client.portal.call(service.holder.start)
        yield client
        client.portal.call(service.holder.stop)
