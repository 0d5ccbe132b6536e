"""A small shop in a home of its own, for the jobs that train."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shops import make_rows, take_in, write_csv
from tests.training.toy import tiny_base

SPLITS = ["train"] * 9 + ["val"] * 2 + ["dev"]


@pytest.fixture(scope="module")
def small_shop(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Iterator[Path]:
    """The config of two tiny towers and of a home that holds a shop of 48 products."""
    folder = tmp_path_factory.mktemp("jobs")
    rows = [row | {"split": SPLITS[i % 12]} for i, row in enumerate(make_rows(48))]
    take_in(write_csv(folder / "shop", rows), folder / "home")
    tree = {
        "matcher": {"base": tiny_base(folder / "base"), "dim": 16, "image_size": [32, 32]},
        "training": {"epochs": 2, "batch": 12, "workers": 2},
        "reranker": {"epochs": 1},
        "tuning": {
            "trials": 2,
            "space": [{"setting": "training.learning_rate", "low": 1e-3, "high": 1e-2}],
        },
    }
    path = folder / "small.yaml"
    path.write_text(json.dumps(tree))  # JSON is YAML
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_HOME", str(folder / "home"))
        yield path
