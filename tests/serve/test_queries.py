"""`POST /v1/search` beyond text and picture: each wish over real parts, without Ray."""

import base64
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from serve.api import make_api
from serve.service import Service
from serve.shelves import fused
from tests.factories import make_picture
from tests.homes import add_release, product_row, write_catalog
from xmodal.index.version import open_index
from xmodal.matcher.saved import load_encoder, read_facts
from xmodal.retrieval.embed import embed_pictures, embed_texts
from xmodal.storage import write_json_atomic

PRODUCTS = 60


def rows():
    """Sixty products; ten of one picture and one title, and the last four without a picture."""
    found = []
    for number in range(PRODUCTS):
        row = product_row(number, 0 if number >= PRODUCTS - 4 else 1)
        more = [("brand", f"b{number % 4}"), ("size", str(30 + number % 20))]
        more += [("style", f"s{number // 3}")] if number % 10 else []
        more += [("released", f"2026-0{1 + number % 9}-15")] if number % 5 else []
        row["attributes"] = row["attributes"] + more
        if 20 <= number < 30:
            row |= {"images": [make_picture(5)], "title": "red shoe"}
        found.append(row)
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    catalog = write_catalog(home / "catalogs" / "c1", rows())
    write_json_atomic(home / "catalog.json", {"source": "made here", "current": "c1"})
    return home, catalog, add_release(home, catalog, seed=0)


@pytest.fixture(scope="module")
def client(shop):
    service = Service(shop[0], fused(shop[0], depth=12), 30_000, collapse="style")
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        client.portal.call(service.holder.start)
        client.service = service
        yield client
        client.portal.call(service.holder.stop)


@pytest.fixture(scope="module")
def encoder(shop):
    return load_encoder(shop[2].matcher_folder(shop[0]) / "encoder")


@pytest.fixture(scope="module")
def index(shop):
    folder = shop[2].matcher_folder(shop[0])
    return open_index(shop[2].index_folder(shop[0]), read_facts(folder).encoder)


def ask(client, **body):
    answer = client.post("/v1/search", json={"text": "red shoe"} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client, status=400, **body):
    body = json.dumps({"text": "red shoe"} | body)  # NaN too
    answer = client.post("/v1/search", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["code"], answer.json()["error"]["field"]


def ids(answer):
    return [hit["product_id"] for hit in answer["hits"]]


def pages(client, limit, **body):
    """All hits of all pages, and the pages."""
    found = [ask(client, limit=limit, **body)]
    while found[-1]["next_cursor"]:
        assert len(found) < 200
        found.append(ask(client, limit=limit, cursor=found[-1]["next_cursor"], **body))
    return [hit for page in found for hit in page["hits"]], found


def best(index, vector_D, kind="text", k=PRODUCTS):
    hits = index.search(vector_D.astype(np.float32), k, kind=kind)
    return index.products.column("product_id", hits.product_rows)


def unit(vector_D):
    return vector_D / np.linalg.norm(vector_D)


# filters


def test_ranges_and_exclusions_narrow(client):
    wanted = {"price": {"gte": 10, "lt": 50}, "size": {"lte": 35}, "colour": {"not": ["red"]}}
    hits = ask(client, filter=wanted, limit=100)["hits"]
    expected = [f"p{n:03d}" for n in range(PRODUCTS) if 10 <= n < 50 and n % 20 <= 5 and n % 3 != 0]
    assert sorted(hit["product_id"] for hit in hits) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"colour": {"gte": 1}}, ("not_a_number", "filter")),
        ({"color": {"not": ["red"]}}, ("unknown_attribute", "filter")),
        ({"price": ["1.0"]}, ("unknown_attribute", "filter")),
        ({"price": {"gte": float("nan")}}, ("invalid", "filter.price")),
        ({"price": {"above": 5}}, ("unknown_field", "filter.price")),
        ({"colour": ["x"] * 100_000}, ("too_large", "filter.colour")),
    ],
)
def test_a_filter_that_cannot_be_read_is_told(client, wanted, expected):
    assert refused(client, filter=wanted) == expected


# composed queries


