"""Words of titles and attributes: BM25 over an index version's products, memory-mapped.

    title + attribute values -> terms -> bm25s -> words.*.npy -> scores of a text -> filter, top k

An optional part of a version: a shop without a single word has none, nor has a version of old.
Shapes: P products, K hits.
"""

from array import array
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.language import is_chinese
from xmodal.catalog.lexicon import Lexicon, lexicon
from xmodal.errors import IndexDamaged
from xmodal.index.products import Products
from xmodal.matcher.words import ngrams, words

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
NAMES = {
    "data_name": "words.scores.npy",
    "indices_name": "words.rows.npy",
    "indptr_name": "words.starts.npy",
    "vocab_name": "words.json",
    "params_name": "words.params.json",
}
LEXICAL_FILES = tuple(NAMES.values())
SAMPLE, PAGE = 32, 10


class Lexical:
    """BM25 over the products of a version; safe to search from several threads.

    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009; as Lucene computes
    it (k1 1.5, b 0.75), scores worked out beforehand: Lù, BM25S, arXiv 2407.03618.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.count = int(model.scores["num_docs"])

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> "Lexical | None":
        """In memory, of one text a product; None where there is not a single word."""
        import bm25s  # drags scipy in: only where words are indexed or searched

        ids: dict[str, int] = {}
        # 4 bytes a term; numbered by first sight, so the same texts give the same files.
        rows = [array("i", [ids.setdefault(t, len(ids)) for t in terms(text)]) for text in texts]
        if not ids:
            return None
        model = bm25s.BM25()
        model.index((rows, ids), create_empty_token=False, show_progress=False)
        return cls(model)

    @classmethod
    def open(cls, folder: Path) -> "Lexical | None":
        """Map what `save` left; None where the version has no words."""
        if not (folder / LEXICAL_FILES[0]).is_file():
            return None
        import bm25s

        try:
            return cls(bm25s.BM25.load(folder, mmap=True, show_progress=False, **NAMES))
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"the words cannot be read ({error}); build the index anew"
            raise IndexDamaged(f"{folder}: {why}") from error

    def save(self, folder: Path) -> None:
        """Write LEXICAL_FILES."""
        self._model.save(folder, show_progress=False, **NAMES)

    def scores(self, text: str) -> Floats:
        """BM25 of every product, (P,), 0 where no word is shared."""
        known = self._model.vocab_dict
        asked = [known[term] for term in asked_terms(text) if term in known]
        if not asked:
            return np.zeros(self.count, np.float32)
        found: Floats = self._model.get_scores_from_ids(asked)
        return found


def terms(text: str) -> list[str]:
    """What a text is indexed by: words without their plural, characters and their bi- and trigrams.

    >>> terms("Running Shoes 红色")
    ['running', 'shoe', '红', '色', '红色']
    """
    singles = words(text)
    longer = [term for term in ngrams(text)[len(singles) :] if " " not in term]
    return [_singular(word) for word in singles] + longer


def asked_terms(text: str) -> list[str]:
    """The terms of a query, and what its known words are called in the other language.

    The general words alone (lexicon.py): of a shop's glossary the indexed text knows nothing.

    >>> asked_terms("红色")
    ['红', '色', '红色', 'red']
    """
    found = terms(text)
    for mention in _general().find(text):
        word, said = mention.concept.word, text[mention.start : mention.end]
        found += terms((word.en if any(map(is_chinese, said)) else word.zh)[0])
    return list(dict.fromkeys(found))


def text_of(title: str, attributes: Mapping[str, str]) -> str:
    """What is indexed of a product: its title, then the values of its attributes."""
    return "\n".join([title, *attributes.values()])


def write_words(
    folder: Path, titles: Iterable[str | None], attributes: Iterable[Mapping[str, str]]
) -> tuple[str, ...]:
    """Index all products, given in row order; returns the names of the files that were written."""
    pairs = zip(titles, attributes, strict=True)
    words = Lexical.of_texts(text_of(title or "", values) for title, values in pairs)
    if words is None:
        return ()
    words.save(folder)
    return LEXICAL_FILES


def best(score_P: Floats, k: int, passing_P: NDArray[np.bool_] | None = None) -> Rows:
    """The k best products with any score that pass, best first; ties in catalogue order."""
    found = score_P > 0 if passing_P is None else (score_P > 0) & passing_P
    rows = np.flatnonzero(found)
    if len(rows) > k:
        least = np.partition(score_P[rows], -k)[-k]
        rows = rows[score_P[rows] >= least]
    return rows[np.argsort(-score_P[rows], kind="stable")][:k]


def own_found(lexical: Lexical, products: Products) -> float:
    """Share of an even sample of titles whose product is on the first page of its own words."""
    sample = np.unique(np.linspace(0, max(products.count - 1, 0), SAMPLE).astype(np.int64))
    titles = products.column("title", sample)
    spoken = [(row, title) for row, title in zip(sample, titles, strict=True) if terms(title)]
    found = 0
    for row, title in spoken:
        score_P = lexical.scores(title)
        # Ties count as found: a shop may have a hundred products of one title.
        found += int((score_P > score_P[row]).sum()) < PAGE
    return found / len(spoken) if spoken else 1.0


@lru_cache(maxsize=1)
def _general() -> Lexicon:
    return lexicon()


def _singular(word: str) -> str:
    """The word without a plural's ending.

    Source: the S-stemmer, Harman, How Effective is Suffixing?, JASIS 1991, table 1; `dresses` and
    `watches`, which it leaves an e, end as `dress` and `watch` do.
    """
    if len(word) < 4 or not word.endswith("s") or word.endswith(("us", "ss")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "ches", "shes", "xes")) else word[:-1]
