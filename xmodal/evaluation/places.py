"""Where a named catalogue and a named matcher's vectors lie, made on the first asking.

A folder that the home took in is used as it was taken in. Any other is ingested into a home of
its own under `<home>/cache/shops/`, so the home's own shop is never touched.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from xmodal.catalog.ingest import ingest
from xmodal.catalog.source import known_as
from xmodal.catalog.store import Catalog, current_catalog, open_catalog
from xmodal.errors import CatalogError, StorageError
from xmodal.fingerprint import of_json
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import FeatureStore, embed_here, find_trunk, open_store
from xmodal.retrieval.store import Plan, is_whole, vector_folder
from xmodal.settings import Settings
from xmodal.storage import filesystem


def find_catalog(
    place: str, home: Path, settings: Settings, progress: Callable[[float], None]
) -> Catalog:
    """The catalogue at a path or URI: an ingested one, the home's own, or ingested now.

    Raises:
        CatalogError: no such folder, or nothing in it that is a catalogue.
    """
    try:
        system, path = filesystem(place)
    except StorageError as error:
        raise CatalogError(f"--catalog {error}") from error
    if isinstance(system, LocalFileSystem):
        if not Path(path).exists():
            raise CatalogError(f"{place}: no such folder; give --catalog the shop's folder")
        if (Path(path) / "manifest.json").exists():
            return open_catalog(Path(path))
        place = path
    source = known_as(place, system, path)
    own = _own(home)
    if own is not None and own.manifest.source == source:
        return own
    apart = home / "cache" / "shops" / of_json(source)
    # Judged queries come from the file that is evaluated, not from the home's settings.
    chosen = settings.catalog.model_copy(update={"queries": None, "path": place})
    return ingest(place, chosen, apart, settings.seed, progress).catalog


def find_vectors(
    home: Path, matcher: Matcher, catalog: Catalog, progress: Callable[[int], None]
) -> FeatureStore:
    """The matcher's vectors of the catalogue: the home's, or made now in one process.

    With the reranker's tokens where it has a reranker, or where the home has them.
    """
    encoder, fingerprint = matcher.facts.encoder, catalog.manifest.fingerprint
    folder = vector_folder(home, encoder, fingerprint)
    plan = Plan("vector+tokens", encoder, fingerprint, catalog.n_products)
    if is_whole(folder, plan):
        return open_store(folder)
    if matcher.reranker is None:
        folder, plan = folder.with_name("vectors-alone"), replace(plan, what="vector")
    folder.mkdir(parents=True, exist_ok=True)
    trunk = find_trunk(home, matcher.encoder, catalog)
    return embed_here(matcher.encoder, catalog, folder, plan, progress, trunk=trunk)


def quarantined(catalog: Catalog) -> set[str]:
    """Ids of products that the ingest refused: a query file may still name them."""
    found: set[str] = set()
    for path in sorted((catalog.path / "quarantine").glob("*.parquet")):
        columns = pq.read_table(path, columns=["product_id", "kept"]).to_pydict()
        rows = zip(columns["product_id"], columns["kept"], strict=True)
        found |= {product for product, is_kept in rows if product and not is_kept}
    return found


def _own(home: Path) -> Catalog | None:
    return current_catalog(home) if (home / "catalog.json").exists() else None
