"""The HTTP client: typed requests and answers of a running service. Knows no other room.

with Client() as client:
    for hit in client.search(text="red dress", limit=5).hits:
        print(hit.product_id, hit.title)
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

import httpx

from xmodal import __version__
from xmodal.errors import QueryError, ServiceError

URL = "http://127.0.0.1:8000"
TIMEOUT_S = 30.0


Value = str | Sequence[str]
Condition = Value | Mapping[str, float] | Mapping[str, Sequence[str]]
"""`"red"`, `["red", "blue"]`, `{"gte": 10, "lt": 50}` or `{"not": ["red"]}`."""


@dataclass(frozen=True)
class Hit:
    """One product found. Scores are comparable within one answer only, probabilities anywhere."""

    product_id: str
    score: float
    title: str
    attributes: Mapping[str, str]
    probability: float | None = None
    collapsed: int | None = None
    """Others of its group, where `collapse` was asked."""
    explanation: Mapping[str, Any] | None = None
    """Where `explain` was asked: `first_stage`, `rerank`, `boosts`, `decay`, `words`."""


@dataclass(frozen=True)
class Answer:
    """Hits best first, the release that gave them, and what lack of time left out."""

    query_id: str
    hits: Sequence[Hit]
    release: Mapping[str, str]
    degraded: Sequence[str] = ()
    took_ms: Mapping[str, float] = field(default_factory=dict)
    no_good_match: bool = False
    next_cursor: str | None = None
    """Leads to the next page; None on the last one."""
    facets: Mapping[str, Mapping[str, int]] | None = None
    rules: Sequence[str] = ()
    """Ids of the shop's rules that were applied."""


class Wishes(TypedDict, total=False):
    """What a search takes beside text, picture and filter; see the API's own documentation."""

    user_history: Sequence[str]
    history_weight: float
    facets: Sequence[str]
    cursor: str | None
    candidates: int
    sort: Mapping[str, str]
    boost: Sequence[Mapping[str, str | float]]
    decay: Mapping[str, str | float]
    collapse: bool
    min_score: float
    explain: bool
    hybrid: bool


