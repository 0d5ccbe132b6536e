"""Several runs of one recipe, told apart by their seeds: the mean of each figure and its spread.

metrics.json of each run -> {figure: Spread}
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xmodal.errors import QueriesError, StorageError
from xmodal.storage import read_json

Key = tuple[str, str, str, str]  # part, task, system, metric


@dataclass(frozen=True)
class Spread:
    """One figure over the runs."""

    values: tuple[float, ...]  # in the order of the runs

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Sample standard deviation over the runs; 0 of one run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0


def spread(paths: Sequence[Path]) -> dict[Key, Spread]:
    """Each mean of the reports' `metrics.json` over all of them, in the first one's order.

    Raises:
        QueriesError: a file is no such report, or the reports are not of the same catalogue,
            systems and parts: their figures cannot be put together.
    """
    found: dict[Key, list[float]] = defaultdict(list)
    catalogs = set()
    for path in paths:
        try:
            content: Any = read_json(path)
            catalogs.add(content["facts"]["catalogue fingerprint"])
            for one in content["results"]:
                for metric, value in one["means"].items():
                    found[one["part"], one["task"], one["system"], metric].append(float(value))
        except (StorageError, KeyError, TypeError, AttributeError) as error:
            raise QueriesError(f"{path}: not the metrics.json of a report") from error
    if len(catalogs) > 1:
        raise QueriesError(
            f"{len(catalogs)} catalogues are behind these {len(paths)} reports; give reports of one"
        )
    uneven = [key for key, values in found.items() if len(values) != len(paths)]
    if uneven:
        raise QueriesError(
            f"only some of the {len(paths)} reports have {' '.join(uneven[0])}; give reports of "
            "the same systems and parts"
        )
    return {key: Spread(tuple(values)) for key, values in found.items()}
