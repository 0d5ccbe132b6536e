"""xmodal/training/held_out.py: a gallery in which remembering train is of no use."""

import numpy as np

from tests.shops import make_rows, take_in, write_csv
from xmodal.training.held_out import build_valset


def valset_of(folder, rows):
    catalog = take_in(write_csv(folder / "in", rows), folder / "home").catalog
    queries = catalog.judged("val").queries
    number = {text: place for place, text in enumerate(queries.values())}
    products = np.arange(catalog.n_products)
    return catalog, build_valset(catalog, queries, number, products, seed=0)


def test_train_products_of_an_asked_title_are_not_shown(tmp_path):
    kinds = ["Red shoe", "Blue bag", "Green hat"]
    rows = [r | {"title": kinds[i % 3], "split": "train"} for i, r in enumerate(make_rows(60))]
    for row in rows[:12]:
        row["split"] = "val"
    rows += [make_rows(61)[60] | {"title": "A rare umbrella", "split": "train"}]
    catalog, valset = valset_of(tmp_path, rows)
    splits = np.array(catalog.products(["split"])["split"].to_pylist())
    shown = splits[valset.gallery_products].tolist()
    assert (shown.count("val"), shown.count("train")) == (12, 1)
    assert all(len(grades) == 4 for grades in valset.qrels.values())
