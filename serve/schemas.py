"""What goes over the wire: requests, answers and errors of the HTTP interface."""

import base64
import binascii
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from serve.filters import Filters
from serve.wishes import BoostWish, Text, TextParts, Wishes

MAX_IMAGE_BYTES = 10_000_000
MAX_BODY_BYTES = 14_000_000  # the same in base64, and room for the rest
_RED_DRESS: dict[str, Any] = {"text": "red dress", "limit": 10, "filter": {"category": "Dresses"}}

Texts = Annotated[
    Annotated[Text, Tag("text")] | Annotated[TextParts, Tag("parts")],
    Discriminator(lambda given: "parts" if isinstance(given, list) else "text"),
]
Limit = Annotated[int, Field(ge=1, le=100, strict=True)]
Deadline = Annotated[int, Field(ge=10, le=60_000, strict=True)]
ProductId = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Question(BaseModel):
    """What is looked for, among which products, and for how long."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: Texts | None = None
    """What is looked for, in any language that the matcher learnt. Or a list of at most 16 texts
    with weights: the weighted sum of their unit vectors and the picture's (weight 1), brought to
    unit length, is looked for."""
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
    a picture alone, which has no words to re-order by: it finds its own product first. Of several
    texts it reads those of positive weight, joined; the others keep their say by the first stage's
    score, which the reranker's begins with."""
    hybrid: bool | None = Field(default=None, strict=True)
    """Let words of titles and attributes count beside the vectors, for one plain text; by default
    where it was measured to help on the shop's own `val` queries of this kind (Chinese, mixed,
    Latin), with and without the reranker apart. The reranker, where it is asked, has the last word
    on what either has found."""
    deadline_ms: Deadline | None = None
    """Time for the answer; one that would miss it degrades and says so in `degraded`."""

    @field_validator("image")
    @classmethod
    def _decodes(cls, value: str | None) -> str | None:
        if value is not None:
            decode_image(value)
        return value

    @model_validator(mode="after")
    def _has_a_question(self) -> "Question":
        if self.text is None and self.image is None:
            raise ValueError("give `text`, `image` or both")
        if isinstance(self.text, list) and not any(part.weight for part in self.text):
            raise ValueError("give `text` a part whose weight is not 0")
        return self


class SearchRequest(Wishes, Question):
    """A text, several weighed against each other, a picture, or both; and what else is wished."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                _RED_DRESS,
                {"text": "红色连衣裙", "rerank": False},
                {"image": "<base64>", "text": "but in red, with long sleeves"},
                {
                    "text": [{"text": "boots"}, {"text": "leather", "weight": -0.5}],
                    "filter": {"price": {"gte": 10, "lt": 50}, "colour": {"not": ["red"]}},
                },
                {
                    "text": "running shoes",
                    "user_history": ["p7", "p12"],
                    "boost": [{"field": "brand", "value": "Nike", "weight": 0.1}],
                    "facets": ["brand", "colour"],
                },
                {
                    "text": "red dress",
                    "sort": {"field": "price", "order": "asc"},
                    "candidates": 100,
                },
            ]
        },
    )


class WordWeight(BaseModel):
    """A word of the text, and what the score loses without it."""

    text: str
    start: int
    stop: int
    weight: float


class HitReasons(BaseModel):
    """How a hit came to its score: the first stage's or the reranker's, boosts, decay."""

    first_stage: float
    """Cosine of the query and the product's best picture."""
    rerank: float | None
    """The reranker's logit; null where it was not asked."""
    boosts: list[BoostWish]
    """Those that were added."""
    decay: float
    """What age took off: 0 or less."""
    words: list[WordWeight] | None
    """Of the first three hits of an answer to a text (of several, those of positive weight,
    joined): what the score of text and picture loses without each word, boosts aside. Null for
    other hits, without a picture, or where time did not allow (`words_skipped`)."""


class Hit(BaseModel):
    """One product found."""

    product_id: str
    score: float
    """The reranker's logit where it was reranked, else the cosine of the query and the product's
    best picture, or the fused score where words counted; with boosts and decay. Rules change the
    order alone. Comparable within the `candidates` of one answer, not
    between answers."""
    title: str
    attributes: dict[str, str]
    probability: float | None
    """That it is relevant, calibrated on the shop's own judged queries: comparable between
    answers. Null where the release has no calibration, or more than one plain text was asked with:
    a picture, several texts, a history. Boosts and decay do not change it."""
    collapsed: int | None = None
    """Other products of its group among the 1,000 nearest; null where `collapse` was not asked."""
    explanation: HitReasons | None = None
    """Where `explain` was asked."""


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
    asked for, and this release has no reranker; `words_skipped`: no time to weigh words;
    `cached_answer`: no time at all, so this is what the same search found before;
    `hybrid_unavailable`: asked for, and this index has no words, or the query is no plain text."""
    took_ms: dict[str, float]
    """Milliseconds by stage, and `total`."""
    no_good_match: bool
    """Nothing in the catalogue seems to be what the text asks for; the hits are the nearest there
    are. Of queries that it can answer, at most `evaluation.false_alarm_rate` are told so. Always
    false where `probability` is null."""
    next_cursor: str | None = None
    """Hand it back as `cursor` for the next page; null on the last one."""
    rules: list[str] = Field(default_factory=list)
    """Ids of the rules (`rules.json`) that were applied."""
    facets: dict[str, dict[str, int]] | None = None
    """Of each attribute asked for, how many products have each value, the most frequent first. All
    products of the catalogue that pass the whole `filter` are counted, whatever the text or the
    picture: not the hits alone. Values that none has are left out; null where none was asked."""


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
    """Why the newest release could not be opened (the one before it still answers), or which
    changes of products could not be read."""


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
