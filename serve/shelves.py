"""Opens a release for the front: with all stages in this process, or with handles to others."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from serve.explainer import Explainer
from serve.service import Shelf
from xmodal.catalog.store import open_catalog
from xmodal.index.facets import Facets
from xmodal.index.keeper import Keeper
from xmodal.index.live import LiveProducts
from xmodal.index.overlay import Overlay
from xmodal.index.products import Products
from xmodal.index.vectors import VectorLog
from xmodal.registry.pointer import Release
from xmodal.search.opened import Parts, open_changes, open_searcher, open_vectors, warm
from xmodal.search.searcher import Searcher
from xmodal.search.stages import make_pools

Opener = Callable[[Release], Awaitable[Shelf]]


def parts_of(home: Path, release: Release) -> Parts:
    """Where the release's matcher and index lie, the forms of encoders, and what changed since."""
    catalog = open_catalog(home / "catalogs" / release.catalog)
    return Parts(
        release.matcher_folder(home),
        release.index_folder(home),
        home / "forms",
        live=home,
        since=catalog.changes_end,
    )


def fused(home: Path, depth: int) -> Opener:
    """An opener that puts all stages into this process."""
    pools = make_pools()

    async def open_shelf(release: Release) -> Shelf:
        def load() -> Shelf:
            parts = parts_of(home, release)
            searcher, overlay = open_searcher(parts, pools, depth)
            assert isinstance(overlay, Overlay)
            index = overlay.index
            live = LiveProducts(index.products, index.facets, overlay.changes, overlay.refresh)
            return _shelf(home, release, searcher, live, overlay.vectors)

        shelf = await asyncio.to_thread(load)
        await warm(shelf.searcher)
        return shelf

    return open_shelf


def spread(home: Path, make_searcher: Callable[[Release, Parts], Searcher]) -> Opener:
    """An opener whose stages are elsewhere; `make_searcher(release, parts)` reaches them.

    Warming asks every stage for this release, so they have it open before traffic comes.
    """

    async def open_shelf(release: Release) -> Shelf:
        parts = parts_of(home, release)

        def load() -> Shelf:
            searcher = make_searcher(release, parts)
            products, facets = Products(parts.index), Facets.open(parts.index)
            live = LiveProducts(products, facets, open_changes(parts))
            live.refresh()
            return _shelf(home, release, searcher, live, open_vectors(parts))

        shelf = await asyncio.to_thread(load)
        await warm(shelf.searcher)
        return shelf

    return open_shelf


def _shelf(
    home: Path, release: Release, searcher: Searcher, live: LiveProducts, vectors: VectorLog
) -> Shelf:
    catalog = open_catalog(home / "catalogs" / release.catalog)
    explainer = Explainer(release.matcher_folder(home))
    return Shelf(searcher, live, catalog, explainer, Keeper(live, vectors))
