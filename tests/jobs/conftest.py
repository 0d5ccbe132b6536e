"""A small shop in a home of its own, for the jobs that train."""

import json
import shutil
from pathlib import Path

import pytest

from tests.shops import make_rows, take_in, write_csv
from tests.training.toy import tiny_base

SPLITS = ["train"] * 9 + ["val"] * 2 + ["dev"]


@pytest.fixture(scope="session")
def shop_config(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Path:
    """The config of two tiny towers, beside a home that holds a shop of 48 products."""
    folder = tmp_path_factory.mktemp("jobs")
    rows = [row | {"split": SPLITS[i % 12]} for i, row in enumerate(make_rows(48))]
    take_in(write_csv(folder / "shop", rows), folder / "home")
    shutil.copy(migrated, folder / "home" / "mlflow.db")
    tree = {
        "matcher": {"base": tiny_base(folder / "base"), "dim": 16, "image_size": [32, 32]},
        "training": {"epochs": 3, "batch": 12, "workers": 1, "learning_rate": 3e-3},
        "reranker": {"epochs": 1},
        "tuning": {
            "trials": 2,
            "space": [{"setting": "training.learning_rate", "low": 1e-3, "high": 1e-2}],
        },
    }
    path = folder / "small.yaml"
    path.write_text(json.dumps(tree))  # JSON is YAML
    return path


@pytest.fixture
def small_shop(shop_config: Path, ray_cluster: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`shop_config`, its home the one of this process."""
    monkeypatch.setenv("XMODAL_HOME", str(shop_config.parent / "home"))
    return shop_config
