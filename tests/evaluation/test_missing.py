"""xmodal/evaluation/missing.py: planted lacks cost what they must, and no query finds itself."""

import doctest
from dataclasses import replace

import pytest

from tests.catalogs import make_product
from tests.evaluation.planted import judged_as
from xmodal.evaluation import missing
from xmodal.evaluation.missing import missing_fields

N = 60
NAMES = [f"{a}{b}" for a in "abcdefgh" for b in "stuvwxyz"][:N]


def products(title="{}"):
    """Each of a name of its own, which its title and its picture show."""
    attributes = [("kind", "Shoes"), ("colour", "Red")]
    return [
        make_product(n, title=title.format(name), split="dev", attributes=attributes)
        for n, name in enumerate(NAMES)
    ]


def judge(folder, query="{}", title="{}", hears=str, shown_as=None):
    queries = {query.format(name): {f"p{n:03d}": 1} for n, name in enumerate(NAMES)}
    shown_as = shown_as or (lambda p: str(p["title"]))
    return judged_as(folder, products(title), queries, shown_as, hears=hears)


def name_in(text):
    return next((word for word in text.split() if word in NAMES), text)


def lacks(section):
    return {row["lack"]: row["recall"] for row in section.data["lacks"]}


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A matcher that reads and sees names alone, in titles such as `new as`."""
    folder = tmp_path_factory.mktemp("named")
    judged = judge(
        folder, "buy {}", "new {}", hears=name_in, shown_as=lambda p: name_in(str(p["title"]))
    )
    (judged.catalog.path / "glossary.json").write_text(
        '{"kind": {"Shoes": "鞋"}, "colour": {"Red": "红色"}}', encoding="utf-8"
    )
    return missing_fields(judged)


def test_either_field_is_enough_where_both_tell_all(named):
    found = lacks(named)
    assert found["image only"]["theirs"] == 1.0
    assert found["image only"]["ours"] == found["title only"]["ours"] == 1.0


def test_a_title_that_the_matcher_cannot_read_costs_more_without_its_picture(named):
    found = lacks(named)
    assert found["title in the other language"]["ours"] > 0.8
    assert found["title only, in the other language"]["ours"] < 0.4


def test_a_picture_of_another_product_misleads(tmp_path):
    """Titles tell nothing to a matcher that is deaf to them: the picture is all."""
    judged = judge(tmp_path, "buy {}", "new {}", shown_as=lambda p: name_in(str(p["title"])))
    judged.contenders[0].matcher.encoder.inputs.texts = _deaf_to_titles(judged)
    judged = replace(judged, contenders=[replace(judged.contenders[0])])  # knows no vector yet
    found = lacks(missing_fields(judged))
    assert found["image only"]["ours"] == 1.0
    assert found["wrong image"]["ours"] < 0.4
    assert found["title only"]["high"] < 0


def _deaf_to_titles(judged):
    read = judged.contenders[0].matcher.encoder.inputs.texts
    return lambda texts: read(["-" if t.startswith("new") else name_in(t) for t in texts])


def test_queries_that_are_titles_are_not_measured(tmp_path):
    section = missing_fields(judge(tmp_path))
    assert section.verdict.startswith("Not measured: all but 0 of the 60 queries are the title")
    assert not section.tables


def test_queries_of_the_made_titles_words_alone_are_left_out(tmp_path):
    judged = judge(tmp_path, "红 鞋 {}", "new {}")
    words = [name_in(str(p["title"])) for p in products("new {}")]
    glossary = f'{{"kind": {{"Shoes": "鞋"}}, "colour": {{"Red": "红色 {" ".join(words)}"}}}}'
    (judged.catalog.path / "glossary.json").write_text(glossary, encoding="utf-8")
    found = lacks(missing_fields(judged))
    assert found["image only"]["queries"] == N
    assert found["title in the other language"]["queries"] == 0


def test_the_worked_example_holds():
    assert doctest.testmod(missing).failed == 0
