"""Runs a step that joins Ray in a process of its own.

A process that joined Ray aborts on SIGTERM, whatever handler it has; whoever started something has
to live on to end it.
"""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection

from xmodal.errors import XmodalError


def run_apart(within_s: float, step: Callable[..., str], *args: object) -> str:
    """What `step(*args)` returns or raises; an error that is not ours comes as one line.

    Raises XmodalError also where the process ends without a word, or not within `within_s`.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, step, *args))
    child.start()
    sender.close()
    try:
        if not receiver.poll(within_s):
            raise XmodalError(f"{step.__name__} did not end within {within_s:g} s")
        outcome = receiver.recv()
    except EOFError as error:
        child.join()
        raise XmodalError(f"{step.__name__} broke off (exit code {child.exitcode})") from error
    finally:
        child.kill()
        child.join()
    if isinstance(outcome, Exception):
        raise outcome
    return str(outcome)


def _child(sender: Connection, step: Callable[..., str], *args: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    try:
        outcome: str | XmodalError = step(*args)
    except XmodalError as error:
        outcome = error
    except Exception as error:  # noqa: BLE001  # the parent raises it; Ray's own do not travel
        text = " ".join(str(error).split())
        outcome = XmodalError(f"{type(error).__name__}: {text[-300:] or 'no message'}")
    sender.send(outcome)
