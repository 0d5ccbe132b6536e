"""xmodal/index/filters.py and facets.py: filters of every kind hold exactly, on any data."""

import json
import math

import faiss
import numpy as np
import pyarrow as pa
import pytest

from tests.homes import product_row
from xmodal.errors import FilterError, RequestError
from xmodal.index.facets import Facets, as_filter, write_facets
from xmodal.index.filters import NoneOf, Range, number_of
from xmodal.index.layout import ROWS, SCALES, TOKENS, VECTORS, IndexFacts
from xmodal.index.products import write_products
from xmodal.index.version import Index


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
    """Ten thousand products of random vectors, of which one is gold; some have two pictures."""
    folder, rng = tmp_path_factory.mktemp("many"), np.random.default_rng(7)
    rows = random_products(rng, 10_000)
    rows[1234]["attributes"] = [("colour", "gold"), ("size", "99")]
    facets_of(rows, folder)
    product_row_N = np.sort(np.concatenate([np.arange(10_000), rng.integers(0, 10_000, 1000)]))
    vectors = rng.normal(size=(11_000, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = faiss.IndexFlatIP(8)
    flat.add(vectors)
    faiss.write_index(flat, str(folder / VECTORS))
    np.save(folder / ROWS, product_row_N)
    np.save(folder / TOKENS, np.zeros((11_000, 1, 1), np.int8))
    np.save(folder / SCALES, np.zeros(11_000, np.float32))
    nothing = dict.fromkeys(IndexFacts.__dataclass_fields__)
    facts = IndexFacts(**nothing | {"dim": 8, "text_rows": 0})
    return rows, vectors, product_row_N, Index(folder, facts)


@pytest.mark.parametrize("seed", range(3))
def test_a_filtered_answer_equals_a_brute_force_scan(index, seed):
    rows, vectors, product_row_N, opened = index
    rng = np.random.default_rng(seed)
    query_D = vectors[rng.integers(11_000)]
    score_P = np.full(10_000, -np.inf)
    np.maximum.at(score_P, product_row_N, vectors @ query_D)
    for _ in range(10):
        wanted = random_filter(rng)
        hits = opened.search(query_D, 25, as_filter(wanted))
        inside = [n for n, row in enumerate(rows) if passes(row, wanted)]
        expected = sorted(inside, key=lambda n: (-score_P[n], rows[n]["product_id"]))[:25]
        np.testing.assert_allclose(hits.scores, score_P[expected], atol=1e-6)
        assert set(hits.product_rows) <= set(inside)
        assert len(set(hits.product_rows)) == len(expected)


def test_one_product_in_ten_thousand_is_found(index):
    _, vectors, product_row_N, opened = index
    query_D = -vectors[np.flatnonzero(product_row_N == 1234)[0]]  # as far away as can be
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
