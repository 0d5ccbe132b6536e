"""A place as an opaque text that a client hands back: release, query, and all of the place.

    version, checksum (8 bytes), length of the header (4), header (JSON), arrays -> base64url

Nothing is kept here between two pages, so any replica reads any page. The checksum tells a damaged
cursor; whoever forges one gets another order of products that he may see anyway.

Shapes: D embedding size, R candidates of the head still to be shown, S shown, X dropped.
"""

import base64
import hashlib
import json
from dataclasses import dataclass

import numpy as np

from xmodal.errors import RequestError
from xmodal.fingerprint import of_bytes
from xmodal.search.query import Query
from xmodal.search.wishes import Head, Place

LONGEST = 100_000  # characters; 1,000 candidates and 4,096 dimensions take 60,000
_VERSION = b"\x01"
_SUM_BYTES = 8


@dataclass(frozen=True)
class Cursor:
    """A place, and the answer that it belongs to."""

    release: str
    query: str
    """`fingerprint` of the query."""
    place: Place


def fingerprint(query: Query) -> str:
    """What two pages of one answer have in common: all but limit, explanation and place."""
    image = of_bytes(query.image) if query.image is not None else None
    parts = (query.text, image, query.parts, query.wanted, query.rerank, query.candidates)
    wishes = (query.history, query.history_weight, query.order, query.hybrid)
    return of_bytes(repr(parts + wishes).encode())


def write_cursor(cursor: Cursor) -> str:
    """The text that `read_cursor` reads."""
    place, head = cursor.place, cursor.place.head
    header = {
        "release": cursor.release,
        "query": cursor.query,
        "sizes": [len(place.vector_D), len(head), len(place.shown_S), len(place.dropped_X)],
        "after": place.after,
        "seen": place.seen,
        "is_reranked": place.is_reranked,
        "no_good_match": place.no_good_match,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    names = np.concatenate([head.name_R, place.shown_S, place.dropped_X]).astype("<u8")
    floats = np.concatenate([place.vector_D, head.raw_R, head.score_R, head.probability_R])
    content = len(text).to_bytes(4, "little") + text
    content += names.tobytes() + floats.astype("<f4").tobytes()
    return base64.urlsafe_b64encode(_VERSION + _checksum(content) + content).decode()


def read_cursor(text: str) -> Cursor:
    """The cursor that `write_cursor` wrote. Raises RequestError for anything else."""
    try:
        whole = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        checksum, content = whole[1 : 1 + _SUM_BYTES], whole[1 + _SUM_BYTES :]
        if whole[:1] != _VERSION or checksum != _checksum(content):
            raise ValueError("damaged")
        return _parsed(content)
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        message = "the cursor is no answer's, or it was cut; hand back `next_cursor` as it was"
        raise RequestError(message, "cursor", "bad_cursor") from error


def _parsed(content: bytes) -> Cursor:
    """The fields; ValueError, LookupError or TypeError where they do not fit together."""
    stop = 4 + int.from_bytes(content[:4], "little")
    header = json.loads(content[4:stop])
    dim, rest, shown, dropped = map(int, header["sizes"])
    n_names = rest + shown + dropped
    names = np.frombuffer(content, "<u8", n_names, stop)
    floats = np.frombuffer(content, "<f4", dim + 3 * rest, stop + names.nbytes).astype(np.float32)
    if min(dim, rest, shown, dropped) < 0 or not np.isfinite(floats[: dim + 2 * rest]).all():
        raise ValueError("no place")
    columns = floats[dim:].reshape(3, rest)
    after = header["after"]
    return Cursor(
        str(header["release"]),
        str(header["query"]),
        Place(
            vector_D=floats[:dim],
            head=Head(names[:rest].astype(np.uint64), *columns),
            shown_S=names[rest : rest + shown].astype(np.uint64),
            dropped_X=names[rest + shown :].astype(np.uint64),
            after=None if after is None else (float(after[0]), str(after[1])),
            seen=max(0, int(header["seen"])),
            is_reranked=bool(header["is_reranked"]),
            no_good_match=bool(header["no_good_match"]),
        ),
    )


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SUM_BYTES, person=b"xmodal cursor").digest()
