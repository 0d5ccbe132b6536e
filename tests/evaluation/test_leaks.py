"""xmodal/evaluation/leaks.py, overlap.py: planted leaks are found, and a clean shop has none."""

import io

import pytest
from PIL import Image

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.catalog.looks import looks_of, write_looks
from xmodal.catalog.splits import Traits
from xmodal.evaluation.judge import Contender, evaluate
from xmodal.evaluation.leaks import leaks
from xmodal.evaluation.overlap import CRITERIA, open_shelf, overlap
from xmodal.evaluation.sections import Judged
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.metrics import means
from xmodal.retrieval.store import Plan
from xmodal.settings import Settings

SETTINGS = Settings.model_validate({"evaluation": {"bootstrap": 100}})
N, HELD_OUT = 70, 30  # the last 30 are of the held-out part


def saved_anew(content):
    out = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def shop(part, **planted):
    """70 products, each with a title and a picture of its own; `planted`: row to changes."""
    products = [
        make_product(n, title=f"shoe {n}", split="train" if n < N - HELD_OUT else part)
        for n in range(N)
    ]
    for row, changes in planted.items():
        products[int(row[1:])].update(changes)
    return products


def audit(folder, products, part, made_val=False):
    queries = {p["title"]: {p["product_id"]: 1} for p in products if p["split"] == part}
    catalog = make_catalog(folder / "catalog", products, {part: queries}, made=True)
    object.__setattr__(catalog.manifest, "made_val", made_val)
    encoder = tiny_encoder()
    store = embed_here(encoder, catalog, folder / "store", Plan("vector+tokens", "e", "c", N))
    contenders = [Contender("base", Matcher(encoder, None, Facts()), store)]
    evaluation = evaluate(contenders, catalog, [part], SETTINGS)
    return leaks(Judged(contenders, catalog, evaluation, SETTINGS)), evaluation


PLANTED = {
    "p050": {"title": "Shoe  3"},
    "p051": {"title": "SHOE 4"},
    "p052": {"images": [make_picture(5)]},
    "p053": {"images": [make_picture(100), saved_anew(make_picture(6))]},
    "p054": {"images": [make_picture(7)], "title": "shoe 7"},
}


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    return audit(tmp_path_factory.mktemp("leaky"), shop("dev", **PLANTED), "dev")


def test_planted_leaks_are_found_by_what_they_share(leaky):
    found = leaky[0].data["parts"]["dev"]
    shared = found["overlap"]
    assert found["products"] == HELD_OUT
    assert (shared["title"], shared["picture"], shared["near-duplicate"]) == (3, 2, 3)
    assert shared["hash"] >= 2
    assert shared["embedding"] >= 3
    assert shared["any"] >= 5
    assert leaky[0].verdict.startswith("Training has seen 3 by title and 2 by picture of the 30")


def test_metrics_without_the_overlap_are_those_of_the_queries_left(leaky):
    section, evaluation = leaky
    table = evaluation.result("base", "dev").per_query
    gone = {"Shoe  3", "SHOE 4", "shoe 7"}
    kept = {m: {q: x for q, x in v.items() if q not in gone} for m, v in table.items()}
    systems = section.data["parts"]["dev"]["systems"]
    found = next(one for one in systems if one["task"] == "text-image")
    assert found["queries"]["title"] == HELD_OUT - 3
    assert found["means"]["title"] == means(kept)
    assert found["means"]["all"] == means(table)


def test_every_metric_of_every_criterion_is_on_the_page(leaky):
    table = next(t for t in leaky[0].tables if t.caption.startswith("dev, text-image"))
    assert table.head == ("system", "metric", "all", *(f"without {name}" for name in CRITERIA))
    metrics = ["queries", *means(leaky[1].result("base", "dev").per_query)]
    assert [row[1] for row in table.rows] == metrics


def test_a_part_that_the_shop_gives_never_fails(leaky):
    assert leaky[0].data["failed"] is False


def test_a_part_that_was_cut_here_fails_on_a_picture_or_on_title_and_look(tmp_path):
    planted = {
        "p050": {"images": [make_picture(5)]},
        "p051": {"images": [saved_anew(make_picture(6))], "title": "shoe 6"},
        "p052": {"title": "shoe 8"},
    }
    section, _ = audit(tmp_path, shop("val", **planted), "val", made_val=True)
    assert section.data["parts"]["val"]["faults"] == 2
    assert section.data["failed"] is True
    assert section.verdict.startswith("Failed: 2 of 30 products of val")


def test_a_shop_that_shares_titles_alone_says_where_too_few_queries_are_left(tmp_path):
    planted = {f"p{40 + n:03d}": {"title": f"shoe {n}"} for n in range(15)}
    section, _ = audit(tmp_path, shop("val", **planted), "val", made_val=True)
    part = section.data["parts"]["val"]
    assert {name: n for name, n in part["overlap"].items() if name not in ("embedding", "any")} == {
        "title": 15,
        "picture": 0,
        "near-duplicate": 0,
        "hash": 0,
    }
    assert (part["faults"], section.data["failed"]) == (0, False)
    found = part["systems"][0]
    assert (found["queries"]["title"], found["means"]["title"]) == (15, None)
    assert (found["queries"]["picture"], found["means"]["picture"]) == (30, found["means"]["all"])


def test_a_clean_part_shares_neither_title_nor_picture(tmp_path):
    shelf = open_shelf(make_catalog(tmp_path, shop("dev")))
    found = overlap(shelf, "dev", set())
    assert found == {name: set() for name in CRITERIA}


def test_looks_are_read_as_they_were_written(tmp_path):
    catalog = make_catalog(tmp_path, shop("dev", **PLANTED))
    seen = looks_of(catalog)  # decoded, as there is no file yet
    traits = Traits()
    for row, product in enumerate(catalog.rows(["product_id", "split"])):
        mine = [i for i, at in enumerate(seen.product_row_N) if at == row]
        hashes = [
            (seen.pixels[i], int.from_bytes(seen.looks[i][:8], "little"), seen.looks[i][8:])
            for i in mine
        ]
        traits.add(product["product_id"], "", hashes, product["split"])
    write_looks(catalog.path, traits)
    again = looks_of(catalog)
    assert (again.pixels, again.looks) == (seen.pixels, seen.looks)
    assert again.product_row_N.tolist() == seen.product_row_N.tolist()
