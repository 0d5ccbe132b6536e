"""Fixtures that several rooms share. Session-scoped, because they are dear."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Read when Ray starts: no token for a throw-away cluster, reports every 0.2 s, one thread each.
RAY_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.5",
    "OMP_NUM_THREADS": "1",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares the cluster runs first, before another test starts a Ray of its own.

    Ray's State API asks the Ray that was started last on a machine: with two at once, a finished
    trial's processors are never freed, and the search waits for ever.
    """
    items.sort(key=lambda item: "ray_cluster" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local Ray cluster of four logical CPUs; its dashboard is on, as Train under Tune needs."""
    import ray

    from xmodal.ray_session import API_SERVER, claim_dashboard

    with pytest.MonkeyPatch.context() as patch:
        for name, value in RAY_ENVIRONMENT.items():
            patch.setenv(name, os.environ.get(name, value))
        patch.setenv(API_SERVER, "")  # so that it is put back as it was
        ray.init(
            address="local",
            num_cpus=4,
            include_dashboard=True,
            dashboard_port=claim_dashboard(0),
            object_store_memory=300_000_000,
            log_to_driver=False,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
        )
        yield
        ray.shutdown()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty tracking store, to be copied into a home: MLflow takes 6 s for each."""
    from xmodal.registry.runs import Tracker

    home = tmp_path_factory.mktemp("migrated")
    Tracker(home, experiment="first")
    return home / "mlflow.db"
