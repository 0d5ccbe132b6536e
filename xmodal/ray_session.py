"""The one door to Ray for jobs: a head that is there, else a cluster of this process's own.

`RAY_ADDRESS` (a submitted job has it) names the head; without it a local cluster starts, sized so
that Tune's trials, each with its own workers, cannot wait for each other's CPUs for ever.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from xmodal.errors import ServiceError
from xmodal.settings import Settings

# Read by Ray when it starts, so they are set before it is imported. What is set already wins.
FLAGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    # Each report of an epoch waits for the controller's next look: 2 s by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "false",
}
KNOCK_S = 5.0
STORE_BYTES = 1 << 30  # features travel by memory-mapped files, not by the object store


def logical_cpus(settings: Settings, cores: int) -> int:
    """CPUs that a local cluster claims: two trials of `workers` halves, their drivers, slack.

    Logical ones do not limit threads, so more of them than cores is no harm; fewer is a hang.
    """
    return max(cores, settings.training.workers + 2, settings.index.actors + 1)


def set_flags() -> None:
    """Put the flags that Ray reads at its start into this process's environment."""
    for name, value in FLAGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def ray_session(settings: Settings, code: Path | None = None) -> Iterator[None]:
    """Connect for the length of the block; a session that is already open is used as it is.

    `code` is a folder that travels to a joined cluster and is imported from there.

    Raises:
        ServiceError: `RAY_ADDRESS` names a head that does not answer or refuses the token.
    """
    set_flags()
    import ray

    for room in ("ray.data", "ray.train", "ray.tune"):
        logging.getLogger(room).setLevel(logging.ERROR)  # the job's own progress says enough
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _join(address, code)
    else:
        free_bytes = psutil.virtual_memory().available
        ray.init(
            address="local",
            num_cpus=logical_cpus(settings, os.cpu_count() or 1),
            # Train's clean-up under Tune asks the dashboard; without it, trials hang
            include_dashboard=True,
            object_store_memory=int(min(STORE_BYTES, free_bytes / 5)),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str, code: Path | None) -> None:
    import ray
    from ray.exceptions import RayError

    env = {"working_dir": str(code)} if code else None
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=env)
    except (OSError, OverflowError, RuntimeError, ValueError, RayError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise ServiceError(
            f"no Ray head answers at {address} ({reason}); start it, give this process its token"
            " (RAY_AUTH_MODE=token), or unset RAY_ADDRESS to use this machine alone"
        ) from problem


def _knock(address: str) -> None:
    """Raise OSError within seconds where nothing listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()
