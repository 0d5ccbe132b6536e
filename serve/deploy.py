"""Puts the application on a Ray cluster, waits until it answers, and takes it off again."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from serve.record import Record
from xmodal.client import Client
from xmodal.errors import ReleaseError, ServiceError, XmodalError
from xmodal.ray_session import ray_session
from xmodal.registry.pointer import Release, read_pointer
from xmodal.settings import Settings

APP = "xmodal"
ROOT = Path(__file__).resolve().parents[1]
START_S = 180.0  # 10 s as a rule, minutes on a busy machine
DEPLOY_S = 600.0
READY_S = 30.0


def check_release(home: Path) -> Release:
    """The live release, its index proven against its matcher.

    Raises ReleaseError where there is none, IndexMismatch, IndexDamaged or MatcherError where
    its parts do not fit: one line now, instead of a replica that never starts.
    """
    release = read_pointer(home)
    if release is None:
        raise ReleaseError(f"{home} has no release yet; run jobs/pipeline.py with its config first")
    from xmodal.index.version import open_index
    from xmodal.matcher.saved import read_facts

    open_index(release.index_folder(home), read_facts(release.matcher_folder(home)).encoder)
    return release


def deploy(home: Path, settings: Settings, record: Record) -> str:
    """Run the application on the record's cluster; returns its URL.

    Raises XmodalError where a replica does not start. To be run apart (apart.py).
    """
    # Replicas of a joined cluster may start where `serve` and `xmodal` are not installed.
    with _joined(record, settings, ROOT if record.is_joined else None):
        from ray import serve

        from serve.app import args_of, build

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        options = settings.serve
        # The host is said because Ray's own default with HAProxy is every interface.
        serve.start(http_options={"host": options.host, "port": options.port})
        try:
            serve.run(build(args_of(str(home), options)), name=APP, route_prefix="/")
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise XmodalError(
                f"the service did not start: {reason} (--trace shows more)"
            ) from error
    return f"http://{options.host}:{options.port}"


def withdraw(record: Record) -> str:
    """Take the application off a cluster that lives on; returns what was done.

    On a head of ours Serve ends as a whole and frees its port; on another's cluster the
    application alone. To be run apart (apart.py).
    """
    os.environ["RAY_ADDRESS"] = record.address
    with ray_session(Settings()):
        from ray import serve
        from ray.serve.exceptions import RayServeException

        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        try:
            if record.is_joined:
                serve.delete(APP)
            else:
                serve.shutdown()
        except RayServeException:
            return ""  # no Serve there, so nothing of ours either
    return f"{APP} on {record.address}"


def wait_ready(url: str, within_s: float = READY_S) -> None:
    """Until the service says that it is ready. Raises ServiceError where it does not in time."""
    until = time.monotonic() + within_s
    with Client(url, timeout_s=5) as client:
        while True:
            try:
                client.release()
                return
            except XmodalError as error:
                if time.monotonic() > until:
                    raise ServiceError(
                        f"deployed, but {url}/readyz is not ready after {within_s:.0f} s ({error})"
                    ) from error
                time.sleep(0.2)


@contextmanager
def _joined(record: Record, settings: Settings, code: Path | None) -> Iterator[None]:
    """Connected to the record's cluster, for the length of the block.

    A head of ours answers some seconds before its node can take work: within `START_S` that is
    no error. Raises ServiceError after it.
    """
    os.environ["RAY_ADDRESS"] = record.address
    until = time.monotonic() + START_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(ray_session(settings, code))
                break
            except ServiceError:
                if record.is_joined or time.monotonic() > until or not record.is_alive:
                    raise
                time.sleep(1)
        yield
