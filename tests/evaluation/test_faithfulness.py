"""xmodal/evaluation/faithfulness.py, attributes.py: planted violations are counted."""

import pytest

from tests.catalogs import make_catalog, make_product
from tests.evaluation.planted import judged_as
from xmodal.evaluation.attributes import read_facets
from xmodal.evaluation.faithfulness import faithfulness

COLOURS = ("Red", "Blue", "Green", "Black")
KINDS = tuple(f"kind{n}" for n in range(12))


def products():
    """Twelve kinds in four colours; the shop calls its colours `shade`, and men are `for`."""
    return [
        make_product(
            n,
            title=f"{COLOURS[n % 4].lower()} {KINDS[n // 4]}",
            split="dev",
            attributes=[("shade", COLOURS[n % 4]), ("for", "Men"), ("dial", "white dial")],
        )
        for n in range(48)
    ]


def judge(folder, shown_as, hears=str):
    queries = {str(p["title"]): {str(p["product_id"]): 1} for p in products()}
    return judged_as(folder, products(), queries, shown_as, hears=hears)


def first_word(text):
    return text.split()[0]


def last_word(text):
    return text.split()[-1]


def figures(section, key):
    (row,) = section.data[key]
    return row


@pytest.fixture(scope="module")
def by_colour(tmp_path_factory):
    """A matcher that sees and hears the colour and nothing else."""
    folder = tmp_path_factory.mktemp("colour")
    return faithfulness(judge(folder, lambda p: first_word(p["title"]), first_word))


def test_columns_are_recognised_by_content(tmp_path):
    catalog = make_catalog(tmp_path / "c", products())
    ids = {str(p["product_id"]) for p in products()}
    facets = {facet.name: facet for facet in read_facets(catalog, ids)}
    assert set(facets) == {"colour", "gender"}
    assert facets["colour"].values_of["p001"] == {"blue"}  # the white dial is no colour column
    assert facets["colour"].having("red") == 12
    assert facets["colour"].chance(("red",)) == pytest.approx(3 / 4)


def test_the_glossary_reads_chinese_queries(tmp_path):
    catalog = make_catalog(tmp_path / "c", products())
    (catalog.path / "glossary.json").write_text('{"shade": {"Red": "朱砂"}}', encoding="utf-8")
    colour = read_facets(catalog, {"p000"})[0]
    assert colour.named("朱砂 手表") == ("red",)
    assert colour.violates("p000", ("red",)) is False
    assert colour.violates("p000", ("blue", "green")) is True
    assert colour.violates("p999", ("red",)) is None


def test_a_matcher_that_sees_colours_violates_none(by_colour):
    found = figures(by_colour, "violations")
    assert (found["attribute"], found["queries"]) == ("colour", 48)
    assert found["share"] == 0.0
    assert found["chance"] == pytest.approx(3 / 4)


def test_its_answers_follow_the_word_that_is_swapped(by_colour):
    found = figures(by_colour, "swaps")
    assert found["pairs"] == 48
    assert (found["new_before"], found["new_after"]) == (0.0, 1.0)
    assert (found["old_before"], found["old_after"]) == (1.0, 0.0)
    assert found["overlap"] == 0.0


def test_planted_violations_are_counted(tmp_path):
    """Every picture shows the next colour: whoever asks for red is shown blue."""
    wrong = {c.lower(): COLOURS[(i + 1) % 4].lower() for i, c in enumerate(COLOURS)}
    judged = judge(tmp_path, lambda p: wrong[first_word(p["title"])], first_word)
    section = faithfulness(judged)
    assert figures(section, "violations")["share"] == 1.0
    assert "100% show another colour (by chance 75%)" in section.verdict


def test_a_matcher_that_is_deaf_to_colours_answers_as_before(tmp_path):
    section = faithfulness(judge(tmp_path, lambda p: last_word(p["title"]), last_word))
    found = figures(section, "swaps")
    assert found["overlap"] == 1.0
    assert found["new_after"] == found["new_before"]


def test_queries_that_state_nothing_make_no_section(tmp_path):
    some = [make_product(n, title=f"kind{n}", split="dev") for n in range(4)]
    queries = {f"kind{n}": {f"p{n:03d}": 1} for n in range(4)}
    assert faithfulness(judged_as(tmp_path, some, queries, lambda p: str(p["title"]))) is None
