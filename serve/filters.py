"""`filter` as it goes over the wire: values, ranges and exclusions by attribute."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from xmodal.index.facets import Filter, as_filter
from xmodal.index.filters import NoneOf, Range

MOST_VALUES = 100

Value = Annotated[str, StringConstraints(max_length=1000)]
Values = Annotated[list[Value], Field(max_length=MOST_VALUES)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Within(BaseModel):
    """A range of numbers: of `price`, or of an attribute whose values are plain numbers."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"gte": 10, "lt": 50}]},
    )

    gte: Number | None = None
    """At least."""
    gt: Number | None = None
    """Above."""
    lte: Number | None = None
    """At most."""
    lt: Number | None = None
    """Below."""

    @model_validator(mode="after")
    def _is_a_range(self) -> "Within":
        lower = [bound for bound in (self.gte, self.gt) if bound is not None]
        upper = [bound for bound in (self.lte, self.lt) if bound is not None]
        if not lower and not upper:
            raise ValueError("give `gte` or `gt`, `lte` or `lt`, or one of each")
        if len(lower) > 1 or len(upper) > 1:
            raise ValueError("give one lower and one upper bound at most")
        if lower and upper and lower[0] > upper[0]:
            raise ValueError("the lower bound is above the upper one: no number lies within")
        return self


class Without(BaseModel):
    """Values that a product must not have; one without the attribute passes."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"not": ["red", "pink"]}]}
    )

    none_of: Values = Field(alias="not", min_length=1, description="None of these values.")


def _kind(given: Any) -> str | None:
    if isinstance(given, str):
        return "value"
    if isinstance(given, list):
        return "any_of"
    if isinstance(given, Without) or (isinstance(given, Mapping) and "not" in given):
        return "not"
    return "range" if isinstance(given, Within | Mapping) else None


Condition = Annotated[
    Annotated[Value, Tag("value")]
    | Annotated[Values, Tag("any_of")]
    | Annotated[Within, Tag("range")]
    | Annotated[Without, Tag("not")],
    Discriminator(
        _kind,
        custom_error_type="filter",
        custom_error_message='give a value, a list of values, {"gte": ...} or {"not": [...]}',
    ),
]
Filters = dict[Name, Condition]


def filter_of(filters: Mapping[str, str | list[str] | Within | Without] | None) -> Filter:
    """What the index is asked."""
    found: dict[str, str | list[str] | NoneOf | Range] = {}
    for name, given in (filters or {}).items():
        if isinstance(given, Within):
            found[name] = Range(given.gte, given.gt, given.lte, given.lt)
        else:
            found[name] = NoneOf(tuple(given.none_of)) if isinstance(given, Without) else given
    return as_filter(found)
