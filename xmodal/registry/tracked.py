"""A job's run, tracked whole: settings, data, commit, system metrics; then what the job reports.

with tracked(home, settings, catalog, "train-1a2b") as run:
    train_encoder(..., report=run.metrics)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xmodal.catalog.store import Catalog
from xmodal.fingerprint import code_version
from xmodal.registry.runs import Data, Run, Tracker
from xmodal.settings import Settings


@contextmanager
def tracked(home: Path, settings: Settings, catalog: Catalog, name: str) -> Iterator[Run]:
    """The run called `name` in the home's tracking store; the same name goes on with its run."""
    tracker = Tracker(home, settings.tracking.uri)
    manifest = catalog.manifest
    shop = Path(str(manifest.source)).name or "catalog"
    counts = {"products": manifest.n_products, "images": manifest.n_images, **manifest.counts}
    with tracker.run(name, f"{name} on {shop}: {manifest.n_products:,} products") as run:
        run.params(settings.model_dump(mode="json"))
        run.data(Data(shop, manifest.fingerprint, str(manifest.source), counts))
        run.tags({"catalog": manifest.id, "code": code_version(), "base": settings.matcher.base})
        with run.system_metrics():
            yield run
