"""Names of runs: the same settings on the same catalogue are the same run, and go on with it."""

from typing import Literal

from xmodal.catalog.store import Catalog
from xmodal.fingerprint import of_json
from xmodal.settings import Settings


def run_name(kind: Literal["train", "tune"], catalog: Catalog, settings: Settings) -> str:
    """`train-1a2b3c4d`: the digits stand for the catalogue and all that shapes the training."""
    tree = settings.model_dump(mode="json")
    del tree["training"]["doctor"]  # a run that it stopped is the same run when it is let go on
    inputs = [catalog.manifest.fingerprint, tree["matcher"], tree["training"], tree["seed"]]
    if settings.epoch_budget:
        inputs.append(settings.epoch_budget)
    if kind == "tune":
        inputs.append(tree["tuning"])
    return f"{kind}-{of_json(inputs)[:8]}"
