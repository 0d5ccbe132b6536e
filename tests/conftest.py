"""Fixtures that several rooms share. Session-scoped, because they are dear."""

import os
from collections.abc import Iterator

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
    """Spread files over processes; all that needs a Ray cluster, or a service, shares one.

    These two begin, for they take longest: the rest fills up beside them.
    """
    groups = {item: _group(item) for item in items}
    items.sort(key=lambda item: {"ray": 0, "service": 1}.get(groups[item], 2))
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))


def _group(item: pytest.Item) -> str:
    if "ray_cluster" in getattr(item, "fixturenames", ()):
        return "ray"
    is_service = "tests/serve/" in item.nodeid and item.get_closest_marker("slow")
    return "service" if is_service else item.nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local Ray cluster of four logical CPUs; its dashboard is on, as Train under Tune needs."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        for name, value in RAY_ENVIRONMENT.items():
            patch.setenv(name, os.environ.get(name, value))
        ray.init(
            address="local",
            num_cpus=4,
            include_dashboard=True,
            object_store_memory=300_000_000,
            log_to_driver=False,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
        )
        yield
        ray.shutdown()