def test_weights_add_up_as_vectors_do(client, encoder, index):
    parts = [{"text": "red shoe"}, {"text": "bag", "weight": -0.5}]
    vector_ND = embed_texts(encoder, ["red shoe", "bag"])
    found = ask(client, text=parts, rerank=False, limit=60)
    assert ids(found) == best(index, unit(vector_ND[0] - 0.5 * vector_ND[1]))
    assert found["hits"][0]["probability"] is None


def test_a_picture_and_words_that_lead_away(client, encoder, index):
    picture = make_picture(70)
    body = {
        "text": [{"text": "bag", "weight": -1}],
        "image": base64.b64encode(picture).decode(),
        "limit": 60,
    }
    vector_D = embed_pictures(encoder, [picture])[0] - embed_texts(encoder, ["bag"])[0]
    assert ids(ask(client, **body)) == best(index, unit(vector_D), "both")


def test_one_text_in_a_list_is_that_text(client):
    alone = ask(client, text="red shoe")
    listed = ask(client, text=[{"text": "red shoe", "weight": 3}])
    assert [(h["product_id"], h["probability"]) for h in alone["hits"]] == [
        (h["product_id"], h["probability"]) for h in listed["hits"]
    ]


def test_the_reranker_reads_the_positive_parts(client):
    parts = [{"text": "red shoe"}, {"text": "bag", "weight": -0.5}]
    found = ask(client, text=parts, explain=True)
    assert all(hit["explanation"]["rerank"] is not None for hit in found["hits"])
    away = ask(client, text=[{"text": "bag", "weight": -1}], explain=True)
    assert all(hit["explanation"]["rerank"] is None for hit in away["hits"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ([], ("invalid", "text")),
        ([{"text": "a"}] * 17, ("too_large", "text")),
        ([{"text": "a", "weight": 0}], ("no_query", None)),
        ([{"text": "a", "weight": float("nan")}], ("invalid", "text.0")),
        ([{"text": "a", "weight": 1e9}], ("invalid", "text.0")),
        ([{"text": " "}], ("empty", "text.0")),
        ([{"text": "a", "wait": 1}], ("unknown_field", "text.0")),
        ([{"text": "bag"}, {"text": "bag", "weight": -1}], ("no_query", "text")),
        ({"red": 1}, ("invalid", "text")),
    ],
)
def test_parts_that_are_none_are_refused(client, text, expected):
    assert refused(client, text=text) == expected


# history


def test_history_bends_the_query(client, encoder, index):
    text_D = embed_texts(encoder, ["red shoe"])[0]
    seen = ["p003", "p011", "p042"]  # two are equally far from their mean
    mean_D = unit(index.product_vectors(seen).mean(axis=0))
    asked = {"user_history": seen, "rerank": False, "limit": 60}
    assert ids(ask(client, **asked)) == best(index, unit(0.7 * text_D + 0.3 * mean_D))
    assert ids(ask(client, history_weight=1, **asked)) == best(index, mean_D)
    plain = ids(ask(client, rerank=False, limit=60))
    assert ids(ask(client, history_weight=0, **asked)) == plain


def test_history_is_refused_with_its_reason(client):
    assert refused(client, user_history=["nobody"]) == ("unknown_product", "user_history")
    assert refused(client, user_history=["p001"] * 101) == ("too_large", "user_history")
    assert refused(client, history_weight=1.1) == ("invalid", "history_weight")
    assert refused(client, history_weight=float("nan")) == ("invalid", "history_weight")


# facets


def test_facets_count_all_that_pass_the_filter(client):
    asked = {"facets": ["colour", "brand"], "filter": {"price": {"lt": 10}}, "limit": 1}
    found = ask(client, **asked)["facets"]
    assert found["brand"] == Counter(f"b{n % 4}" for n in range(10))
    assert found["colour"] == {"red": 4, "blue": 3, "green": 3}
    assert list(found["colour"]) == ["red", "blue", "green"]
    assert ask(client)["facets"] is None
    assert refused(client, facets=["color"]) == ("unknown_attribute", "facets")
    assert refused(client, facets=["colour"] * 2) == ("invalid", "facets")


# pages


