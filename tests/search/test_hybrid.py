"""xmodal/search/hybrid.py: words are on where they help on planted shops, and only there."""

from dataclasses import replace

import numpy as np
import pytest

from tests.factories import tiny_encoder
from tests.homes import product_row, tiny_index, tiny_reranker, write_catalog
from xmodal.catalog.judged import Queries, write_queries
from xmodal.index.version import open_index
from xmodal.search.fusion import Fusion, Hybrid
from xmodal.search.hybrid import ALONE, WAYS, decided, judge, measure_hybrid
from xmodal.search.questions import ask

PRODUCTS = 48


def planted(folder, titles, queries, lang="en"):
    """An index whose product `n` has the title and is the answer to the query of that number."""
    rows = [product_row(n) | {"title": title, "attributes": []} for n, title in enumerate(titles)]
    catalog = write_catalog(folder / "c1", rows)
    qrels = {text: {f"p{n:03d}": 1} for n, text in enumerate(queries)}
    judged = Queries({q: q for q in qrels}, {}, qrels, dict.fromkeys(qrels, lang))
    write_queries(folder / "c1" / "judged", "val", judged)
    return catalog, tiny_index(folder, catalog, tiny_encoder(), measure_words=measure_hybrid)


def numbered(form):
    return [form.format(n=1000 + n, m=1000 + (n + 7) % PRODUCTS) for n in range(PRODUCTS)]


@pytest.fixture(scope="module")
def helpful(tmp_path_factory):
    """Customers ask for a model's number, which the vectors (of random weights) cannot read."""
    folder = tmp_path_factory.mktemp("helpful")
    return planted(folder, numbered("acme shoe {n} blue"), numbered("shoe blue {n}"))[1]


@pytest.fixture(scope="module")
def misleading(tmp_path_factory):
    """The numbers are those of other products."""
    folder = tmp_path_factory.mktemp("misleading")
    return planted(folder, numbered("acme shoe {n} blue"), numbered("shoe blue {m}"))[1]


def test_words_that_help_are_on_and_the_facts_say_by_how_much(helpful):
    worth = Hybrid.of(open_index(helpful.folder, "e0").facts.hybrid).measured["latin"]
    assert worth.is_on
    assert worth.gain == pytest.approx(worth.fused - worth.vectors, abs=1e-3)
    assert worth.fused > 0.9 > 0.4 > worth.vectors
    assert worth.queries == PRODUCTS
    assert worth.p_value < 0.05
    assert "on: MRR@10" in helpful.facts.summary()["words, latin queries"]


def test_words_that_mislead_are_off(misleading):
    worth = Hybrid.of(misleading.facts.hybrid).measured["latin"]
    assert not worth.is_on
    assert worth.gain < 0.05
    assert "off: MRR@10" in misleading.facts.summary()["words, latin queries"]


def test_a_query_that_a_title_holds_judges_nothing(tmp_path):
    titles = numbered("acme shoe {n} blue")
    catalog, index = planted(tmp_path, titles, numbered("Shoe {n}  BLUE"))
    assert "latin" not in ask(catalog, index)
    assert index.facts.hybrid.keys() <= {"mixed"}


def test_chinese_queries_of_english_titles_are_helped_by_general_words(tmp_path):
    from xmodal.catalog.lexicon import lexicon

    concepts = [one for one in lexicon().concepts if one.facet in ("colour", "kind")]
    colours = [one for one in concepts if one.facet == "colour"][:8]
    kinds = [one for one in concepts if one.facet == "kind" and one.name != "shoes"][:6]
    pairs = [(colour.word, kind.word) for colour in colours for kind in kinds]
    titles = [f"{kind.en[0]} by acme, {colour.en[0]}" for colour, kind in pairs]
    queries = [f"{colour.zh[0]}{kind.zh[0]}" for colour, kind in pairs]
    index = planted(tmp_path, titles, queries, "zh")[1]
    worth = Hybrid.of(index.facts.hybrid).measured["chinese"]
    assert worth.is_on
    assert worth.fused > worth.vectors + 0.3


def test_titles_that_became_queries_are_not_asked(tmp_path):
    catalog, index = planted(tmp_path, numbered("shoe {n}"), numbered("{n} shoe"))
    assert "latin" in ask(catalog, index)
    catalog.manifest.made_queries["val"] = True
    assert ask(catalog, index) == {}


def test_words_that_lose_by_all_that_is_indexed_stay_off():
    worth = replace(judge(noise_with(Fusion("rrf"))), served_gain=0.1)
    assert worth.gain > 0
    assert decided(worth, 0.01, 1.0).is_on
    assert not decided(replace(worth, served_gain=-0.1), 0.01, 1.0).is_on
    assert not decided(worth, 0.06, 1.0).is_on


def test_reranked_answers_are_decided_apart():
    worth = replace(judge(noise_with(Fusion("rrf"))), served_gain=0.1)
    assert not decided(worth, 0.01, 0.01).is_on_reranked
    second = decided(replace(worth, reranked_gain=0.1), 1.0, 0.01)
    assert (second.is_on, second.is_on_reranked) == (False, True)


def noise_with(better):
    return {way: {f"q{n}": 0.4 + 0.2 * (way == better) for n in range(40)} for way in WAYS}


def test_the_reranker_is_judged_too(tmp_path, monkeypatch):
    monkeypatch.setattr("xmodal.search.trial.DEPTH", 3)  # so that it does not see all there is
    catalog, index = planted(tmp_path, numbered("acme shoe {n} blue"), numbered("shoe blue {n}"))
    encoder = tiny_encoder()
    found = measure_hybrid(index, encoder, catalog, tiny_reranker(encoder))["latin"]
    assert found["reranked_gain"] != 0.0
    assert 0 < found["reranked_p_value"] <= 1


def test_a_way_that_wins_by_chance_on_one_half_gains_nothing():
    values = {way: {f"q{n}": 0.5 for n in range(40)} for way in WAYS}
    assert judge(values).fusion == ALONE
    assert not decided(judge(values), 0.0, 0.0).is_on
    lucky = values | {Fusion("rrf"): {f"q{n}": float(n % 2) for n in range(40)}}
    assert judge(lucky).p_value > 0.05


def test_the_way_is_chosen_on_the_other_half():
    rng = np.random.default_rng(0)
    noise = {way: {f"q{n}": float(rng.random()) for n in range(60)} for way in WAYS}
    best_of_all = max(np.mean(list(one.values())) for one in noise.values())
    assert judge(noise).fused < best_of_all
    assert judge(noise).vectors == pytest.approx(np.mean(list(noise[ALONE].values())), abs=1e-3)
