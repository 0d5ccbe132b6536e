"""A run whose loss is no number any more: where it happened, in one line. No torch, no Ray."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

from xmodal.errors import TrainingError
from xmodal.storage import read_json, write_json_atomic

DIVERGED_FILE = "diverged.json"
SHOWN = 5  # products of the batch that the line names


@dataclass(frozen=True)
class Divergence:
    """The step that brought no number; no weight had moved by it."""

    epoch: int  # from 0
    step: int  # of the whole run, from 1
    loss: float
    products: list[int]  # catalogue rows of the batch, on the worker that tells

    def line(self, names: Sequence[str] = (), kept: str = "") -> str:
        """What a person reads.

        Args:
            names: ids of the first products, where the catalogue is at hand.
            kept: the run's folder, if a checkpoint lies in it.
        """
        names = names or [f"row {row}" for row in self.products[:SHOWN]]
        more = len(self.products) - len(names)
        what = "the gradient" if isfinite(self.loss) else f"the loss ({self.loss})"
        where = f" (the checkpoint of epoch {self.epoch} is kept in {kept})" if kept else ""
        return (
            f"epoch {self.epoch + 1}, step {self.step}: {what} is not a finite number{where}; the "
            f"batch has the products {', '.join(names)}{f' and {more} more' if more else ''}: look "
            "at their pictures, or lower training.learning_rate"
        )


class Diverged(TrainingError):
    """Raised by the step on all workers alike: their gradient is one."""

    def __init__(self, where: Divergence) -> None:
        super().__init__(where.line())
        self.where = where

    def __reduce__(self) -> tuple[type["Diverged"], tuple[Divergence]]:
        return Diverged, (self.where,)


def note_divergence(folder: Path, where: Divergence) -> None:
    """Leave it in the run's folder, for the driver."""
    write_json_atomic(folder / DIVERGED_FILE, asdict(where))


def read_divergence(folder: Path) -> Divergence | None:
    """What `note_divergence` left; None where nothing diverged."""
    path = folder / DIVERGED_FILE
    if not path.exists():
        return None
    value = read_json(path)
    assert isinstance(value, dict)
    return Divergence(**value)
