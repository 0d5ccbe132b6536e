"""What the HTTP interface can ask for, whichever way the stages are spread. No Ray here.

Every request takes one release and keeps it to its end: hits, titles and pictures are of one piece.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serve.answers import Answers
from serve.asked import check_fields, counted, cursor_of, gone, placed, query_of
from serve.changes import Desk
from serve.embeddings import EmbeddingsAnswer, EmbeddingsRequest, embed
from serve.explainer import Explainer
from serve.filters import filter_of
from serve.holder import Holder
from serve.pictures import Pictures
from serve.problems import Problem, body_of, invalid, problem_of
from serve.reasons import add_words, shown_hit
from serve.rules import RulesFile
from serve.schemas import (
    BatchItem,
    ExplainAnswer,
    ExplainRequest,
    RecommendRequest,
    ReleaseIds,
    SearchAnswer,
    SearchRequest,
    WordWeight,
)
from serve.telemetry import Telemetry
from serve.titles import LiveTitles
from xmodal.catalog.store import Catalog
from xmodal.errors import XmodalError
from xmodal.index.keeper import Keeper
from xmodal.index.live import LiveProducts
from xmodal.index.products import Product
from xmodal.registry.pointer import Release
from xmodal.search.query import Answer, Query, Related
from xmodal.search.related import related
from xmodal.search.searcher import Searcher
from xmodal.search.suggest import Suggester

AT_ONCE = 16  # searches of a batch: a large one leaves room for others
PICTURE_THREADS = 2  # a page asks for dozens at once: they must not hold up anything else


@dataclass(frozen=True)
class Shelf:
    """One release as the front sees it: its search, and the products that it names."""

    searcher: Searcher
    live: LiveProducts
    catalog: Catalog
    explainer: Explainer
    keeper: Keeper

    @cached_property
    def suggester(self) -> Suggester:
        """Made when first asked for; call it in a thread."""
        products = self.live.products
        return Suggester(products.column("title", range(products.count)))

    @cached_property
    def live_titles(self) -> LiveTitles:
        """Type-ahead over what changed since."""
        return LiveTitles(self.live)

    def pictures_of(self, product_id: str) -> tuple[str, int, Callable[[], list[bytes]]]:
        """Where a product's pictures are, and how to read them. Raises UnknownProduct."""
        change = self.live.change(product_id)
        if change is not None:
            return "journal", change.offset, partial(self.live.changes.pictures, change)
        row = self.live.products.known_row(product_id)
        return self.catalog.manifest.id, row, partial(_pictures, self.catalog, row)


@dataclass(frozen=True)
class Picture:
    """An encoded picture, and a name that changes when its content may have changed."""

    content: bytes
    etag: str


