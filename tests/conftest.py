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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes share the tests: one those that start a Ray, the other all else, by file.

    Within the first, what shares `ray_cluster` runs before another test starts a Ray of its own:
    two at once would only wait for each other's processors.
    """
    for item in items:
        group = "ray" if _starts_ray(item) else item.location[0]
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (not _starts_ray(item), not _shares_cluster(item)))


def _shares_cluster(item: pytest.Item) -> bool:
    return "ray_cluster" in getattr(item, "fixturenames", ())


def _starts_ray(item: pytest.Item) -> bool:
    """Every slow test does, but for a few that are as well off beside them."""
    return _shares_cluster(item) or item.get_closest_marker("slow") is not None


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
