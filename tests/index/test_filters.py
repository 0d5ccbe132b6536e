"""xmodal/index/filters.py and facets.py: filters of every kind hold exactly, on any data."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest

from tests.factories import make_picture, tiny_encoder
from tests.homes import product_row, tiny_index, write_catalog
from xmodal.errors import FilterError, RequestError
from xmodal.index.facets import Facets, as_filter, write_facets
from xmodal.index.filters import NoneOf, Range, number_of
from xmodal.index.products import write_products


def random_products(rng, count):
    """Attributes that some products lack, some of them numbers, and prices with gaps."""
    rows = []
    for number in range(count):
        pairs = {
            "colour": rng.choice(["red", "blue", "green"]),
            "size": str(rng.integers(30, 50)),
            "mixed": rng.choice(["1.5", "-2e1", "large", "nan", "inf", ""]),
        }
        kept = {key: str(value) for key, value in pairs.items() if rng.random() < 0.7}
        price = None if rng.random() < 0.2 else float(rng.integers(0, 100))
        rows.append(product_row(number, 0) | {"attributes": list(kept.items()), "price": price})
    return rows


def facets_of(rows, folder):
    table = pa.Table.from_pylist(
        [
            {name: row[name] for name in ("product_id", "title", "description", "url", "lang")}
            | {"price": row["price"], "attributes": row["attributes"]}
            for row in rows
        ],
        pa.schema(
            [(name, pa.string()) for name in ("product_id", "title", "description", "url", "lang")]
            + [("price", pa.float64()), ("attributes", pa.map_(pa.string(), pa.string()))]
        ),
    )
    write_facets(folder, write_products(folder, table))
    return Facets.open(folder)


def passes(row, wanted):
    """The plain reading of a filter."""
    attributes = dict(row["attributes"])
    for name, given in wanted.items():
        value = attributes.get(name)
        if isinstance(given, Range):
            text = row["price"] if name == "price" else value
            number = math.nan
            if text is not None and text not in ("large", "nan", "inf", ""):
                number = float(text)
            if math.isnan(number):
                return False
            low = given.gte is not None and not number >= given.gte
            low |= given.gt is not None and not number > given.gt
            high = given.lte is not None and not number <= given.lte
            high |= given.lt is not None and not number < given.lt
            if low or high:
                return False
        elif isinstance(given, NoneOf):
            if value in given.values:
                return False
        elif value not in ([given] if isinstance(given, str) else given):
            return False
    return True


def random_filter(rng):
    ranges = [
        Range(gte=float(rng.integers(0, 60)), lt=float(rng.integers(40, 100))),
        Range(gt=float(rng.integers(0, 100))),
        Range(lte=float(rng.integers(0, 100))),
    ]
    any_of = [str(value) for value in rng.choice(["red", "blue", "violet"], 2)]
    choices = {
        "price": [ranges[rng.integers(3)]],
        "size": [Range(gte=35.0, lte=float(rng.integers(35, 50))), NoneOf(("40", "41"))],
        "colour": ["red", any_of, NoneOf(tuple(any_of)), []],
        "mixed": [Range(gt=-20.5), "large", NoneOf(("",))],
    }
    names = rng.choice(list(choices), rng.integers(1, 5), replace=False)
    return {str(name): choices[name][rng.integers(len(choices[name]))] for name in names}


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_equals_a_plain_scan(tmp_path, seed):
    rng = np.random.default_rng(seed)
    rows = random_products(rng, 300)
    facets = facets_of(rows, tmp_path)
    for _ in range(60):
        wanted = random_filter(rng)
        expected = [passes(row, wanted) for row in rows]
        assert facets.mask(as_filter(wanted)).tolist() == expected, wanted


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    rows = random_products(np.random.default_rng(7), 2000)
    for number in range(8):  # the others are found by their titles
        rows[number]["images"] = [make_picture(number)]
    rows[1234]["attributes"] = [("colour", "gold"), ("size", "99")]
    return rows, tiny_index(folder, write_catalog(folder / "c", rows), tiny_encoder())


@pytest.mark.parametrize("seed", range(3))
def test_a_filtered_answer_equals_a_brute_force_scan(index, seed):
    rows, opened = index
    rng = np.random.default_rng(seed)
    query_D = rng.normal(size=opened.facts.dim).astype(np.float32)
    query_D /= np.linalg.norm(query_D)
    stored = np.stack([opened.vector(row) for row in range(opened.vectors.ntotal)])
    stored = (stored @ query_D) - opened.facts.text_offset["text"] * (opened.product_row_N >= 8)
    score_P = stored[np.argsort(opened.product_row_N)]
    for _ in range(20):
        wanted = random_filter(rng)
        hits = opened.search(query_D, 10, as_filter(wanted))
        inside = [n for n, row in enumerate(rows) if passes(row, wanted)]
        best = sorted((score_P[n] for n in inside), reverse=True)[:10]
        assert all(passes(rows[row], wanted) for row in hits.product_rows)
        np.testing.assert_allclose(hits.scores, best, atol=1e-5)


def test_one_product_in_thousands_is_found(index):
    _, opened = index
    query_D = -opened.vector(1234)  # as far away as can be
    for wanted in ({"colour": "gold"}, {"size": Range(gt=98.5)}):
        hits = opened.search(query_D, 10, as_filter(wanted))
        assert opened.products.column("product_id", hits.product_rows) == ["p1234"]


def test_what_is_no_number_is_told(tmp_path):
    facets = facets_of([product_row(n, 0) | {"price": None} for n in range(3)], tmp_path)
    for name in ("colour", "price"):
        with pytest.raises(RequestError, match="no product has a number"):
            facets.mask(as_filter({name: Range(gte=1.0)}))
    with pytest.raises(FilterError, match="did you mean 'colour'"):
        facets.mask(as_filter({"color": Range(gte=1.0)}))


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1_000", "12 cm", "１２"])
def test_only_a_plain_finite_number_is_one(text):
    assert math.isnan(number_of(text))
    assert number_of(" 12 ") == 12.0


def test_counts_are_of_what_passed(tmp_path):
    rows = [product_row(n, 0) for n in range(9)]
    facets = facets_of(rows, tmp_path)
    passed = facets.mask(as_filter({"colour": NoneOf(("red",))}))
    assert facets.counts("colour", passed) == {"red": 0, "blue": 3, "green": 3}
    assert json.dumps(facets.counts("kind", passed)) == '{"shoe": 2, "shirt": 2, "bag": 2}'
