"""Puts the application on a Ray cluster and waits until it answers."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from xmodal.errors import ReleaseError, ServiceError, XmodalError
from xmodal.ray_session import ray_session
from xmodal.registry.pointer import Release, read_pointer
from xmodal.settings import Settings

APP = "xmodal"


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


@contextmanager
def joined(
    settings: Settings, patience_s: float, is_starting: Callable[[], bool]
) -> Iterator[None]:
    """Connected to the cluster that RAY_ADDRESS names, for the length of the block.

    A head answers some seconds before its node can take work: while `is_starting()`, and within
    `patience_s`, that is no error. Raises ServiceError after it.
    """
    until = time.monotonic() + patience_s
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(ray_session(settings))
                break
            except ServiceError:
                if time.monotonic() > until or not is_starting():
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