class Client:
    """Talks to one service; keeps its connection, so make one and use it for many searches."""

    def __init__(
        self,
        url: str = URL,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`transport` is for tests; a real client leaves it out."""
        self.url = url.rstrip("/")
        try:
            self._http = httpx.Client(base_url=self.url, timeout=timeout_s, transport=transport)
        except (httpx.InvalidURL, ValueError) as error:
            raise _no_url(url, error) from error

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def search(
        self,
        text: str | Mapping[str, float] | None = None,
        image: bytes | Path | None = None,
        *,
        limit: int = 10,
        filter: Mapping[str, Condition] | None = None,  # noqa: A002  # as in the API
        rerank: bool | None = None,
        deadline_ms: int | None = None,
        **wishes: Unpack[Wishes],
    ) -> Answer:
        """Products for a text, a picture (its bytes or its file), or both.

        Args:
            text: or several with their weights, `{"boots": 1, "leather": -0.5}`.
            wishes: what a request takes beside those, by the API's own names.

        Raises:
            QueryError: the service says what is wrong with the request.
            ServiceError: nobody answers, or the service failed.
        """
        body: dict[str, Any] = {"text": text, "limit": limit, "rerank": rerank}
        if isinstance(text, Mapping):
            body["text"] = [{"text": one, "weight": weight} for one, weight in text.items()]
        body |= {"filter": filter, "deadline_ms": deadline_ms, **wishes}
        if image is not None:
            content = _content(image) if isinstance(image, Path) else image
            body["image"] = base64.b64encode(content).decode()
        given = {name: value for name, value in body.items() if value is not None}
        return self._answer(self._read("POST", "/v1/search", given))

    def pages(self, text: str | Mapping[str, float], **rest: Any) -> Iterator[Answer]:
        """The answer of `search` page by page, to its end. Raises as `search`."""
        answer = self.search(text, **rest)
        yield answer
        while answer.next_cursor is not None:
            answer = self.search(text, **rest, cursor=answer.next_cursor)
            yield answer

    def similar(self, product_id: str, *, limit: int = 10, diversity: float = 0.0) -> Answer:
        """Products that look and are like this one. Raises as `search`."""
        asked = f"limit={limit}&diversity={diversity}"
        path = f"/v1/products/{quote(product_id)}/similar?{asked}"
        return self._answer(self._read("GET", path))

    def recommend(
        self,
        products: Sequence[str],
        *,
        recency: float = 1.0,
        exclude: Sequence[str] = (),
        limit: int = 10,
        diversity: float = 0.0,
    ) -> Answer:
        """Products near to those of a basket or a session, the newest last. Raises as `search`."""
        body = {"products": list(products), "recency": recency, "exclude": list(exclude)}
        body |= {"limit": limit, "diversity": diversity}
        return self._answer(self._read("POST", "/v1/recommend", body))

    def suggest(self, text: str, limit: int = 8) -> list[str]:
        """Titles that go on from `text`. Raises as `search`."""
        found = self._read("GET", f"/v1/suggest?q={quote(text)}&limit={limit}").get("suggestions")
        if found is None:
            raise self._strange()
        return [str(title) for title in found]

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit vectors of texts. Raises as `search`."""
        found = self._read("POST", "/v1/embeddings", {"input": list(texts)})
        try:
            return [list(one["embedding"]) for one in found["data"]]
        except (KeyError, TypeError) as error:
            raise self._strange() from error

    def facets(self) -> dict[str, dict[str, int]]:
        """Attributes that `filter` takes, and how many products have each value."""
        facets: dict[str, dict[str, int]] | None = self._read("GET", "/v1/facets").get("facets")
        if facets is None:
            raise self._strange()
        return facets

    def product(self, product_id: str) -> dict[str, Any]:
        """Everything the catalogue shows of a product."""
        return self._read("GET", f"/v1/products/{quote(product_id)}")

    def upsert(self, product_id: str, *, images: Sequence[bytes | Path] = (), **fields: Any) -> str:
        """Put a product in, or in the place of the one of that id; the next search finds it.

        Args:
            images: encoded pictures, or their files; the first is shown first.
            fields: `title`, `attributes`, `description`, `price`, `url`, `lang`. What is left out
                is empty from now on.

        Returns:
            `created`, `updated` or `unchanged`, once it is on the service's disk.

        Raises:
            QueryError: the service says what is wrong with the product.
            ServiceError: nobody answers, or the service could not store it.
        """
        body = _product(product_id, {**fields, "images": images})
        return self._result(self._read("PUT", "/v1/products", body))

    def upsert_all(self, products: Iterable[Mapping[str, Any]]) -> list[str]:
        """Put in up to 1,000 products, each with `product_id` and the fields of `upsert`.

        Returns what each came to, in order; for one that was refused the service's words. Raises
        as `upsert`, where none could be taken.
        """
        lines = [json.dumps(_product(str(one["product_id"]), one)) for one in products]
        headers = {"Content-Type": "application/x-ndjson"}
        content = "\n".join(lines).encode()
        found = self._object(self._ask("PUT", "/v1/products", content=content, headers=headers))
        try:
            return [_came_to(one) for one in found["answers"]]
        except (KeyError, TypeError) as error:
            raise self._strange() from error

    def delete(self, product_id: str) -> None:
        """Take a product out. Raises as `upsert`: QueryError where it is not there."""
        self._result(self._read("DELETE", f"/v1/products/{quote(product_id)}"))

    def picture(self, product_id: str, number: int = 0) -> bytes:
        """A product's encoded picture."""
        return self._ask("GET", f"/v1/products/{quote(product_id)}/image?number={number}").content

    def release(self) -> str:
        """Id of the release that answers now."""
        release = self._read("GET", "/readyz").get("release")
        if release is None:
            raise self._strange()
        return str(release)

    def _read(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The JSON object that answers. Raises ServiceError where something else does."""
        return self._object(self._ask(method, path, json=body))

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        try:
            found = response.json()
        except ValueError as error:
            raise self._strange() from error
        if not isinstance(found, dict):
            raise self._strange()
        return found

    def _answer(self, body: dict[str, Any]) -> Answer:
        try:
            str(body["release"]["id"])
            hits = [Hit(**hit) for hit in body.pop("hits")]
            return Answer(hits=hits, **body)
        except (KeyError, TypeError) as error:
            raise self._strange() from error

    def _result(self, body: Mapping[str, Any]) -> str:
        if "result" not in body:
            raise self._strange()
        return str(body["result"])

    def _strange(self) -> ServiceError:
        return ServiceError(
            f"{self.url} answers, but not as xmodal {__version__} does: another service, or another"
            " version; say --url, or bring both to one version"
        )

    def _ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """The answer to what is `sent`, by httpx's names. Raises QueryError or ServiceError."""
        try:
            response = self._http.request(method, path, **sent)
        except httpx.InvalidURL as error:
            raise _no_url(self.url, error) from error
        except httpx.RequestError as error:
            raise ServiceError(
                f"no service answers at {self.url} ({error}); start it: make demo, or make serve"
            ) from error
        if response.is_success:
            return response
        message = _message(response)
        if response.status_code < 500 and response.status_code != 429:
            raise QueryError(message)
        raise ServiceError(message)


def _no_url(url: str, error: Exception) -> ServiceError:
    return ServiceError(f"{url!r} is no URL ({error}); it must look like {URL}")


def _message(response: httpx.Response) -> str:
    """The service's own words, else the status."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return f"{response.url}: {response.status_code} {response.reason_phrase}"
    place = f"{error['field']}: " if error.get("field") else ""
    return f"{place}{error['message']}"


def _product(product_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an upsert: pictures as base64."""
    given = [_content(one) if isinstance(one, Path) else one for one in fields.get("images", ())]
    images = [base64.b64encode(content).decode() for content in given]
    return {**fields, "product_id": product_id, "images": images}


def _came_to(item: Mapping[str, Any]) -> str:
    done, failed = item.get("answer"), item.get("error")
    return str(done["result"]) if done else str((failed or {})["message"])


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise QueryError(f"{path}: cannot be read ({error.strerror})") from error
