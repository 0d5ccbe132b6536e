"""A run's figures, a line an epoch, as they come: written by worker 0, followed by the driver."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xmodal.storage import publish_file

Metrics = dict[str, float]
Report = Callable[[Metrics, int], None]
HISTORY_FILE = "history.jsonl"
POLL_S = 0.5


def write_history(folder: Path, history: list[Metrics]) -> None:
    """Replace the run's figures: a resumed run forgets an epoch that its checkpoint has not."""
    with publish_file(folder / HISTORY_FILE) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in history), encoding="utf-8")


def read_history(folder: Path) -> list[Metrics]:
    """Figures of the epochs done so far, in order; empty before the first."""
    path = folder / HISTORY_FILE
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def followed(folder: Path, report: Report) -> Iterator[None]:
    """Call `report(metrics, epoch)` in this process for each epoch that ends inside the block.

    Epochs that an earlier, killed job has done are reported first. What `report` raises ends
    the block.
    """
    seen: set[int] = set()

    def report_new() -> None:
        for row in read_history(folder):
            epoch = int(row["epoch"])
            if epoch not in seen:
                seen.add(epoch)
                report(row, epoch)

    with polled(report_new):
        yield


@contextmanager
def polled(look: Callable[[], None]) -> Iterator[None]:
    """Call `look` twice a second in a thread, and once more at the end; its error is raised."""
    done = threading.Event()
    failures: list[Exception] = []

    def poll() -> None:
        try:
            while not done.wait(POLL_S):
                look()
        except Exception as error:  # noqa: BLE001  # handed to the block's thread below
            failures.append(error)

    thread = threading.Thread(target=poll, name="history", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]
    look()


def epoch_line(metrics: Metrics, epochs: int) -> str:
    """One line for the console: what the epoch brought, its rate, and the time left at most."""
    done = int(metrics["epoch"]) + 1
    left_s = (metrics["train_s"] + metrics["validate_s"]) * (epochs - done)
    return (
        f"epoch {done}/{epochs}: loss {metrics['loss']:.3f}, val MRR {metrics['mrr@10']:.3f}, "
        f"val R@10 {metrics['recall@10']:.3f}, {metrics['pairs_per_s']:.0f} pairs/s, "
        f"{metrics['data_wait_share']:.0%} of the time waiting for data, {left_s:.0f} s left"
    )