class Service:
    """The front of the house."""

    def __init__(
        self,
        home: Path,
        open_shelf: Callable[[Release], Awaitable[Shelf]],
        deadline_ms: int,
        collapse: str | None = None,
    ) -> None:
        """`collapse`: the attribute that requests may collapse by."""
        self.holder = Holder(home, open_shelf)
        self.rules = RulesFile(home)
        self.desk = Desk(self.holder)
        self._deadline_ms, self._collapse = deadline_ms, collapse
        self._answers = Answers()
        self.telemetry = Telemetry(self._now)
        self._pictures = Pictures()
        self._pool = ThreadPoolExecutor(PICTURE_THREADS, "pictures")
        self._typing = ThreadPoolExecutor(1, "suggest")  # one: the first call makes the suggester

    async def search(self, request: SearchRequest) -> SearchAnswer:
        """Answer one request. Raises the errors that `problems.py` knows."""
        live = self.holder.live
        if live is None:
            return await self._search(request)
        await self.rules.follow()
        there = partial(self._is_shown, live.part.live, request)
        work = partial(self._search, request)
        found = await self._answers.answer(request, work, live.release.id, there)
        self.telemetry.searched(found)
        return found

    def _is_shown(self, products: LiveProducts, request: SearchRequest, product_id: str) -> bool:
        """Whether the shop still has a product and no rule hides it from such a request."""
        if product_id not in products:
            return False
        query = query_of(request, self._collapse)
        return self.rules.shows(products.product(product_id), query)

    async def _search(self, request: SearchRequest) -> SearchAnswer:
        deadline_s = self._until(request.deadline_ms)
        query, release_id = query_of(request, self._collapse), None
        if request.cursor is not None:
            query, release_id = placed(query, request.cursor)
            if release_id not in self.holder.ids:
                raise gone(release_id)
        query = await self.rules.ruled(query)
        async with self.holder.use(release_id) as held:
            shelf = await _fresh(held.part)
            # In a thread: an attribute's values are read as numbers or dates when first named.
            await asyncio.to_thread(_check, request, query, shelf)
            answering = shelf.searcher.answer(query, deadline_s)
            counting = counted(shelf.searcher.retriever, request.facets, query, deadline_s)
            answer, facets = await asyncio.gather(answering, counting)
            shown = _answer(answer, held.release)
            shown.facets, shown.next_cursor = facets, cursor_of(query, answer, held.release.id)
            if query.explain and query.text:
                await add_words(shown, query.text, shelf, deadline_s)
            return shown

    async def related(self, wish: Related, deadline_ms: int | None = None) -> SearchAnswer:
        """Products near to others. Raises the errors that `problems.py` knows."""
        deadline_s = self._until(deadline_ms)
        async with self.holder.use() as held:
            wish = await self.rules.hiding(wish)
            answer = await related(held.part.searcher.retriever, wish, deadline_s)
            return _answer(answer, held.release)

    async def batch(self, queries: Sequence[Mapping[str, Any]]) -> list[BatchItem]:
        """Answer each of several searches; one that fails leaves the others alone."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def in_turn(query: Mapping[str, Any]) -> BatchItem:
            async with gate:
                return await self._item(query)

        return list(await asyncio.gather(*[in_turn(query) for query in queries]))

    async def _item(self, query: Mapping[str, Any]) -> BatchItem:
        try:
            request = SearchRequest.model_validate(query)
            return BatchItem(status=200, answer=await self.search(request))
        except ValidationError as error:
            first = error.errors()[0]
            problem = invalid(first, SearchRequest, first["loc"])
        except Problem as error:
            problem = error
        except XmodalError as error:
            problem = problem_of(error)
        return BatchItem(status=problem.status, error=body_of(problem))

    async def embed(self, request: EmbeddingsRequest) -> EmbeddingsAnswer:
        """Vectors of texts and pictures. Raises the errors that `problems.py` knows."""
        async with self.holder.use() as held:
            encoder, model = held.part.searcher.encoder, _ids(held.release).matcher
            return await embed(request, encoder, model, self._until(None))

    async def explain(self, request: ExplainRequest) -> ExplainAnswer:
        """Why a text finds a product. Raises UnknownProduct, Problem 404, or Overloaded."""
        async with self.holder.use() as held:
            shelf = await _fresh(held.part)
            _, _, read = shelf.pictures_of(request.product_id)
            found = await shelf.explainer.explain(request.text, read)
            if found is None:
                message = f"product {request.product_id!r} has no picture to explain"
                raise Problem(404, "no_picture", message, "product_id")
            why, drawing = found
            return ExplainAnswer(
                score=why.score,
                words=[WordWeight(**vars(word)) for word in why.words],
                regions=why.region_GG.tolist(),
                drawing=drawing,
                release=_ids(held.release),
            )

    async def suggest(self, text: str, limit: int) -> list[str]:
        """Titles that go on from `text`."""
        async with self.holder.use() as held:
            work = partial(_suggest, await _fresh(held.part), text, limit)
            return await asyncio.get_running_loop().run_in_executor(self._typing, work)

    async def product(self, product_id: str) -> Product:
        """A product by its id. Raises UnknownProduct."""
        async with self.holder.use() as held:
            return (await _fresh(held.part)).live.product(product_id)

    async def picture(self, product_id: str, number: int) -> Picture:
        """The encoded picture of a product. Raises UnknownProduct, or Problem 404."""
        async with self.holder.use() as held:
            name, row, read = (await _fresh(held.part)).pictures_of(product_id)
            key = (name, row, number)
            found = self._pictures.get(key)
            if found is None:
                pictures = await asyncio.get_running_loop().run_in_executor(self._pool, read)
                if number >= len(pictures):
                    raise Problem(404, "no_picture", f"product {product_id!r} has no such picture")
                found = pictures[number]
                self._pictures.keep(key, found)
            return Picture(found, f'"{name}-{row}-{number}"')

    def _now(self) -> tuple[str, Searcher] | None:
        live = self.holder.live
        return None if live is None else (live.release.id, live.part.searcher)

    def _until(self, deadline_ms: int | None) -> float:
        return time.time() + (deadline_ms or self._deadline_ms) / 1000

    async def facets(self, most: int = 50) -> dict[str, dict[str, int]]:
        """Attributes with at most `most` values, and how many products have each."""
        async with self.holder.use() as held:
            return await asyncio.to_thread((await _fresh(held.part)).live.facets, most)


def _check(request: SearchRequest, query: Query, shelf: Shelf) -> None:
    check_fields(request, query, shelf.live.fields())


def _suggest(shelf: Shelf, text: str, limit: int) -> list[str]:
    """Titles of changed products first: they are few, and news."""
    found = shelf.live_titles.suggest(text, limit) + shelf.suggester.suggest(text, limit)
    return list(dict.fromkeys(found))[:limit]


def _pictures(catalog: Catalog, row: int) -> list[bytes]:
    return [encoded for _, _, encoded in catalog.images(row, row + 1)]


async def _fresh(shelf: Shelf) -> Shelf:
    """The shelf with what any process has changed until now: a look at a file if nothing is new."""
    if not shelf.live.is_fresh():
        await asyncio.to_thread(shelf.live.refresh)
    return shelf


def _answer(answer: Answer, release: Release) -> SearchAnswer:
    return SearchAnswer(
        query_id=secrets.token_hex(8),
        hits=[shown_hit(hit) for hit in answer.hits],
        release=_ids(release),
        degraded=list(answer.degraded),
        took_ms=dict(answer.took_ms),
        no_good_match=answer.no_good_match,
        rules=list(answer.rules),
    )


def _ids(release: Release) -> ReleaseIds:
    return ReleaseIds(
        id=release.id,
        matcher=f"{release.matcher.name}/{release.matcher.version}",
        index=release.index,
        catalog=release.catalog,
    )


def as_wish(request: RecommendRequest) -> Related:
    """The wish behind a request: of a product that is named twice the newer place counts."""
    newest = len(request.products) - 1
    return Related(
        weights={p: request.recency ** (newest - n) for n, p in enumerate(request.products)},
        limit=request.limit,
        wanted=filter_of(request.filter),
        excluded=frozenset(request.exclude),
        diversity=request.diversity,
    )
