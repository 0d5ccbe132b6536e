"""Products put in and taken out over HTTP: what goes over the wire, and the desk that takes it.

body -> checked (pictures decoded in full) -> Keeper: embedded, durable, searchable -> answer
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from serve.holder import Holder
from serve.problems import Problem, body_of, invalid, problem_of
from serve.schemas import MAX_BODY_BYTES, ErrorBody, ProductId, decode_image
from xmodal.catalog.changes import ProductFacts, fingerprints
from xmodal.catalog.images import ImageFault, check_image
from xmodal.errors import Overloaded, StorageError, UnknownProduct
from xmodal.index.keeper import Keeper, Put, Result, TakeOut
from xmodal.matcher.inputs import MAX_PIXELS

log = logging.getLogger(__name__)

THREADS = 2
QUEUE = 16  # requests that may wait for them
MOST_LINES = 1000
NDJSON = "application/x-ndjson"
_TAKEN = ("/image", "/similar")
_NICE = 10  # of 19: a search in another thread of this process comes first

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
Long = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100_000)]
Encoded = Annotated[str, StringConstraints(min_length=1, max_length=MAX_BODY_BYTES)]
Out = TypeVar("Out")


class ProductBody(BaseModel):
    """A product as it shall be from now on, whatever was there before."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "product_id": "p12",
                    "title": "red dress",
                    "images": ["<base64>"],
                    "attributes": {"colour": "red"},
                    "price": 39.9,
                }
            ]
        },
    )

    product_id: ProductId | None = None
    """Its id; left out where the path says it."""
    title: Short = ""
    """May be empty where there is a picture."""
    images: list[Encoded] = Field(default_factory=list, max_length=50)
    """Pictures in base64, the first one shown first; may be empty where there is a title."""
    attributes: dict[Name, Short] = Field(default_factory=dict, max_length=200)
    """What `filter` can ask for; those without a value are left out."""
    description: Long = ""
    price: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)
    url: Short = ""
    lang: Short = ""


class DeleteRequest(BaseModel):
    """Products to be taken out."""

    model_config = ConfigDict(extra="forbid")

    product_ids: list[ProductId] = Field(min_length=1, max_length=MOST_LINES)


class Kept(BaseModel):
    """What a change came to; it is on the disk and in the next search."""

    product_id: str
    result: Result


class KeptItem(BaseModel):
    """What one of several changes came to: an answer or an error."""

    status: int
    answer: Kept | None = None
    error: ErrorBody | None = None


class KeptAnswer(BaseModel):
    """One item a line or an id, in their order."""

    answers: list[KeptItem]


def read_body(content: bytes, path_id: str | None = None) -> ProductBody:
    """The product in a JSON object. Raises Problem 400 saying what is wrong."""
    try:
        body = ProductBody.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise invalid(first, ProductBody, first["loc"]) from error
    given = body.product_id.strip() if body.product_id is not None else None
    if path_id is not None and given not in (None, path_id):
        raise Problem(400, "invalid", f"the path says {path_id!r}", "product_id")
    body.product_id = path_id or given
    if not body.product_id or not body.product_id.strip():
        raise Problem(400, "empty", "give a `product_id`", "product_id")
    if body.product_id.endswith(_TAKEN):
        ends = " or ".join(_TAKEN)
        raise Problem(400, "invalid", f"an id cannot end in {ends}: paths do", "product_id")
    if not body.title and not body.images:
        raise Problem(400, "empty", "give a `title`, `images` or both", "title")
    return body


def check_product(body: ProductBody) -> Put:
    """The product, its pictures decoded in full. Raises Problem 400 naming the bad one."""
    images = [_picture(encoded, number) for number, encoded in enumerate(body.images)]
    facts = ProductFacts(
        product_id=body.product_id or "",
        title=body.title,
        attributes={name: value for name, value in body.attributes.items() if value},
        description=body.description,
        price=body.price,
        url=body.url,
        lang=body.lang,
        pictures=fingerprints(images),
    )
    return Put(facts, images)


