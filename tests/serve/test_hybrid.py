"""Words beside vectors over the whole path: search/wider.py, lead.py and page.py, without Ray."""

import pickle

import numpy as np
import pytest
from starlette.testclient import TestClient

from serve.api import make_api
from serve.service import Service
from serve.shelves import fused
from tests.homes import add_release, product_row, write_catalog
from xmodal.catalog.judged import Queries, write_queries
from xmodal.index.facets import as_filter
from xmodal.index.version import open_index
from xmodal.matcher.saved import load_encoder, read_facts
from xmodal.retrieval.embed import embed_texts
from xmodal.search.evidence import gather
from xmodal.search.fusion import POOL, Fusion
from xmodal.search.hybrid import measure_hybrid
from xmodal.search.lead import lead_of
from xmodal.search.query import Extra
from xmodal.search.wider import nearest, widened
from xmodal.storage import write_json_atomic

PRODUCTS = 150  # more than POOL: the best by words are not among the nearest anyway


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Model numbers that only words can tell apart; the facts say that words help."""
    home = tmp_path_factory.mktemp("home")
    rows = [product_row(n) | {"title": f"acme shoe {1000 + n} blue"} for n in range(PRODUCTS)]
    catalog = write_catalog(home / "catalogs" / "c1", rows)
    write_json_atomic(home / "catalog.json", {"source": "made here", "current": "c1"})
    qrels = {f"shoe blue {1000 + n}": {f"p{n:03d}": 1} for n in range(0, PRODUCTS, 3)}
    judged = Queries({q: q for q in qrels}, {}, qrels, dict.fromkeys(qrels, "en"))
    write_queries(home / "catalogs" / "c1" / "judged", "val", judged)
    return home, add_release(home, catalog, 0, measure_hybrid)


@pytest.fixture(scope="module")
def client(shop):
    service = Service(shop[0], fused(shop[0], depth=12), 30_000)
    with TestClient(make_api(service), raise_server_exceptions=False) as client:
        client.portal.call(service.holder.start)
        yield client
        client.portal.call(service.holder.stop)


@pytest.fixture(scope="module")
def index(shop):
    folder = shop[1].matcher_folder(shop[0])
    return open_index(shop[1].index_folder(shop[0]), read_facts(folder).encoder)


@pytest.fixture(scope="module")
def query_D(shop):
    return embed_texts(load_encoder(shop[1].matcher_folder(shop[0]) / "encoder"), ["shoe 1077"])[0]


def ask(client, **body):
    answer = client.post("/v1/search", json={"text": "shoe 1077", "rerank": False} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer):
    return [hit["product_id"] for hit in answer["hits"]]


def test_words_count_by_default_where_they_were_measured_to_help(client, index):
    assert index.facts.hybrid["latin"]["is_on"]
    assert ids(ask(client))[0] == "p077"
    assert ids(ask(client, hybrid=True)) == ids(ask(client))
    assert ids(ask(client, hybrid=False))[0] != "p077"


def test_the_shown_score_is_the_one_that_orders(client):
    scores = [hit["score"] for hit in ask(client, limit=12)["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < hit["probability"] < 1 for hit in ask(client, limit=20)["hits"])


def test_the_reranker_is_given_what_words_found(client):
    assert "p077" in ids(ask(client, rerank=True, limit=12, hybrid=True))
    assert "p077" not in ids(ask(client, rerank=True, limit=12))  # nobody measured that it helps


@pytest.mark.parametrize("rerank", [True, False])
def test_pages_hold_each_product_once(client, rerank):
    found = [ask(client, limit=7, rerank=rerank)]
    while found[-1]["next_cursor"]:
        cursor = found[-1]["next_cursor"]
        found.append(ask(client, limit=7, rerank=rerank, cursor=cursor))
    listed = [one for page in found for one in ids(page)]
    assert len(listed) == PRODUCTS == len(set(listed))


def test_a_cursor_is_of_one_wish(client):
    cursor = ask(client, hybrid=True)["next_cursor"]
    answer = client.post("/v1/search", json={"text": "shoe 1077", "cursor": cursor})
    assert answer.json()["error"]["code"] == "another_query"


def test_filters_hold_for_what_words_find(client):
    wanted = {"colour": product_row(76)["attributes"][0][1]}
    found = ask(client, filter=wanted, limit=50)
    assert "p077" not in ids(found)
    assert {hit["attributes"]["colour"] for hit in found["hits"]} == set(wanted.values())


def test_a_wish_that_cannot_be_granted_is_named(client):
    parts = [{"text": "shoe"}, {"text": "bag", "weight": -1}]
    assert "hybrid_unavailable" in ask(client, text=parts, hybrid=True)["degraded"]
    assert ask(client, text=parts)["degraded"] == []


def test_a_chinese_query_is_not_touched_where_nobody_measured_it(client):
    assert ids(ask(client, text="蓝色")) == ids(ask(client, text="蓝色", hybrid=False))
    assert ids(ask(client, text="蓝色", hybrid=True))  # by reciprocal ranks


def test_what_is_served_is_what_was_judged(index, query_D):
    text, wanted = "shoe 1077 1003", as_filter({"colour": ["red", "blue"]})
    judged = gather(index, query_D, index.words.scores(text), 10, wanted=wanted)
    near = nearest(index, query_D, POOL, wanted, "text")
    served = widened(index, near, query_D, Extra(text), wanted=wanted, kind="text")
    for way in (Fusion("rrf"), Fusion("weights", 0.4)):
        order, score_K = judged.fused(way)
        lead = lead_of(served, way, (), 20)
        rows = judged.hits.product_rows[order[:20]]
        assert [served.product_ids[k] for k in lead.places] == index.products.column(
            "product_id", rows
        )
        np.testing.assert_allclose(lead.score_L, score_K[:20], rtol=1e-5)


def test_what_crosses_to_another_process_comes_back_the_same(index, query_D):
    near = nearest(index, query_D, 5, (), "text")
    extra = pickle.loads(pickle.dumps(Extra("shoe 1077", ("p149",))))
    found = widened(index, near, query_D, extra, wanted=(), kind="text")
    again = pickle.loads(pickle.dumps(found))
    assert (again.near, again.product_ids) == (5, found.product_ids)
    np.testing.assert_array_equal(again.words, found.words)
    assert {"p077", "p149"} <= set(found.product_ids)
    falling = found.scores[5:]
    assert falling.tolist() == sorted(falling.tolist(), reverse=True)


# What follows changes the shop, each another product.


def test_a_changed_product_keeps_its_words_with_its_title(client):
    body = {"title": "acme shoe 1101 blue", "price": 1.0, "attributes": {"colour": "red"}}
    assert client.put("/v1/products/p101", json=body).status_code == 200
    found = ask(client, text="shoe 1101")
    assert ids(found)[0] == "p101"
    assert found["hits"][0]["attributes"] == {"colour": "red"}


def test_words_of_an_old_title_are_forgotten(client):
    assert ids(ask(client, text="1102"))[0] == "p102"
    assert client.put("/v1/products/p102", json={"title": "lamp"}).status_code == 200
    assert ids(ask(client, text="1102")) == ids(ask(client, text="1102", hybrid=False))


def test_a_taken_out_product_is_not_found_by_its_words(client):
    assert client.delete("/v1/products/p078").status_code == 200
    assert "p078" not in ids(ask(client, text="shoe 1078", limit=100))
