"""Parts of a search request beyond text, picture and filter, as they go over the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from serve.filters import Name, Number, Value

MAX_TEXT = 1000  # characters
MOST_PARTS = 16

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
Weight = Annotated[Number, Field(ge=-100, le=100)]
_FORM = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class TextPart(BaseModel):
    """One text of a composed query."""

    model_config = _FORM | {"json_schema_extra": {"examples": [{"text": "leather", "weight": -1}]}}

    text: Text
    """What is looked for, or looked away from."""
    weight: Weight = 1.0
    """Its say against the other parts; a negative one leads away from it. The picture has 1."""


TextParts = Annotated[list[TextPart], Field(min_length=1, max_length=MOST_PARTS)]


class BoostWish(BaseModel):
    """What a product's score gains for a value of an attribute."""

    model_config = _FORM | {
        "json_schema_extra": {"examples": [{"field": "brand", "value": "Nike", "weight": 0.1}]}
    }

    field: Name
    """An attribute of the catalogue."""
    value: Value
    """The value that it must have, exactly."""
    weight: Weight
    """Added to the score, in whose units it is (see `score` of a hit); negative: taken off."""


class SortWish(BaseModel):
    """The order of the candidates by a field."""

    model_config = _FORM | {"json_schema_extra": {"examples": [{"field": "price"}]}}

    field: Name
    """`price`, or an attribute whose values are plain numbers or ISO dates. Candidates without one
    come last, in either order; equal ones stand by their score."""
    order: Literal["asc", "desc"] = "asc"
    """Smallest or oldest first, or the other way round."""


class DecayWish(BaseModel):
    """Recency: how fast a product's lead melts with its age."""

    model_config = _FORM | {
        "json_schema_extra": {"examples": [{"field": "released", "half_life_days": 180}]}
    }

    field: Name
    """An attribute whose values are ISO dates."""
    half_life_days: Annotated[Number, Field(gt=0, le=100_000)]
    """A product's lead over the weakest candidate halves with each so many days of its age. One
    without a date, or with one to come, keeps it."""


class Wishes(BaseModel):
    """What `SearchRequest` takes beside the question; each may be left out."""

    model_config = _FORM

    user_history: list[Name] = Field(default_factory=list, max_length=100)
    """Products that the shopper looked at lately, the newest last. The query is bent toward the
    mean of their stored vectors; nothing is encoded for it. An id that the catalogue lacks is 400.
    They may themselves be found."""
    history_weight: Annotated[Number, Field(ge=0, le=1)] = 0.3
    """0: `user_history` has no say; 1: it alone has one."""
    facets: list[Name] = Field(default_factory=list, max_length=20)
    """Attributes whose values are counted in the answer's `facets`."""
    cursor: str | None = Field(default=None, min_length=1, max_length=100_000)
    """`next_cursor` of the page before, with a request that is otherwise the same (`limit`,
    `deadline_ms`, `facets` and `explain` may change). No page repeats a product or leaves one out,
    reranked or not, through the 1,000 products nearest to the query. A cursor of another request is
    400; one of a release that is no longer open is 410: ask again without it."""
    candidates: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    """How many of the nearest products are reranked, boosted, sorted and aged, at least `limit`; by
    default `serve.rerank_depth`, or `limit` if that is more. Those behind follow in the order of
    the first stage."""
    sort: SortWish | None = None
    """Sort the candidates by a field. The answer then holds no products but `candidates`: what is
    cheap but not asked for stays away."""
    boost: list[BoostWish] = Field(default_factory=list, max_length=16)
    """What candidates gain or lose in score by their attributes; all that apply add up."""
    decay: DecayWish | None = None
    """Newer candidates first, as far as their scores agree."""
    collapse: Annotated[bool, Field(strict=True)] = False
    """Show the best product alone of those with the same value of `serve.collapse_attribute` (a
    style of many colours). 400 where the service names no such attribute. Looks at the 1,000
    products nearest to the query."""
    min_score: Annotated[Number, Field(ge=0, le=1)] | None = None
    """Leave out hits whose `probability` is below it. For one plain text, with a release that has a
    calibration; else 400. Looks at the 1,000 products nearest to the query."""
    explain: Annotated[bool, Field(strict=True)] = False
    """Say of each hit how it came to its score, and of the first three what each word weighs."""

    @field_validator("facets")
    @classmethod
    def _named_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("names an attribute twice")
        return value
