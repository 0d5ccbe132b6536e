"""A migrated, empty tracking store: made once (6 s), copied for each test."""

import shutil

import pytest

from xmodal.registry.runs import Tracker


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    home = tmp_path_factory.mktemp("migrated")
    Tracker(home, experiment="first")
    return home / "mlflow.db"


@pytest.fixture
def tracker(migrated, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    shutil.copy(migrated, home / "mlflow.db")
    return Tracker(home)
