"""xmodal/evaluation/robustness.py, perturbed.py: a planted weakness is found and named."""

import re

import pytest

from tests.catalogs import make_product
from tests.evaluation.planted import judged_as
from xmodal.evaluation.perturbed import Searched, changed_texts
from xmodal.evaluation.robustness import draw_queries, robustness
from xmodal.evaluation.tasks import Task

KINDS = ("shoe", "shirt", "bag", "hat", "watch")
COLOURS = ("red", "blue", "green", "black", "white", "pink", "brown", "grey")


def titles():
    return [f"{colour} {kind} 手表" for colour in COLOURS for kind in KINDS]


def judge(folder, **planted):
    products = [make_product(n, title=t, split="dev") for n, t in enumerate(titles())]
    queries = {title: {f"p{n:03d}": 1} for n, title in enumerate(titles())}
    return judged_as(folder, products, queries, lambda p: str(p["title"]), **planted)


def changes(section, key="texts"):
    return {row["variant"]: row["recall@10"] for row in section.data[key]}


@pytest.fixture(scope="module")
def deaf(tmp_path_factory):
    judged = judge(
        tmp_path_factory.mktemp("deaf"), hears=lambda text: re.sub("[A-Z]", "", text) or "-"
    )
    return robustness(judged)


def test_a_matcher_that_reads_only_lower_case_is_found_out(deaf):
    case = changes(deaf)["other case"]
    assert case["theirs"] == 1.0
    assert case["ours"] < 0.6
    assert case["high"] < 0
    assert "variants of queries harm tuned (of R@10 " in deaf.verdict
    assert "other case leaves" in deaf.verdict


def test_a_matcher_that_reads_any_case_loses_nothing_by_it(tmp_path):
    judged = judge(tmp_path)
    searched = Searched(judged.contenders[0], judged.catalog)
    task = judged.evaluation.tasks["dev text-image"]
    upper = {"other case": lambda text, rng: text.upper()}
    (case,) = changed_texts(searched, task, list(task.texts), upper, seed=0)
    assert (case.kept, case.recall.difference, case.mrr.difference) == (1.0, 0.0, 0.0)


def test_pictures_that_no_longer_show_the_text_are_lost(deaf):
    """The planted vectors are no picture's: every variant brings the real one, which is random."""
    pictures = changes(deaf, "pictures")
    assert set(pictures) == {
        *("noise", "blur", "jpeg", "crop", "occlusion", "rotation", "watermark"),
    }
    assert all(row["theirs"] == 1.0 and row["ours"] < 0.7 for row in pictures.values())


def test_the_section_shows_each_variant_and_its_curves(deaf):
    captions = [table.caption for table in deaf.tables]
    assert len(captions) == 3
    assert {row[0] for table in deaf.tables for row in table.rows} == {"tuned"}
    assert len(deaf.pictures) == 2
    assert [row["eps"] for row in deaf.data["adversarial"]] == [0, 1, 2, 4, 8]


def test_no_text_query_no_section(tmp_path):
    products = [make_product(n, title=f"shoe {n}", split="dev") for n in range(4)]
    assert robustness(judged_as(tmp_path, products, {}, lambda p: str(p["title"]))) is None


def test_rare_languages_are_drawn_whole():
    names = [f"q{n:03d}" for n in range(100)]
    langs = {name: "zh" if n < 10 else "en" for n, name in enumerate(names)}
    task = Task("text-image", "dev", {name: {"p": 1} for name in names}, langs=langs)
    drawn = draw_queries(task, 30, seed=0)
    assert (len(drawn), sum(langs[name] == "zh" for name in drawn)) == (30, 10)
    assert drawn == draw_queries(task, 30, seed=0)
