"""Words of a query: the trained vocabulary of the text tower, for Latin script and Chinese alike.

A sentence model's own tokenizer may know no Chinese at all (MiniLM maps it to `[UNK]`). This one
knows what the shop's own captions hold, and gives every word that it has never seen a bucket.
Id 0 is padding; then come the buckets; then the known words and n-grams.
"""

import json
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from xmodal.errors import MatcherError

BUCKETS = 512
MIN_COUNT = 2

# Scripts written without spaces: Han, kana, Hangul. Their runs are read as character n-grams.
_UNSPACED = (
    "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# Combining marks (Latin, Indic, Thai) stay with their letter, though `\w` does not hold them.
_MARKS = "\u0300-\u036f\u0900-\u0eff"
_GAP = re.compile(rf"(?<=[{_UNSPACED}])\s+(?=[{_UNSPACED}])")
_RUN = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<word>(?:(?![{_UNSPACED}_])[\w{_MARKS}])+)")


def words(text: str) -> list[str]:
    """Single words in order: Latin words in lower case, unspaced scripts character by character.

    >>> words("Red Shoes，红 色")
    ['red', 'shoes', '红', '色']
    """
    return [word for _, run in _runs(text) for word in run]


def ngrams(text: str) -> list[str]:
    """Single words first, then bigrams of words and bi- and trigrams of characters.

    Spaces between unspaced characters do not count, so both spellings of a query are one.

    >>> ngrams("red shoes 红色")
    ['red', 'shoes', '红', '色', 'red shoes', '红色']
    """
    singles: list[str] = []
    longer: list[str] = []
    for glue, run in _runs(text):
        singles += run
        for size in (2,) if glue else (2, 3):
            longer += [glue.join(run[i : i + size]) for i in range(len(run) - size + 1)]
    return singles + longer


def units(text: str, known: Container[str]) -> list[tuple[int, int]]:
    """Where each word stands in the text, as a reader would part it.

    Unspaced runs are cut into the longest terms of at most three characters that are `known`,
    from the left; a character that begins none stands alone.

    >>> [text[a:b] for text in ["Red 红色运动鞋"] for a, b in units(text, {"红色", "运动鞋"})]
    ['Red', '红色', '运动鞋']
    """
    found = []
    for match in _RUN.finditer(text):
        start, stop = match.span()
        while match["unspaced"] and start < stop:
            sizes = (size for size in (3, 2) if text[start : start + size] in known)
            end = min(stop, start + next(sizes, 1))
            found.append((start, end))
            start = end
        if not match["unspaced"]:
            found.append((start, stop))
    return found


@dataclass(frozen=True)
class Vocabulary:
    """Known words and n-grams, the most frequent first. Hashable buckets stand for the rest."""

    terms: tuple[str, ...]
    buckets: int = BUCKETS

    def __post_init__(self) -> None:
        first = 1 + self.buckets
        object.__setattr__(self, "_ids", {term: first + i for i, term in enumerate(self.terms)})

    @classmethod
    def build(cls, texts: Iterable[str], limit: int, min_count: int = MIN_COUNT) -> "Vocabulary":
        """Keep the `limit` most frequent terms that occur at least `min_count` times.

        Ties go to the alphabet, so the same texts give the same ids in any order.
        """
        counts = Counter(term for text in texts for term in set(ngrams(text)))
        ranked = sorted((-n, term) for term, n in counts.items() if n >= min_count)
        return cls(tuple(term for _, term in ranked[:limit]))

    def __len__(self) -> int:
        """Number of ids: padding, buckets and terms."""
        return 1 + self.buckets + len(self.terms)

    def encode(self, text: str) -> list[int]:
        """Ids of the text's terms, single words first; never empty unless the text is blank.

        A single word that is not known goes to its bucket; a longer n-gram that is not known says
        nothing beyond its words and is left out.
        """
        ids: dict[str, int] = self._ids  # type: ignore[attr-defined]  # set in __post_init__
        singles = words(text)
        known = [ids.get(word) or self._bucket(word) for word in singles]
        known += [ids[term] for term in ngrams(text)[len(singles) :] if term in ids]
        if not known and text.strip():
            return [self._bucket(text.strip())]  # emoji or punctuation alone
        return known

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON."""
        document = {"buckets": self.buckets, "terms": self.terms}
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what `save` wrote. Raises MatcherError where the file is missing or damaged."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return cls(tuple(document["terms"]), int(document["buckets"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MatcherError(
                f"{path}: cannot read the vocabulary ({error}); copy the matcher folder again"
            ) from error

    def _bucket(self, word: str) -> int:
        return 1 + zlib.crc32(word.encode("utf-8", "surrogatepass")) % self.buckets


def _runs(text: str) -> list[tuple[str, list[str]]]:
    """Runs of words with the glue of their n-grams: a space, or nothing for unspaced scripts."""
    plain = _GAP.sub("", unicodedata.normalize("NFKC", text).lower())
    runs: list[tuple[str, list[str]]] = []
    for match in _RUN.finditer(plain):
        if match["unspaced"]:
            runs.append(("", list(match["unspaced"])))
        elif runs and runs[-1][0]:
            runs[-1][1].append(match["word"])
        else:
            runs.append((" ", [match["word"]]))
    return runs
