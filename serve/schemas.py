"""What goes over the wire: requests, answers and errors of the HTTP interface."""

import base64
import binascii
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from serve.filters import Filters

MAX_IMAGE_BYTES = 10_000_000
MAX_BODY_BYTES = 14_000_000  # the same in base64, and room for the rest
MAX_TEXT = 1000  # characters
_RED_DRESS: dict[str, Any] = {"text": "red dress", "limit": 10, "filter": {"category": "Dresses"}}

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
Limit = Annotated[int, Field(ge=1, le=100, strict=True)]
Deadline = Annotated[int, Field(ge=10, le=60_000, strict=True)]
ProductId = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class SearchRequest(BaseModel):
    """A text, a picture, or both."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [_RED_DRESS, {"text": "红色连衣裙", "rerank": False}, {"image": "<base64>"}]
        },
    )

    text: Text | None = None
    """What is looked for, in any language that the matcher learnt."""
    image: str | None = Field(default=None, max_length=MAX_BODY_BYTES)
    """A JPEG, PNG, WebP or GIF file in base64, at most 10 MB."""
    limit: Limit = 10
    """Most hits of the answer."""
    filter: Filters | None = Field(default=None, max_length=20)
    """Attribute and the value, or any of at most 100 values, that it must have; or
    `{"not": [values]}`, none of which it may have; or, of `price` and of attributes that are
    numbers, a range of `gte`, `gt`, `lte`, `lt`. All must agree, and they hold exactly: however few
    products pass, the best of them are found. A product without the attribute passes a `not` and
    nothing else."""
    rerank: bool | None = Field(default=None, strict=True)
    """Re-order the first hits by the cross-encoder; by default yes if there is a text. Ignored for
    a picture alone, which has no words to re-order by: it finds its own product first."""
    deadline_ms: Deadline | None = None
    """Time for the answer; one that would miss it degrades and says so in `degraded`."""

    @field_validator("image")
    @classmethod
    def _decodes(cls, value: str | None) -> str | None:
        if value is not None:
            decode_image(value)
        return value

    @model_validator(mode="after")
    def _has_a_question(self) -> "SearchRequest":
        if self.text is None and self.image is None:
            raise ValueError("give `text`, `image` or both")
        return self


class Hit(BaseModel):
    """One product found."""

    product_id: str
    score: float
    """The reranker's logit where the answer was reranked, else the cosine of the query and the
    product's best picture. Comparable within one answer, not between answers."""
    title: str
    attributes: dict[str, str]
    probability: float | None
    """That it is relevant, calibrated on the shop's own judged queries: comparable between
    answers. Null where a picture was asked with, or the release has no calibration."""


class ReleaseIds(BaseModel):
    """What answered: one release, from end to end."""

    id: str
    matcher: str
    index: str
    catalog: str


class SearchAnswer(BaseModel):
    """Hits, best first."""

    query_id: str
    hits: list[Hit]
    release: ReleaseIds
    degraded: list[str]
    """`rerank_fewer`: fewer candidates than usual; `rerank_skipped`: none; `rerank_unavailable`:
    asked for, and this release has no reranker."""
    took_ms: dict[str, float]
    """Milliseconds by stage, and `total`."""
    no_good_match: bool
    """Nothing in the catalogue seems to be what the text asks for; the hits are the nearest there
    are. Of queries that it can answer, at most `evaluation.false_alarm_rate` are told so. Always
    false where `probability` is null."""


class RecommendRequest(BaseModel):
    """A basket or a session, and how far to stray from it."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"products": ["p12", "p7"], "recency": 0.8}]},
    )

    products: list[ProductId] = Field(min_length=1, max_length=100)
    """Products looked at or bought, the newest last. None of them is recommended."""
    recency: float = Field(default=1.0, gt=0, le=1)
    """What a product's say is multiplied by for each newer one; 1: all have the same."""
    exclude: list[ProductId] = Field(default_factory=list, max_length=1000)
    """Products that are not to be recommended either, such as those shown before."""
    limit: Limit = 10
    """Most hits of the answer."""
    filter: Filters | None = Field(default=None, max_length=20)
    """As in a search."""
    diversity: float = Field(default=0.0, ge=0, le=1)
    """0: the nearest; towards 1: each unlike the ones before it."""
    deadline_ms: Deadline | None = None
    """Time for the answer."""


class BatchRequest(BaseModel):
    """Several searches, each as `POST /v1/search` takes it."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"queries": [_RED_DRESS, {"text": "红色连衣裙"}]}]},
    )

    queries: list[dict[str, Any]] = Field(min_length=1, max_length=64)
    """One that is malformed fails alone."""


class BatchItem(BaseModel):
    """What one of the searches came to: an answer or an error."""

    status: int
    """As the search alone would have had it: 200, 400, 429, ..."""
    answer: SearchAnswer | None = None
    error: "ErrorBody | None" = None


class BatchAnswer(BaseModel):
    """One item a query, in their order."""

    answers: list[BatchItem]


class ExplainRequest(BaseModel):
    """A text and a product that it found."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: Text
    """What was looked for."""
    product_id: ProductId
    """The product whose score is explained; it must have a picture."""


class WordWeight(BaseModel):
    """A word of the text, and what the score loses without it."""

    text: str
    start: int
    stop: int
    weight: float


class ExplainAnswer(BaseModel):
    """A score taken apart by deletion: the weights need not add up to it."""

    score: float
    """As in a search: the reranker's logit where the release has one, else the cosine."""
    words: list[WordWeight]
    regions: list[list[float]]
    """What the score loses where a cell of the picture is painted over, row by row from the top.
    The grid lies over the picture as the matcher sees it, borders included."""
    drawing: str
    """Picture, weights and words as one SVG."""
    release: ReleaseIds


class ProductAnswer(BaseModel):
    """Everything the catalogue shows of one product."""

    product_id: str
    title: str
    attributes: dict[str, str]
    description: str
    price: float | None
    url: str


class FacetsAnswer(BaseModel):
    """Attributes that `filter` takes, and how many products have each value."""

    facets: dict[str, dict[str, int]]


class SuggestAnswer(BaseModel):
    """Titles of the shop that go on from what was typed, the likeliest first."""

    suggestions: list[str]


class Health(BaseModel):
    """Alive, and with which release."""

    status: str
    release: str | None = None
    problem: str | None = None
    """Why the newest release could not be opened; the one before it still answers."""


class ErrorBody(BaseModel):
    """What went wrong, and where in the request."""

    code: str
    """For programs: `unknown_field`, `bad_image`, `overloaded`, ..."""
    message: str
    """For people: what, and how to mend it."""
    field: str | None
    type: str
    """Whose it is: `invalid_request`, `not_found`, `overloaded`, `timeout` or `internal`."""


class ErrorAnswer(BaseModel):
    """The body of every answer of 400 and above."""

    error: ErrorBody


def decode_image(encoded: str) -> bytes:
    """The bytes behind base64 (a `data:` URL too). Raises ValueError saying what is wrong."""
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    if not content:
        raise ValueError("the image is empty")
    if len(content) > MAX_IMAGE_BYTES:
        raise ValueError(f"{len(content):,} bytes; an image may have {MAX_IMAGE_BYTES:,}")
    return content