@pytest.mark.parametrize("limit", [1, 7, 10, 25])
@pytest.mark.parametrize(
    "body",
    [
        {"rerank": False},
        {},
        {"candidates": 30},
        {"boost": [{"field": "brand", "value": "b1", "weight": 0.3}]},
        {"decay": {"field": "released", "half_life_days": 30}},
        {"filter": {"colour": ["red", "blue"]}},
        {"min_score": 0.1},
        {"text": None, "image": base64.b64encode(make_picture(5)).decode()},  # ten of one score
        {"text": [{"text": "red shoe"}, {"text": "bag", "weight": -0.5}]},
    ],
)
def test_pages_neither_overlap_nor_lose(client, limit, body):
    body = {"candidates": 30} | body
    hits, _ = pages(client, limit, **body)
    found = [hit["product_id"] for hit in hits]
    assert len(set(found)) == len(found)
    assert set(found) == {
        f"p{n:03d}" for n in range(PRODUCTS) if n % 3 != 2 or "filter" not in body
    }
    whole = ask(client, limit=30, **body)
    assert ids(whole) == found[:30]


def test_a_page_is_the_same_when_it_is_asked_for_again(client):
    first = ask(client, limit=5)
    again = [ask(client, limit=5, cursor=first["next_cursor"]) for _ in range(2)]
    assert again[0]["hits"] == again[1]["hits"]
    assert "encode" not in again[0]["took_ms"]


def test_scores_fall_within_the_reranked_head_and_behind_it(client):
    hits, _ = pages(client, 5, candidates=20)
    score = [hit["score"] for hit in hits]
    assert score[:20] == sorted(score[:20], reverse=True)
    assert score[20:] == sorted(score[20:], reverse=True)


def test_limit_may_change_between_pages(client):
    whole = ids(ask(client, limit=30, candidates=30))
    first = ask(client, limit=4, candidates=30)
    second = ask(client, limit=11, candidates=30, cursor=first["next_cursor"])
    assert ids(first) + ids(second) == whole[:15]


def test_a_cursor_that_does_not_fit_is_told_why(client, shop):
    cursor = ask(client, limit=5)["next_cursor"]
    assert refused(client, cursor=cursor, text="bag") == ("another_query", "cursor")
    assert refused(client, cursor=cursor, filter={"colour": "red"}) == ("another_query", "cursor")
    for bad in ("x", cursor[:-8], cursor[4:], cursor.swapcase(), "é" * 50):
        assert refused(client, cursor=bad) == ("bad_cursor", "cursor")
    assert refused(client, cursor="x" * 100_001) == ("too_large", "cursor")


# order


def test_sorted_candidates_are_all_there_is(client):
    relevant = ids(ask(client, limit=20, candidates=20))
    hits, _ = pages(client, 6, candidates=20, sort={"field": "price", "order": "desc"})
    assert [hit["product_id"] for hit in hits] == sorted(relevant, reverse=True)
    hits, _ = pages(client, 6, candidates=20, sort={"field": "released"})
    days = [hit["attributes"].get("released", "9") for hit in hits]
    assert days == sorted(days)
    assert {hit["product_id"] for hit in hits} == set(relevant)


def test_a_boost_adds_to_the_score(client):
    plain = {hit["product_id"]: hit for hit in ask(client, limit=12)["hits"]}
    boost = [{"field": "brand", "value": "b1", "weight": 5}]
    boosted = ask(client, limit=12, boost=boost, explain=True)["hits"]
    for hit in boosted:
        gain = 5 * (hit["attributes"]["brand"] == "b1")
        before = plain[hit["product_id"]]
        assert hit["score"] == pytest.approx(before["score"] + gain, abs=1e-4)
        assert hit["probability"] == before["probability"]
        assert len(hit["explanation"]["boosts"]) == bool(gain)
    brands = [hit["attributes"]["brand"] == "b1" for hit in boosted]
    assert brands == sorted(brands, reverse=True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"sort": {"field": "colour"}}, ("not_a_number", "sort")),
        ({"sort": {"field": "colr"}}, ("unknown_attribute", "sort")),
        ({"sort": {"field": "price", "order": "up"}}, ("invalid", "sort.order")),
        ({"boost": [{"field": "b", "value": "x", "weight": 1}]}, ("unknown_attribute", "boost")),
        ({"boost": [{"field": "brand", "value": "x"}]}, ("invalid", "boost.0")),
        (
            {"boost": [{"field": "brand", "value": "x", "weight": float("inf")}]},
            ("invalid", "boost.0"),
        ),
        ({"decay": {"field": "brand", "half_life_days": 9}}, ("not_a_date", "decay")),
        (
            {"decay": {"field": "released", "half_life_days": 0}},
            ("invalid", "decay.half_life_days"),
        ),
        ({"candidates": 0}, ("invalid", "candidates")),
        ({"candidates": 1001}, ("invalid", "candidates")),
        ({"candidates": 9}, ("invalid", "candidates")),
        ({"min_score": 1.5}, ("invalid", "min_score")),
        ({"min_score": 0.5, "user_history": ["p001"]}, ("not_calibrated", "min_score")),
        (
            {"min_score": 0.5, "image": base64.b64encode(make_picture(1)).decode()},
            ("not_calibrated", "min_score"),
        ),
        ({"explain": "yes"}, ("invalid", "explain")),
        ({"collapse": 1}, ("invalid", "collapse")),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused(client, body, expected):
    assert refused(client, **body) == expected


