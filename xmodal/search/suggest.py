"""Type-ahead: titles of the shop that go on from what was typed, mistyped words included.

    "red sne" -> words -> words of the shop that begin so, or nearly -> titles that have all of them

In memory, of the shop's most frequent titles: no model runs.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from xmodal.matcher.words import words

TITLES = 50_000
_NEAR = 12  # words of the shop that a mistyped one may stand for


class Suggester:
    """Answers from the titles that it was given; safe to ask from several threads."""

    def __init__(self, titles: Iterable[str]) -> None:
        """Of more than TITLES different ones the most frequent count, of equal ones the first."""
        counts = Counter(title for title in titles if title)
        self._titles = [title for title, _ in counts.most_common(TITLES)]
        rows: dict[str, set[int]] = defaultdict(set)
        for row, title in enumerate(self._titles):
            for word in words(title):
                rows[word].add(row)
        self._rows, self._words = dict(rows), sorted(rows)

    def suggest(self, text: str, limit: int) -> list[str]:
        """At most `limit` titles, those with all words as typed first, then the frequent ones.

        A word that no title has may be up to two letters off (one, of less than eight letters;
        none, of less than four).
        """
        typed = words(text)
        if not typed:
            return []
        exact = self._having([self._beginning(word) for word in typed])
        found = sorted(exact, key=lambda row: (not self._holds(row, text), row))
        if len(found) < limit:
            near = self._having([self._beginning(word) or self._near(word) for word in typed])
            found += sorted(near - exact)
        return [self._titles[row] for row in found[:limit]]

    def _holds(self, row: int, text: str) -> bool:
        return text.strip().casefold() in self._titles[row].casefold()

    def _having(self, each: list[list[str]]) -> set[int]:
        """Titles with one word of each list."""
        rows = [set().union(*(self._rows[word] for word in some)) for some in each]
        return set.intersection(*rows)

    def _beginning(self, start: str) -> list[str]:
        """The shop's words that begin so."""
        low = bisect_left(self._words, start)
        high = bisect_left(self._words, start + "\U0010ffff")
        return self._words[low:high]

    def _near(self, word: str) -> list[str]:
        """The shop's words whose beginnings are nearest."""
        most = 0 if len(word) < 4 else 1 if len(word) < 8 else 2
        if not most:
            return []
        places: dict[int, None] = {}
        for longer in (0, 1):  # a letter may have been left out
            starts = [one[: len(word) + longer] for one in self._words]
            found = extract(word, starts, scorer=OSA.distance, score_cutoff=most, limit=_NEAR)
            places |= dict.fromkeys(place for _, _, place in found)
        return [self._words[place] for place in places]
