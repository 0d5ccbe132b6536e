"""JSON objects of foreign files: one that is none costs its row."""

import json
from collections.abc import Iterator
from typing import IO, Any

from xmodal.catalog.rows import RowFault

_MOST_BYTES = 1 << 24


def parse_object(content: bytes) -> dict[str, Any]:
    """The object that UTF-8 JSON spells.

    Raises:
        RowFault: `bad_utf8` or `bad_json`.
    """
    if len(content) > _MOST_BYTES:
        raise RowFault("bad_json", f"{len(content) >> 20} MB")
    try:
        value = json.loads(content.decode("utf-8-sig"))
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except UnicodeError as error:
        raise RowFault("bad_utf8", error.reason if hasattr(error, "reason") else "") from error
    except (ValueError, RecursionError) as error:
        raise RowFault("bad_json", f"{str(error)[:100]}: {content[:60]!r}") from error
    if not isinstance(value, dict):
        raise RowFault("bad_json", f"{type(value).__name__} is no object: {content[:60]!r}")
    return value


def lines_of(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number (from 1)."""
    for number, line in enumerate(stream, start=1):
        if line.strip():
            yield number, line