def test_one_of_each_group_is_shown(client):
    hits, found = pages(client, 7, collapse=True, candidates=30)
    plain, _ = pages(client, 7, candidates=30)
    groups = Counter(hit["attributes"].get("style", f"#{hit['product_id']}") for hit in plain)
    shown = [hit["attributes"].get("style", f"#{hit['product_id']}") for hit in hits]
    assert Counter(shown) == dict.fromkeys(groups, 1)
    for hit, group in zip(hits, shown, strict=True):
        assert hit["collapsed"] == groups[group] - 1
    firsts: dict[str, str] = {}
    for hit in plain:
        group = hit["attributes"].get("style", f"#{hit['product_id']}")
        firsts.setdefault(group, hit["product_id"])
    assert [hit["product_id"] for hit in hits] == list(firsts.values())
    assert found[0]["hits"][0]["explanation"] is None


def test_collapse_needs_its_attribute_named(shop):
    service = Service(shop[0], fused(shop[0], depth=10), 30_000)
    with TestClient(make_api(service)) as client:
        assert refused(client, collapse=True) == ("not_configured", "collapse")


def test_a_least_probability_holds_for_every_hit(client):
    likely = sorted(hit["probability"] for hit in pages(client, 20)[0])
    least = likely[len(likely) // 2] + 1e-4
    hits, _ = pages(client, 7, min_score=least)
    assert hits
    assert all(hit["probability"] >= least - 5e-5 for hit in hits)
    assert len(hits) < PRODUCTS
    assert ask(client, min_score=1.0)["hits"] == []


def test_an_explanation_adds_up(client):
    boost = [{"field": "brand", "value": "b1", "weight": 0.2}]
    decay = {"field": "released", "half_life_days": 60}
    hits = ask(client, limit=8, explain=True, boost=boost, decay=decay)["hits"]
    for hit in hits:
        why = hit["explanation"]
        added = sum(one["weight"] for one in why["boosts"]) + why["decay"]
        assert hit["score"] == pytest.approx(why["rerank"] + added, abs=1e-5)
        assert why["decay"] <= 1e-6
    words = [hit["explanation"]["words"] for hit in hits]
    assert [word["text"] for word in words[0]] == ["red", "shoe"]
    assert words[3:] == [None] * 5


def test_a_batch_takes_the_wishes_too(client):
    queries = [{"text": "red shoe", "sort": {"field": "price"}}, {"text": "a", "facets": ["x"]}]
    first, second = client.post("/v1/search:batch", json={"queries": queries}).json()["answers"]
    assert first["status"] == 200
    assert (second["status"], second["error"]["field"]) == (400, "facets")


def test_a_cursor_of_a_release_that_is_gone_is_410(client, shop):
    home, catalog, release = shop
    cursor = ask(client, limit=5)["next_cursor"]
    add_release(home, catalog, seed=1)
    client.portal.call(client.service.holder.follow)
    assert client.get("/readyz").json()["release"] != release.id
    assert refused(client, 410, cursor=cursor) == ("release_gone", "cursor")
    hits, _ = pages(client, 10)
    assert len(hits) == PRODUCTS


def test_without_a_calibration_there_is_no_least_probability(client):
    shelf = client.service.holder.live.part
    held = client.service.holder.live
    held.part = replace(shelf, searcher=replace(shelf.searcher, calibration=None))
    assert refused(client, min_score=0.5) == ("not_calibrated", "min_score")
    held.part = shelf