class Desk:
    """Takes changes in by the live release's keeper, in threads that give way to searches."""

    def __init__(self, holder: Holder[Any]) -> None:
        """`holder` lends shelves with a `keeper`."""
        self._holder = holder
        self._pool = ThreadPoolExecutor(THREADS, "changes", _give_way)
        self._waiting = 0

    async def put(self, content: bytes, path_id: str | None = None) -> Kept:
        """Put one product in. Raises Problem, QueryError, or Overloaded."""
        body = read_body(content, path_id)

        def work(keeper: Keeper) -> Kept:
            word = check_product(body)
            return Kept(product_id=word.product_id, result=keeper.keep([word])[0])

        return await self._run(work)

    async def put_lines(self, content: bytes) -> KeptAnswer:
        """Put in a product a line; one that is malformed fails alone. Raises as `put`."""
        lines = [line for line in content.splitlines() if line.strip()]
        if not 1 <= len(lines) <= MOST_LINES:
            code = "too_large" if lines else "empty"
            raise Problem(400, code, f"give 1 to {MOST_LINES} lines, a product each")

        def work(keeper: Keeper) -> KeptAnswer:
            read = [_read_line(line) for line in lines]
            words = [one for one in read if isinstance(one, Put)]
            results = iter(keeper.keep(words))
            items = [one if isinstance(one, KeptItem) else _item(one, results) for one in read]
            return KeptAnswer(answers=items)

        return await self._run(work)

    async def delete(self, product_id: str) -> Kept:
        """Take one product out. Raises UnknownProduct, Problem, or Overloaded."""
        answer = await self.delete_all([product_id])
        kept = answer.answers[0].answer
        if kept is None:
            raise UnknownProduct(f"no product {product_id!r}")
        return kept

    async def delete_all(self, product_ids: Sequence[str]) -> KeptAnswer:
        """Take products out. Raises Problem or Overloaded."""

        def work(keeper: Keeper) -> KeptAnswer:
            words = [TakeOut(product_id) for product_id in product_ids]
            results = iter(keeper.keep(words))
            return KeptAnswer(answers=[_item(word, results) for word in words])

        return await self._run(work)

    async def _run(self, work: Callable[[Keeper], Out]) -> Out:
        if self._waiting >= QUEUE:
            raise Overloaded(f"{self._waiting} changes are waiting; try again later")
        self._waiting += 1
        try:
            async with self._holder.use() as held:
                job = partial(work, held.part.keeper)
                return await asyncio.get_running_loop().run_in_executor(self._pool, job)
        except StorageError as error:
            log.error("event=change_not_stored message=%s", error)
            message = "the change could not be stored, nothing of it was kept; see the log"
            raise Problem(507, "not_stored", message) from error
        finally:
            self._waiting -= 1


def _picture(encoded: str, number: int) -> bytes:
    field = f"images.{number}"
    try:
        return check_image(decode_image(encoded), MAX_PIXELS).content
    except ImageFault as fault:
        code = "too_large" if fault.reason == "image_huge" else "bad_image"
        raise Problem(400, code, f"cannot take the picture ({fault})", field) from fault
    except ValueError as error:
        code = "too_large" if "may have" in str(error) else "bad_image"
        raise Problem(400, code, str(error), field) from error


def _read_line(line: bytes) -> Put | KeptItem:
    try:
        return check_product(read_body(line))
    except Problem as problem:
        return KeptItem(status=problem.status, error=body_of(problem))


def _item(word: Put | TakeOut, results: Iterator[Result]) -> KeptItem:
    result = next(results)
    if result == "not_found":
        problem = problem_of(UnknownProduct(f"no product {word.product_id!r}"))
        return KeptItem(status=problem.status, error=body_of(problem))
    return KeptItem(status=200, answer=Kept(product_id=word.product_id, result=result))


def _give_way() -> None:
    """Lower this thread's priority; threads that torch starts for it inherit it."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
