"""xmodal/training/captions.py: which captions and pictures may be drawn, and how often."""

import numpy as np
import pyarrow as pa
import pytest

from xmodal.training.captions import SOURCE_SHARES, build_table, load_table

ATTRIBUTES = pa.array(
    [[("colour", "red"), ("kind", "shoe")], [("colour", "red")], [("kind", "shoe")]],
    type=pa.map_(pa.string(), pa.string()),
)


def make_pairs(*rows):
    """Rows of (text, product_row, source, facts); weight 1."""
    texts, products, sources, facts = zip(*rows, strict=True)
    return pa.table(
        {
            "text": texts,
            "product_row": pa.array(products, pa.int64()),
            "weight": pa.array([1.0] * len(rows), pa.float32()),
            "source": sources,
            "facts": pa.array(facts, pa.list_(pa.string())),
        }
    )


def make_table(*rows, images=(0, 0, 1, 2)):
    pairs = make_pairs(*rows)
    number = {text: i for i, text in enumerate(dict.fromkeys(pairs["text"].to_pylist()))}
    return build_table(pairs, number, np.array(images, dtype=np.int64), ATTRIBUTES)


def test_a_product_without_picture_or_caption_is_left_out():
    table = make_table(("a", 0, "title", []), ("b", 1, "title", []), images=(0, 2))
    assert table.product_P.tolist() == [0]


def test_pictures_of_products_that_are_not_trained_are_never_drawn():
    table = make_table(("a", 0, "title", []), ("c", 2, "title", []), images=(0, 1, 1, 2, 5))
    assert table.image_row.tolist() == [0, 3]
    drawn = {tuple(table.draw_images(np.full(2, u))) for u in (0.0, 0.5, 0.99)}
    assert drawn == {(0, 3)}


def test_captions_are_drawn_by_source_then_by_weight():
    table = make_table(
        ("t", 0, "title", []), ("a1", 0, "attributes", []), ("a2", 0, "attributes", [])
    )
    drawn = [table.draw_captions(np.array([u]))[0] for u in np.arange(0, 1, 0.001)]
    share = np.bincount(table.caption_text[drawn]) / 1000
    title, attributes = SOURCE_SHARES["title"], SOURCE_SHARES["attributes"]
    half = attributes / 2 / (title + attributes)
    np.testing.assert_allclose(share, [1 - 2 * half, half, half], atol=2e-3)


def test_each_picture_of_a_product_is_drawn_and_no_other():
    table = make_table(("a", 0, "title", []), ("b", 1, "title", []), ("c", 2, "title", []))
    drawn = np.array([table.draw_images(np.full(3, u)) for u in (0.0, 0.49, 0.5, 0.99)])
    assert drawn[:, 0].tolist() == [0, 0, 1, 1]
    assert set(drawn[:, 1]) == {2}
    assert set(drawn[:, 2]) == {3}


def test_values_are_equal_where_their_numbers_are_and_none_is_zero():
    table = make_table(
        ("red shoe", 0, "attributes", ["colour=red", "kind=shoe"]),
        ("b", 1, "title", []),
        ("c", 2, "title", []),
    )
    colour, kind = table.codes_PC.T
    assert colour[0] == colour[1] != 0
    assert colour[2] == 0
    assert kind[0] == kind[2] != 0
    assert table.caption_uses.tolist() == [3, 0, 0]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_the_table_does_not_depend_on_the_order_of_the_pairs(order):
    rows = [("a", 0, "title", []), ("b", 0, "glossary", []), ("c", 1, "title", [])]
    number = {"a": 0, "b": 1, "c": 2}
    images = np.array([0, 1])
    table = build_table(make_pairs(*(rows[i] for i in order)), number, images, ATTRIBUTES)
    assert table.caption_text.tolist() == [0, 1, 2]
    title, glossary = SOURCE_SHARES["title"], SOURCE_SHARES["glossary"]
    np.testing.assert_allclose(table.caption_until, [title / (title + glossary), 1.0, 1.0])


def test_a_saved_table_opens_as_it_was(tmp_path):
    table = make_table(("a", 0, "title", ["colour=red"]), ("b", 1, "title", []))
    table.save(tmp_path)
    loaded = load_table(tmp_path)
    assert loaded.caption_uses.tolist() == table.caption_uses.tolist()
    assert loaded.codes_PC.tolist() == table.codes_PC.tolist()


def test_a_title_fits_all_that_bear_it_whichever_caption_they_drew():
    rows = [("t", 0, "title", []), ("t", 1, "title", []), ("x", 1, "glossary", [])]
    table = make_table(*rows, ("u", 2, "title", []))
    text = {name: number for number, name in enumerate(["t", "x", "u"])}
    asked = np.array([text["t"], text["x"], text["u"]])
    bears = table.bearers(asked, np.array([0, 1, 2]))
    assert bears.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_drawn_by_its_share_and_counted_by_the_sum_a_caption_has_its_weight():
    rows = [("a", 0, "click", []), ("b", 0, "click", []), ("c", 1, "click", [])]
    pairs = make_pairs(*rows).set_column(2, "weight", pa.array([1.0, 3.0, 6.0], pa.float32()))
    table = build_table(pairs, {"a": 0, "b": 1, "c": 2}, np.array([0, 1]), ATTRIBUTES)
    share = np.diff(table.caption_until, prepend=0)
    share[2] = table.caption_until[2]  # the only one of its product
    np.testing.assert_allclose(share * table.caption_weight, [1.0, 3.0, 6.0])
