"""The home's `rules.json`: read again as soon as it changes, the old rules kept if it is bad.

Looked at with each request, so a change holds for the next one, in every process and replica.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from xmodal.errors import RulesError
from xmodal.index.products import Product
from xmodal.search.query import Query, Related
from xmodal.search.rules import Rules, Shown, read_rules

log = logging.getLogger(__name__)

FILE = "rules.json"
Mark = tuple[int, int, int]  # what tells one content of the file from another


class RulesFile:
    """The rules in force. A shop without a file has none."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE
        self._rules = Rules()
        self._mark: Mark | None = None
        self.problem: str | None = None
        """Why the newest file does not count; the rules before it still hold."""

    async def ruled(self, query: Query) -> Query:
        """The query with the rules that hold for it now."""
        await self.follow()
        return replace(query, rules=self._rules.at(datetime.now(UTC), query.text or ""))

    async def hiding(self, wish: Related) -> Related:
        """The wish with the rules that hold for it now: those for a certain text do not."""
        await self.follow()
        return replace(wish, rules=self._rules.at(datetime.now(UTC), ""))

    def shows(self, product: Product, query: Query) -> bool:
        """Whether no rule that was read last hides the product from the query."""
        ruling = self._rules.at(datetime.now(UTC), query.text or "")
        return not ruling.hidden(Shown(product.product_id, product.attributes, product.price))

    async def follow(self) -> None:
        """Read the file if it is another than before: a look at its facts if it is not."""
        if self._seen() != self._mark:
            await asyncio.to_thread(self._read)

    def _seen(self) -> Mark | None:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:  # what is wrong with it is said when it is read
            return -1, -1, -1
        return facts.st_mtime_ns, facts.st_size, facts.st_ino

    def _read(self) -> None:
        mark = self._seen()  # before the content: a write in between is seen the next time
        try:
            rules = Rules() if mark is None else read_rules(self._path.read_text("utf-8"))
        except (RulesError, OSError, UnicodeDecodeError) as error:
            self.problem, self._mark = f"the rules before it still hold: {error}", mark
            log.error("event=rules_refused message=%s", error)
            return
        self._rules, self._mark, self.problem = rules, mark, None
        log.warning("event=rules_read rules=%d", len(rules.rules))
