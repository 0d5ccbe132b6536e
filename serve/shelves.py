"""Opens a release for the front: with all stages in this process, or with handles to others."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from serve.explainer import Explainer
from serve.service import Shelf
from xmodal.catalog.store import open_catalog
from xmodal.index.facets import Facets
from xmodal.index.products import Products
from xmodal.registry.pointer import Release
from xmodal.search.opened import Parts, open_searcher, warm
from xmodal.search.searcher import Searcher
from xmodal.search.stages import make_pools

Opener = Callable[[Release], Awaitable[Shelf]]


def parts_of(home: Path, release: Release) -> Parts:
    """Where the release's matcher and index lie, and the forms that encoders have."""
    return Parts(release.matcher_folder(home), release.index_folder(home), home / "forms")


def fused(home: Path, depth: int) -> Opener:
    """An opener that puts all stages into this process."""
    pools = make_pools()

    async def open_shelf(release: Release) -> Shelf:
        def load() -> Shelf:
            parts = parts_of(home, release)
            searcher, index = open_searcher(parts, pools, depth)
            catalog = open_catalog(home / "catalogs" / release.catalog)
            explainer = Explainer(parts.matcher, catalog)
            return Shelf(searcher, index.products, index.facets, catalog, explainer)

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
            catalog = open_catalog(home / "catalogs" / release.catalog)
            searcher = make_searcher(release, parts)
            products, facets = Products(parts.index), Facets.open(parts.index)
            return Shelf(searcher, products, facets, catalog, Explainer(parts.matcher, catalog))

        shelf = await asyncio.to_thread(load)
        await warm(shelf.searcher)
        return shelf

    return open_shelf
