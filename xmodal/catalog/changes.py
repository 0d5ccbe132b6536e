"""A shop's changes since its catalogue was taken in: products put in and taken out, in a journal.

    PUT, DELETE -> record -> <home>/journal/products -> every process that serves or builds

The newest word on a product counts. A record is the length of a JSON header, the header, and the
encoded pictures behind it.
"""

import json
import logging
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xmodal.errors import JournalDamaged
from xmodal.fingerprint import of_bytes
from xmodal.journal import Journal

log = logging.getLogger(__name__)

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class ProductFacts:
    """A product that was put in, without its pictures' bytes."""

    product_id: str
    title: str
    attributes: Mapping[str, str]
    description: str = ""
    price: float | None = None
    url: str = ""
    lang: str = ""
    pictures: tuple[str, ...] = ()
    """Fingerprints of the encoded pictures, in their order."""


@dataclass(frozen=True)
class Change:
    """A word on one product: what it is now, or None where it was taken out."""

    offset: int
    product_id: str
    facts: ProductFacts | None


def products_folder(home: Path) -> Path:
    """Where a home keeps the changes of its products."""
    return home / "journal" / "products"


def vectors_folder(home: Path, encoder: str) -> Path:
    """Where a home keeps what an encoder gave for changed products."""
    return home / "journal" / f"vectors-{encoder}"


def fingerprints(images: Sequence[bytes]) -> tuple[str, ...]:
    """What `ProductFacts.pictures` holds of encoded pictures."""
    return tuple(of_bytes(image) for image in images)


def upsert_record(facts: ProductFacts, images: Sequence[bytes]) -> bytes:
    """The record that puts a product in, whatever was there before."""
    sizes = [len(image) for image in images]
    return _record({"kind": "upsert", **asdict(facts), "sizes": sizes}, images)


def delete_record(product_id: str) -> bytes:
    """The record that takes a product out."""
    return _record({"kind": "delete", "product_id": product_id})


def read_change(offset: int, record: bytes) -> Change:
    """What a record says. Raises JournalDamaged where this code cannot read it."""
    try:
        header, _ = _header(record)
        if header["kind"] == "delete":
            return Change(offset, header["product_id"], None)
        names = ProductFacts.__dataclass_fields__
        facts = {name: header[name] for name in names} | {"pictures": tuple(header["pictures"])}
        return Change(offset, facts["product_id"], ProductFacts(**facts))
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise JournalDamaged(
            f"the change at offset {offset} is none that this code reads ({error!r});"
            " bring all processes to one version"
        ) from error


def read_pictures(record: bytes) -> list[bytes]:
    """The encoded pictures of a record that `read_change` can read."""
    header, place = _header(record)
    found = []
    for size in header.get("sizes", ()):
        found.append(record[place : place + size])
        place += size
    return found


class Changes:
    """The newest word on each product that changed behind `since`, an offset of the journal."""

    def __init__(self, journal: Journal, since: int = 0) -> None:
        self.journal = journal
        self.newest: dict[str, Change] = {}
        self.end = since
        """The offset behind the last change that is known here."""
        self._stamp: object = None
        self._lock = threading.Lock()

    def is_fresh(self) -> bool:
        """Whether nothing was written since the last `follow`: a look at one file."""
        return self._stamp == self.journal.stamp()

    def follow(self) -> list[Change]:
        """Take in what is new; returns it, oldest first. What cannot be read is logged."""
        with self._lock:
            stamp = self.journal.stamp()
            found = []
            for entry in self.journal.read(self.end):
                self.end = entry.end
                try:
                    change = read_change(entry.offset, entry.content)
                except JournalDamaged as error:
                    log.error("event=change_unreadable message=%s", error)
                    continue
                self.newest[change.product_id] = change
                found.append(change)
            self._stamp = stamp
            return found

    def pictures(self, change: Change) -> list[bytes]:
        """The encoded pictures of a product that was put in."""
        return read_pictures(self.journal.at(change.offset))


def _record(header: Mapping[str, Any], images: Sequence[bytes] = ()) -> bytes:
    text = json.dumps(header, ensure_ascii=False).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *images])


def _header(record: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where the pictures begin."""
    (length,) = _LENGTH.unpack_from(record)
    stop = _LENGTH.size + length
    header: dict[str, Any] = json.loads(record[_LENGTH.size : stop])
    return header, stop
