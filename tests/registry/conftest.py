"""A tracker with a store of its own."""

import shutil

import pytest

from xmodal.registry.runs import Tracker


@pytest.fixture
def tracker(migrated, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    shutil.copy(migrated, home / "mlflow.db")
    return Tracker(home)
