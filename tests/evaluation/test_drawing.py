"""xmodal/evaluation/drawing.py: well-formed SVG, true places, escaped words."""

import xml.etree.ElementTree as ET

import pytest

from xmodal.evaluation.drawing import Axis, Whisker, axis_of, lines, matrix, points, whiskers

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg):
    return ET.fromstring(svg)


def test_a_line_goes_through_its_points():
    svg = drawn(lines({"tuned": [(0, 0), (5, 1), (10, 0.5)]}, Axis("k", 0, 10), Axis("R", 0, 1)))
    path = svg.find(f"{SVG}polyline").get("points")
    places = [tuple(float(x) for x in place.split(",")) for place in path.split()]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 - y1 == pytest.approx(2 * (y2 - y1))


@pytest.mark.parametrize(
    "svg",
    [
        lines({"<b>": [(1, 0.5)]}, Axis("<x>", 1, 100, is_log=True), Axis("&", 0, 1)),
        points({"<b>": [(0, 0), (1, 2)]}),
        whiskers([Whisker("<b>", "&", 0.5, 0.4, 0.6)], Axis("<x>", 0, 1), mark=0.5),
        matrix([[1, 2], [0, 0]], ["<b>", "&"], ["<b>", "&"]),
    ],
)
def test_words_are_escaped_and_the_svg_is_well_formed(svg):
    assert any("<b>" in (node.text or "") for node in drawn(svg).iter())


def test_a_log_axis_puts_ten_halfway_from_one_to_a_hundred():
    axis = Axis("k", 1, 100, is_log=True)
    assert axis.place(10) == pytest.approx(0.5)
    assert axis.ticks == [1, 2, 5, 10, 20, 50, 100]


def test_an_axis_ends_on_round_numbers_that_hold_all_values():
    axis = axis_of("x", [0.013, 0.094], include=0.0)
    assert (axis.low, axis.high) == (0.0, pytest.approx(0.1))
    assert axis.ticks == pytest.approx([0, 0.02, 0.04, 0.06, 0.08, 0.1])


def test_one_value_or_none_can_be_drawn():
    assert axis_of("x", []).high == 1.0
    assert "NaN" not in points({"a": [(3.0, 3.0)]}) + points({})


def test_a_class_without_products_has_an_empty_line():
    cells = drawn(matrix([[0, 0], [1, 4]], ["a", "b"], ["a", "b"])).findall(f"{SVG}rect")
    assert [cell.get("fill-opacity") for cell in cells] == ["0.06", "0.06", "0.23", "0.75"]
