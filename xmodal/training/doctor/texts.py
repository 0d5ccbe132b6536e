"""Texts: all alike, missing, longer than the base reads, or asked in words never trained."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import sqrt

import torch

from xmodal.findings import Finding
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.words import words
from xmodal.training.doctor.evidence import Evidence

# Captions that count as so many different, equally common ones (inverse Simpson index). With
# one, text says nothing; with less than four, the loss can tell pictures into four heaps at most.
ONE, FEW = 1.5, 4.0
MOST_CUT = 0.1  # beyond, the ends of texts are missing in more than every tenth pair
MOST_MISSING = 0.5
SAMPLE = 1_000
_LONG = "long " * 3_000  # longer than any window
# Words of queries that training never saw, beyond those that a train caption has to itself.
MOST_UNKNOWN = 0.3


def check_texts(evidence: Evidence) -> Iterator[Finding]:
    """What the train captions and the queries of `val` say to the encoder."""
    yield from _alike(evidence)
    yield from _missing(evidence)
    yield from _cut(evidence)
    yield from _unknown(evidence)


def different(texts: Iterable[str]) -> float:
    """How many equally common texts these are as varied as.

    Source: Simpson, Nature 163 (1949), its inverse (Hill's number of order 2).

    >>> different(["red", "red", "blue", "blue"])
    2.0
    """
    counts = Counter(" ".join(words(text)) for text in texts)
    total = sum(counts.values())
    return total**2 / sum(n * n for n in counts.values()) if total else 0.0


def _alike(evidence: Evidence) -> Iterator[Finding]:
    every = [text for rows in evidence.captions.values() for own in rows.values() for text in own]
    if different(every) < ONE:
        yield _few("texts-alike", "severe", "captions", every)
        return
    titles = [text for own in evidence.captions.get("title", {}).values() for text in own]
    if titles and (varied := different(titles)) < FEW:
        name = "texts-alike" if varied < ONE else "few-different-titles"
        yield _few(name, "warning", "titles", titles)


def _few(name: str, severity: str, what: str, texts: list[str]) -> Finding:
    common, n = Counter(texts).most_common(1)[0]
    return Finding(
        name,
        "severe" if severity == "severe" else "warning",
        "before",
        f"the {len(texts):,} {what} are as varied as {different(texts):.1f} different ones "
        f"({n / len(texts):.0%} are {_short(common)!r}): no picture can be told from another",
        "check catalog.columns.title: give each product a title that names it",
    )


def _missing(evidence: Evidence) -> Iterator[Finding]:
    columns = ["title", "split"]
    rows = evidence.catalog.products(columns)
    titles = [bool(title and title.strip()) for title in rows["title"].to_pylist()]
    train = [row for row, split in enumerate(rows["split"].to_pylist()) if split == "train"]
    pictured = set(evidence.images.product_row.tolist())
    for what, has in (
        ("title", {row for row in train if titles[row]}),
        ("picture", {row for row in train if row in pictured}),
    ):
        missing = 1 - len(has) / max(1, len(train))
        if missing > MOST_MISSING:
            yield Finding(
                f"{what}s-missing",
                "warning",
                "before",
                f"{missing:.0%} of {len(train):,} train products have no {what}",
                f"check catalog.columns.{'title' if what == 'title' else 'images'}",
            )


def _cut(evidence: Evidence) -> Iterator[Finding]:
    texts = evidence.texts[:: max(1, len(evidence.texts) // SAMPLE)][:SAMPLE]
    share, window = cut_share(evidence.encoder, texts)
    if share > MOST_CUT:
        longest = max(texts, key=len)
        yield Finding(
            "captions-cut",
            "warning",
            "before",
            f"{share:.0%} of {len(texts):,} sampled captions fill the base's window of {window} "
            f"tokens and lose their ends (the longest has {len(longest)} characters)",
            "shorten titles to what names the product, its kind and brand first, "
            "or take a base with a longer context",
        )


def cut_share(encoder: Encoder, texts: list[str]) -> tuple[float, int]:
    """Share of `texts` that fill the base's own window of tokens, and that window."""
    window = int(encoder.inputs.tokenise([_LONG])["ids_BT"].shape[1])
    full = 0
    for start in range(0, len(texts), 256):
        # A short text in the batch shows what padding looks like. The last place but one: SigLIP
        # pads with the very token that ends a text.
        ids_BT = encoder.inputs.tokenise([*texts[start : start + 256], "a"])["ids_BT"]
        if ids_BT.shape[1] == window:
            full += int(torch.count_nonzero(ids_BT[:-1, -2] != ids_BT[-1, -2]))
    return full / max(1, len(texts)), window


def _unknown(evidence: Evidence) -> Iterator[Finding]:
    counts = Counter(word for text in evidence.texts for word in set(words(text)))
    own = [counts[word] == 1 for text in evidence.texts for word in set(words(text))]
    asked = [word for text in evidence.queries.values() for word in set(words(text))]
    if not own or not asked:
        return
    # What one train caption has to itself would be unknown, were that caption a query.
    usual = sum(own) / len(own)
    unknown = [word for word in asked if not counts[word]]
    share = len(unknown) / len(asked)
    noise = 3 * sqrt(usual * (1 - usual) / len(asked))
    if share > usual + MOST_UNKNOWN + noise:
        examples = ", ".join(word for word, _ in Counter(unknown).most_common(5))
        yield Finding(
            "queries-in-unknown-words",
            "warning",
            "before",
            f"{share:.0%} of the words of {len(evidence.queries):,} queries of val stand in no "
            f"train caption ({usual:.0%} would be usual): {examples}",
            "train on captions of that language and kind (titles, catalog.glossary, judged "
            "queries), or judge by queries of this shop",
        )


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
