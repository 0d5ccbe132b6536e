"""Puts products in and takes them out, for good: embedded first, then durable, then seen.

product -> [VectorLog] -> [journal, fsync] -> refresh -> searchable here; others read along
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xmodal.catalog.changes import ProductFacts, delete_record, upsert_record
from xmodal.index.live import LiveProducts
from xmodal.index.vectors import VectorLog

Result = Literal["created", "updated", "unchanged", "deleted", "not_found"]


@dataclass(frozen=True)
class Put:
    """A product to be put in."""

    facts: ProductFacts
    images: Sequence[bytes]

    @property
    def product_id(self) -> str:
        """Its id."""
        return self.facts.product_id

    def read(self) -> Sequence[bytes]:
        """Its encoded pictures."""
        return self.images


@dataclass(frozen=True)
class TakeOut:
    """A product to be taken out."""

    product_id: str


class Keeper:
    """Writes for one release's encoder; blocking, so it belongs in a thread."""

    def __init__(self, live: LiveProducts, vectors: VectorLog) -> None:
        self._live, self._vectors = live, vectors

    def keep(self, words: Sequence[Put | TakeOut]) -> list[Result]:
        """What each came to, in order, once all are on the disk and in this process's search.

        What is so already is not written again.

        Raises:
            QueryError: a picture that the encoder cannot read; nothing is kept.
            StorageError: the disk is full; nothing is kept.
        """
        self._live.refresh()
        results: list[Result] = []
        new: list[Put | TakeOut] = []
        now: dict[str, Put | TakeOut] = {}
        for word in words:
            result = self._result(word, now.get(word.product_id))
            results.append(result)
            if result not in ("unchanged", "not_found"):
                new.append(word)
                now[word.product_id] = word
        puts = [word for word in new if isinstance(word, Put)]
        self._vectors.ensure([(put.facts, put.read) for put in puts])
        if new:
            self._live.changes.journal.append([_record(word) for word in new])
            self._live.refresh()
        return results

    def _result(self, word: Put | TakeOut, before: Put | TakeOut | None) -> Result:
        """What a word comes to; `before` is the one on the same product in the same call."""
        if before is None:
            is_there = word.product_id in self._live
            change = self._live.changes.newest.get(word.product_id)
            facts = change.facts if change else None
        else:
            facts = before.facts if isinstance(before, Put) else None
            is_there = facts is not None
        if isinstance(word, TakeOut):
            return "deleted" if is_there else "not_found"
        if facts == word.facts:
            return "unchanged"
        return "updated" if is_there else "created"


def _record(word: Put | TakeOut) -> bytes:
    if isinstance(word, Put):
        return upsert_record(word.facts, word.images)
    return delete_record(word.product_id)
