"""xmodal/index/overlay.py, table.py, vectors.py: an exact search over index and changes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.factories import make_picture, tiny_encoder
from tests.homes import product_row, tiny_catalog, tiny_index, write_catalog
from xmodal.catalog.changes import Changes, ProductFacts, fingerprints
from xmodal.errors import FilterError, RequestError, StorageError, UnknownProduct
from xmodal.index.facets import as_filter
from xmodal.index.filters import NoneOf, Range
from xmodal.index.keeper import Keeper, Put, TakeOut
from xmodal.index.live import LiveProducts
from xmodal.index.offset import measure_offset
from xmodal.index.overlay import Overlay
from xmodal.index.table import Table
from xmodal.index.vectors import LiveTokens, VectorLog, keys_of
from xmodal.journal import Journal
from xmodal.matcher.saved import save_encoder
from xmodal.retrieval.embed import embed_pictures, embed_texts


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, encoder):
    folder = tmp_path_factory.mktemp("shop")
    save_encoder(encoder, folder / "encoder")
    return folder, tiny_index(folder, tiny_catalog(folder / "c1"), encoder)


def log_of(shop, home):
    return VectorLog(Journal(home / "vectors"), shop[0] / "encoder")


def open_overlay(shop, home):
    return Overlay(shop[1], Changes(Journal(home / "products")), log_of(shop, home))


@pytest.fixture
def overlay(shop, tmp_path):
    return open_overlay(shop, tmp_path)


def keep(overlay, *words):
    index = overlay.index
    live = LiveProducts(index.products, index.facets, overlay.changes, overlay.refresh)
    return Keeper(live, overlay.vectors).keep(words)


def product(product_id, *seeds, title="hat", **attributes):
    images = [make_picture(seed) for seed in seeds]
    facts = ProductFacts(product_id, title, attributes, pictures=fingerprints(images))
    return Put(facts, images)


def brute_force(overlay, encoder, puts, gone, query_D, k):
    """Every vector of every product that is there, scored one by one."""
    index, best = overlay.index, {}
    offset, first_text = index.text_offset("text"), index.facts.vectors - index.facts.text_rows
    hidden = {put.product_id for put in puts} | set(gone)
    ids = index.products.column("product_id", index.product_row_N)
    for row, name in enumerate(ids):
        score = index.vector(row) @ query_D - offset * (row >= first_text)
        if name not in hidden:
            best[name] = max(best.get(name, -2), score)
    for put in puts:
        if put.images:
            best[put.product_id] = (embed_pictures(encoder, put.images) @ query_D).max()
        else:
            best[put.product_id] = embed_texts(encoder, [put.facts.title])[0] @ query_D - offset
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


@pytest.mark.parametrize("k", [1, 5, 100])
def test_search_equals_brute_force(overlay, encoder, monkeypatch, k):
    monkeypatch.setattr("xmodal.index.overlay.SLACK", 1)
    puts = [product("p004", 300, 301), product("a", 302), product("z", 303, 304, 305)]
    puts += [product("words", title="green bag"), product("p001", title="red shoe")]
    gone = ["p000", "p002", "p023", *(f"p{number:03d}" for number in range(6, 19))]
    keep(overlay, product("z", 999), *puts, *map(TakeOut, gone))
    for query_D in embed_texts(encoder, ["red shoe", "green bag", "hat"]):
        expected = brute_force(overlay, encoder, puts, gone, query_D, k)
        found = overlay.search(query_D, k)
        assert list(found.product_ids) == [name for name, _ in expected]
        np.testing.assert_allclose(found.scores, [score for _, score in expected], atol=1e-4)


def test_every_product_of_the_index_may_be_hidden(overlay, encoder):
    keep(overlay, *[TakeOut(f"p{n:03d}") for n in range(23)])
    query_D = embed_texts(encoder, ["bag"])[0]
    assert list(overlay.search(query_D, 10).product_ids) == ["p023"]
    keep(overlay, TakeOut("p023"))
    assert len(overlay.search(query_D, 10).product_ids) == 0
    keep(overlay, product("new", 5))
    assert list(overlay.search(query_D, 10).product_ids) == ["new"]


def test_a_text_does_not_swamp_pictures_where_the_index_has_no_texts(tmp_path, encoder):
    rows = [product_row(number, 1) for number in range(24)]
    save_encoder(encoder, tmp_path / "encoder")
    index = tiny_index(tmp_path, write_catalog(tmp_path / "c1", rows), encoder)
    overlay = open_overlay((tmp_path, index), tmp_path)
    assert index.text_offset("text") == 0
    keep(overlay, product("words", title="green bag"))
    titles = index.products.column("title", range(24))
    title_PD = embed_texts(encoder, titles)
    image_PD = index.product_vectors(index.products.column("product_id", range(24)))
    offset = measure_offset(title_PD, np.arange(24), image_PD, title_PD)
    assert offset > 0
    query_D = embed_texts(encoder, ["green bag"])[0]
    found = overlay.search(query_D, 25)
    place = list(found.product_ids).index("words")
    assert found.scores[place] == pytest.approx(1 - offset, abs=1e-4)


def test_filters_hold_for_both(overlay, encoder):
    keep(overlay, product("a", 300, colour="red", brim="wide"), product("b", 301, colour="blue"))
    query_D = embed_texts(encoder, ["hat"])[0]

    def search(**wanted):
        return overlay.search(query_D, 100, as_filter(wanted))

    reds = search(colour="red")
    assert len(reds.product_ids) == 9
    assert {json.loads(one)["colour"] for one in reds.attributes} == {"red"}
    assert list(search(brim="wide").product_ids) == ["a"]
    assert list(search(brim="wide", colour="blue").product_ids) == []
    with pytest.raises(FilterError, match="unknown attribute 'color'; .* brim, colour, kind"):
        search(color="red", brim="wide")


def test_ranges_exclusions_and_counts_hold_for_both(overlay, encoder):
    priced = [
        replace(product(name, seed, colour="red", heel=heel).facts, price=price)
        for name, seed, heel, price in (("a", 300, "3", 2.5), ("b", 301, "9", None))
    ]
    images = [[make_picture(300)], [make_picture(301)]]
    keep(overlay, *map(Put, priced, images), TakeOut("p003"))
    query_D = embed_texts(encoder, ["hat"])[0]

    def search(**wanted):
        return sorted(overlay.search(query_D, 100, as_filter(wanted)).product_ids)

    assert search(price=Range(gte=2, lt=5)) == ["a", "p002", "p004"]
    assert search(heel=Range(gt=3)) == ["b"]
    assert search(heel=NoneOf(("3", "9")), price=Range(lte=1)) == ["p000", "p001"]
    assert "b" not in search(heel=NoneOf(("9",)))
    with pytest.raises(RequestError, match="no product has a number as 'kind'"):
        search(kind=Range(gt=3))
    counts = overlay.counts(["colour", "heel"], as_filter({"colour": ["red", "green"]}))
    assert counts == {"colour": {"red": 9, "green": 8}, "heel": {"3": 1, "9": 1}}
    assert overlay.counts(["kind"], as_filter({"heel": "3"})) == {"kind": {}}


def test_nothing_is_embedded_twice(shop, overlay, tmp_path, monkeypatch):
    first = keep(overlay, product("a", 300, 301), product("b", title="a title"))
    assert first == ["created", "created"]
    monkeypatch.setattr("xmodal.index.vectors.picture_features", None)
    monkeypatch.setattr("xmodal.index.vectors.embed_texts", None)
    assert keep(overlay, product("a", 301, 300, size="xl"), product("c", 300)) == [
        "updated",
        "created",
    ]
    again = open_overlay(shop, tmp_path)
    vector_ND = again.product_vectors(["a", "b", "c"])
    np.testing.assert_array_equal(vector_ND, overlay.product_vectors(["a", "b", "c"]))


def test_the_same_content_twice_is_one_record(overlay):
    words = [product("a", 300), product("a", 300), product("a", 301), product("a", 300)]
    assert keep(overlay, *words) == ["created", "unchanged", "updated", "updated"]
    end = overlay.changes.end
    assert keep(overlay, product("a", 300), TakeOut("nobody")) == ["unchanged", "not_found"]
    assert overlay.changes.end == end
    assert keep(overlay, TakeOut("a"), TakeOut("a"), product("a", 300)) == [
        "deleted",
        "not_found",
        "created",
    ]


def test_vectors_of_products_are_the_unit_mean_of_their_rows(overlay, encoder):
    keep(overlay, product("a", 300, 301), TakeOut("p005"))
    mean_D = embed_pictures(encoder, [make_picture(300), make_picture(301)]).mean(axis=0)
    base_D = overlay.index.product_vectors(["p001"])[0]
    vector_ND = overlay.product_vectors(["p001", "a"])
    np.testing.assert_allclose(vector_ND[0], base_D, atol=1e-6)
    np.testing.assert_allclose(vector_ND[1], mean_D / np.linalg.norm(mean_D), atol=1e-4)
    with pytest.raises(UnknownProduct):
        overlay.product_vectors(["p005"])


def test_the_reranker_reads_tokens_of_both(shop, overlay, encoder, tmp_path):
    keep(overlay, product("a", 70), product("words", title="bag"))  # p007's picture
    query_D = embed_pictures(encoder, [make_picture(70)])[0]
    found = overlay.search(query_D, 100, kind="image")
    tokens_KTC = LiveTokens(shop[1].tokens, log_of(shop, tmp_path)).take(found.vector_rows[None])[0]
    places = {name: place for place, name in enumerate(found.product_ids)}
    np.testing.assert_allclose(tokens_KTC[places["a"]], tokens_KTC[places["p007"]], atol=0.02)
    assert np.abs(tokens_KTC[places["a"]]).max() > 0.1
    assert not tokens_KTC[places["words"]].any()


def test_another_process_follows(shop, overlay, encoder, tmp_path):
    other = open_overlay(shop, tmp_path)
    keep(overlay, product("a", 300))
    query_D = embed_pictures(encoder, [make_picture(300)])[0]
    assert "a" not in other.search(query_D, 3, kind="image").product_ids
    other.refresh()
    assert other.search(query_D, 3, kind="image").product_ids[0] == "a"


def test_changes_that_cannot_be_embedded_wait_and_the_search_goes_on(
    shop, overlay, encoder, tmp_path, monkeypatch
):
    keep(overlay, product("a", 300))
    late = Overlay.__new__(Overlay)

    def full(*_, **__):
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("xmodal.index.vectors.VectorLog.ensure", full)
        late.__init__(shop[1], Changes(Journal(tmp_path / "products")), log_of(shop, tmp_path))
        assert late.problem == "the disk is full"
        query_D = embed_pictures(encoder, [make_picture(300)])[0]
        assert "a" not in late.search(query_D, 3, kind="image").product_ids
    late._retry_at = 0
    late.refresh()
    assert late.problem is None
    assert late.search(query_D, 3, kind="image").product_ids[0] == "a"


def test_a_view_stays_as_it_was_through_growth_and_compaction(monkeypatch):
    monkeypatch.setattr("xmodal.index.table.LEAST_DEAD", 3)
    table, views = Table(2), []
    changes = Changes(Journal.__new__(Journal))
    for turn in range(100):
        facts = ProductFacts(f"p{turn % 5}", "t", {})
        change = type("Change", (), {"product_id": facts.product_id, "facts": facts})
        vector_D = np.array([turn, 1], np.float32)
        table.take_in([change], {facts.product_id: {turn: vector_D}}, [turn % 5])
        views.append(table.view)
    assert changes.newest == {}
    query_D = np.array([1, 0], np.float32)
    for turn, view in enumerate(views):
        numbers, rows, scores = view.best(query_D, 1, (), 0.0)
        assert (scores[0], rows[0], view.facts[numbers[0]].product_id) == (
            turn,
            turn,
            f"p{turn % 5}",
        )
        assert len(view.number_of) == min(turn + 1, 5)
        np.testing.assert_array_equal(view.rows(f"p{turn % 5}"), [[turn, 1]])
    assert table.view.count < 20
    assert table.view.hidden.tolist() == [0, 1, 2, 3, 4]


def test_keys_are_of_pictures_or_else_of_the_title():
    assert keys_of(product("a", 1, 2).facts) == keys_of(product("b", 1, 2, title="x").facts)
    assert keys_of(product("a", title="x").facts) != keys_of(product("a", title="y").facts)
