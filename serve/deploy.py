"""Puts the application on a Ray cluster and waits until it answers."""

import logging
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from serve.record import read_record
from xmodal.errors import ReleaseError, ServiceError, XmodalError
from xmodal.ray_session import ray_session
from xmodal.registry.pointer import Release, read_pointer
from xmodal.settings import Settings

APP = "xmodal"
START_S = 180.0  # 10 s as a rule, minutes on a busy machine


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


def deploy_apart(home: Path, settings: Settings) -> str:
    """`deploy` in a process of its own; returns the URL.

    A process that joined Ray aborts on SIGTERM, whatever handler it has; the caller must not, for
    it has to end what it started. Raises what `deploy` raises.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, home, settings))
    child.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError as error:
        raise XmodalError(f"the deployment broke off; see {home}/logs/ray.log") from error
    finally:
        child.kill()
        child.join()
    if isinstance(outcome, Exception):
        raise outcome
    return str(outcome)


def _child(sender: Connection, home: Path, settings: Settings) -> None:
    try:
        with _joined(home, settings):
            outcome: str | XmodalError = deploy(home, settings)
    except XmodalError as error:
        outcome = error
    sender.send(outcome)


@contextmanager
def _joined(home: Path, settings: Settings) -> Iterator[None]:
    """Connected to the cluster that RAY_ADDRESS names, for the length of the block.

    A head of ours answers some seconds before its node can take work: within `START_S` that is
    no error. Raises ServiceError after it.
    """
    until = time.monotonic() + START_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(ray_session(settings))
                break
            except ServiceError:
                record = read_record(home)
                if time.monotonic() > until or record is None or not record.is_alive:
                    raise
                time.sleep(1)
        yield


def deploy(home: Path, settings: Settings) -> str:
    """Run the application on the cluster that this process is connected to; returns its URL.

    Raises XmodalError where a replica does not start.
    """
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
        raise XmodalError(f"the service did not start: {reason} (--trace shows more)") from error
    return f"http://{options.host}:{options.port}"
