"""Robust training: captions as shoppers might misspell, transliterate or mix them.

A variant is one more caption of its product, with a share of its original's weight: its features
are cached like any other's, and a step costs what it did.
"""

import random

import pyarrow as pa

from xmodal.catalog.captions import Glossary
from xmodal.catalog.lexicon import lexicon
from xmodal.catalog.variants.texts import text_variants, vary


def with_variants(pairs: pa.Table, share: float, glossary: Glossary, seed: int) -> pa.Table:
    """The pairs, and one variant of each caption that any variant changes, drawn by the seed.

    Args:
        pairs: schema PAIR.
        share: of a caption's weight that its variant gets; 0 leaves the pairs as they are.
        glossary: the shop's Chinese terms, for synonyms and mixed languages.
    """
    if not share:
        return pairs
    variants = text_variants(lexicon(glossary))
    variant_of = {}
    for text in dict.fromkeys(pairs["text"].to_pylist()):
        names = random.Random(f"{seed}:{text}").sample(list(variants), len(variants))
        tried = (vary(text, name, seed, variants) for name in names)
        variant_of[text] = next((varied for varied in tried if varied is not None), None)
    rows = pairs.to_pylist()
    varied = [row for row in rows if variant_of[row["text"]] is not None]
    noisy = [
        row | {"text": variant_of[row["text"]], "weight": row["weight"] * share} for row in varied
    ]
    for row in varied:
        row["weight"] *= 1 - share
    return pa.Table.from_pylist([*rows, *noisy], pairs.schema)
