"""xmodal/catalog/demo/titles.py: what is said about a product, and what is not."""

from random import Random

from xmodal.catalog.demo.design import Design
from xmodal.catalog.demo.titles import write_query, write_title

SCARF = Design("scarf", "teal", "striped", "white", "wool", "Marea", (("ends", "fringed"),))


def test_a_query_states_what_it_is_told_to_and_no_more():
    query = write_query(SCARF, ["type", "colour"], "en", Random(0))
    assert query in {"teal scarf", "turquoise scarf", "scarf in teal", "scarf in turquoise"}


def test_a_chinese_query_says_the_same_facts():
    said = {
        write_query(SCARF, ["type", "colour"], "zh", Random(n)).replace(" ", "") for n in range(40)
    }
    assert said == {"青色围巾", "蓝绿色围巾"}


def test_titles_differ_in_grammar():
    titles = {write_title(SCARF, "en", Random(n)) for n in range(60)}
    assert len({title.split()[0] for title in titles}) > 5
    assert len(titles) > 50


def test_every_title_names_the_type():
    for number in range(30):
        assert "scarf" in write_title(SCARF, "en", Random(number)).lower()
        assert "围巾" in write_title(SCARF, "zh", Random(number))


def test_a_plain_product_has_no_second_colour_to_tell():
    plain = Design("mug", "red", "plain", "", "ceramic", "Orbit", ())
    assert "second_colour" not in plain.attributes()
    assert "and" not in write_query(plain, plain.attributes(), "en", Random(1)).split()
