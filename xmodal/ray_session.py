"""The one door to Ray for jobs: a head that is there, else a cluster of this process's own.

`RAY_ADDRESS` (a submitted job has it) names the head; without it a local cluster starts, sized so
that Tune's trials, each with its own workers, cannot wait for each other's CPUs for ever.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
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
    # Read by glibc in each process that Ray starts. Ray runs our code in threads, whose own heaps
    # end at 64 MB: larger activations would be mapped, and zeroed, in every batch (1.3 times the
    # time to embed). With one heap `matcher/fast.py` keeps them.
    "MALLOC_ARENA_MAX": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
API_SERVER = "RAY_API_SERVER_ADDRESS"  # where Ray's State API asks
KNOCK_S = 5.0
GPU_WAIT_S = 900.0  # a rented machine starts and installs in 5 to 10 minutes
GROUP = "ray.io/node-group"  # the label by which an autoscaler knows a node
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
    told = os.environ.get(API_SERVER)
    if address:
        _join(address, code)
    else:
        _start(settings)
    try:
        yield
    finally:
        ray.shutdown()
        os.environ.pop(API_SERVER, None)
        os.environ |= {API_SERVER: told} if told else {}


def claim_dashboard(wanted: int) -> int:
    """A port for the dashboard of a cluster that starts next: `wanted` if it is free.

    The cluster's processes are told it. Else Ray's State API asks the Ray that was started last on
    this machine, dead or alive, and Train under Tune never frees a finished trial's processors.
    """
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    os.environ[API_SERVER] = f"http://127.0.0.1:{port}"
    return port


def gather_gpus(
    settings: Settings, say: Callable[[str], None], within_s: float = GPU_WAIT_S
) -> None:
    """Wait until each training worker can have a GPU; a cluster that scales is asked for them.

    Nothing is asked without `training.gpu`. Ray Data and Tune count the GPUs that are there, and
    a cluster that scales from zero has none before somebody asks.

    Raises:
        ServiceError: the cluster cannot grow, or did not within `within_s`.
    """
    from ray.autoscaler.sdk import request_resources

    wanted = settings.training.workers if settings.training.gpu else 0
    if _gpus() >= wanted:
        return
    short = f"training.workers={wanted} need a GPU each, and the cluster has {_gpus()}"
    mend = "start nodes that have them, set training.workers lower, or training.gpu=false"
    if not _is_scaled():
        raise ServiceError(f"{short}: {mend}")
    say(f"{short}: asked its autoscaler for more, and waiting up to {within_s / 60:.0f} min")
    until = time.monotonic() + within_s
    request_resources(bundles=[{"CPU": 1, "GPU": 1}] * wanted)
    try:
        while _gpus() < wanted:
            if time.monotonic() > until:
                raise ServiceError(
                    f"{short} after {within_s / 60:.0f} min, though its autoscaler was asked"
                    f" (`ray status` shows why): {mend}"
                )
            time.sleep(1)
    finally:
        request_resources(bundles=[])  # a request stands, and costs, until it is taken back
    say(f"the cluster has {_gpus()} GPUs")


def _gpus() -> int:
    import ray

    return int(ray.cluster_resources().get("GPU", 0))


def _is_scaled() -> bool:
    """Whether an autoscaler looks after the cluster: it labels its nodes, `ray start` does not."""
    import ray

    return any(GROUP in node["Labels"] for node in ray.nodes() if node["Alive"])


def _start(settings: Settings) -> None:
    import ray

    free_bytes = psutil.virtual_memory().available
    with _hushed():
        ray.init(
            address="local",
            num_cpus=logical_cpus(settings, os.cpu_count() or 1),
            # Train's clean-up under Tune asks the dashboard; without it, trials hang
            include_dashboard=True,
            dashboard_port=claim_dashboard(settings.serve.dashboard_port),
            object_store_memory=int(min(STORE_BYTES, free_bytes / 5)),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


@contextmanager
def _hushed() -> Iterator[None]:
    """Ray joined in the block keeps the lines of its core off this terminal.

    What fails comes as an exception besides. The level is no flag of `FLAGS`: a head that lives on
    keeps its logs. That a level was chosen is announced too, which is why stderr is closed.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _join(address: str, code: Path | None) -> None:
    import ray
    from ray.exceptions import RayError

    env = {"working_dir": str(code)} if code else None
    try:
        _knock(address)
        with _hushed():
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=env,
            )
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
