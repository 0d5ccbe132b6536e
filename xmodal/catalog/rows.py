"""One row of a foreign file becomes one product, or a fault that says why not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal

from xmodal.catalog.schema import Split
from xmodal.errors import CatalogError
from xmodal.settings import ColumnSettings

ImageRef = bytes | str  # encoded bytes, or a path relative to the file that names it
SPLIT_NAMES: dict[str, Split] = {
    "": "train",
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "dev",
    "test": "test",
}
_ALIASES = {"product_id": ("product_id", "id")}
_IMAGES = ("images", "image")
_NO_ATTRIBUTE = ("", "__index_level_0__", "unnamed: 0")


class RowFault(ValueError):
    """A row cannot become a product: `reason` names its quarantine, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class RawRow:
    """A row as it was read; `fault` where the reader already knows that it is bad."""

    file: str
    row: int  # counted from 1, the header left out
    cells: Mapping[str, object]
    fault: RowFault | None = None


@dataclass(frozen=True)
class Columns:
    """Which of a file's columns is what; the others are attributes."""

    roles: Mapping[str, str]  # role (`title`) to the file's column
    images: Sequence[str]  # where pictures are looked for, in this order
    attributes: Sequence[str]


@dataclass
class Draft:
    """A product before its pictures are checked."""

    file: str
    row: int
    product_id: str
    title: str = ""
    images: list[ImageRef] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    description: str = ""
    price: float | None = None
    url: str = ""
    lang: str = ""
    split: Split = "train"


def match_columns(names: Sequence[str], settings: ColumnSettings, file: str) -> Columns | None:
    """Which column is what; None where the file holds no products (no id, no title, no image).

    Raises:
        CatalogError: `catalog.columns` names a column that the file lacks.
    """
    plain = {name.strip().casefold(): name for name in reversed(names)}
    aliased = [plain[alias] for alias in _IMAGES if alias in plain]
    roles: dict[str, str] = {}
    for role in ColumnSettings.model_fields:
        wanted = getattr(settings, role)
        if wanted is not None and wanted not in names:
            have = ", ".join(names)
            raise CatalogError(
                f"{file}: no column {wanted!r} for catalog.columns.{role}; it has {have}"
            )
        found = [wanted] if wanted else [plain.get(n) for n in _ALIASES.get(role, (role,))]
        column = next((name for name in found if name is not None), None)
        if column is not None:
            roles[role] = column
    roles.pop("images", None)
    images = aliased if settings.images is None else [settings.images]
    if "product_id" not in roles or not ("title" in roles or images):
        return None
    taken = {*roles.values(), *images, *aliased}
    rest = [n for n in names if n not in taken and n.strip().casefold() not in _NO_ATTRIBUTE]
    return Columns(roles, images, rest)


def to_draft(raw: RawRow, columns: Columns) -> Draft:
    """The product that a row describes.

    Raises:
        RowFault: the reason why it is none.
    """
    if raw.fault is not None:
        raise raw.fault
    cells, roles = raw.cells, columns.roles
    text = {role: _text(cells.get(name), name) for role, name in roles.items()}
    if not text["product_id"]:
        raise RowFault("no_id", f"column {roles['product_id']} is empty")
    draft = Draft(raw.file, raw.row, text["product_id"])
    for role in ("title", "description", "url", "lang"):
        setattr(draft, role, text.get(role, ""))
    draft.split = _split(text.get("split", ""))
    found = (image_refs(cells.get(name)) for name in columns.images)
    draft.images = next((refs for refs in found if refs), [])
    draft.attributes = _attributes(cells, columns.attributes)
    draft.price = _price(text.get("price", ""))
    if draft.price is None and text.get("price"):
        draft.attributes[roles["price"]] = text["price"]
    if not draft.title and not draft.images:
        raise RowFault("empty", "neither title nor image")
    return draft


def peek_id(raw: RawRow, columns: Columns) -> str:
    """The row's product id as far as it can be read, for the quarantine."""
    value = raw.cells.get(columns.roles["product_id"])
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:200]
    return "" if value is None else str(value).encode("utf-8", "replace").decode()[:200]


def image_refs(value: object) -> list[ImageRef]:
    """Bytes or paths of a cell: bytes, a path, `a|b`, `{bytes, path}`, or a list of these."""
    match value:
        case str():
            return [part.strip() for part in value.split("|") if part.strip()]
        case list():
            return [ref for part in value for ref in image_refs(part)]
        case bytes():
            return [value] if value else []
        case dict():
            content, path = value.get("bytes"), value.get("path")
            return image_refs(content or path)
        case None | float():  # pandas writes an empty cell as NaN
            return []
    raise RowFault("wrong_type", f"image: {type(value).__name__} is neither bytes nor a path")


def _text(value: object, column: str) -> str:
    """A cell as text; numbers and dates in their plain form, nothing as ''."""
    match value:
        case None:
            return ""
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case float():
            text = "" if math.isnan(value) else f"{value:.0f}" if value.is_integer() else str(value)
        case int() | Decimal():
            text = str(value)
        case datetime() | date() | time():
            text = value.isoformat()
        case bytes():
            text = _decoded(value, column)
        case _:
            raise RowFault("wrong_type", f"column {column}: {type(value).__name__} is no text")
    return text.strip()


def _decoded(content: bytes, column: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RowFault("bad_utf8", f"column {column}: {error.reason}") from error


def _attributes(cells: Mapping[str, object], names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        value = cells.get(name)
        if isinstance(value, Mapping):
            found.update({str(k): _plain(v, name) for k, v in value.items()})
        elif isinstance(value, list):
            if all(isinstance(part, str) for part in value):
                found[name] = ", ".join(value)
        else:
            found[name] = _plain(value, name)
    return {name: value for name, value in found.items() if value}


def _plain(value: object, column: str) -> str:
    """A cell as text; '' of what is none: an attribute of an odd type is not worth its row."""
    if isinstance(value, bytes):
        return ""
    try:
        return _text(value, column)
    except RowFault:
        return ""


def _price(text: str) -> float | None:
    """The amount; None where it is no plain number (`$12.99`, `12,50`, `on request`)."""
    try:
        price = float(text)
    except ValueError:
        return None
    return price if math.isfinite(price) and price >= 0 else None


def _split(text: str) -> Split:
    split = SPLIT_NAMES.get(text.casefold())
    if split is None:
        raise RowFault("split", f"split {text[:40]!r}; use train, val, dev or test")
    return split
