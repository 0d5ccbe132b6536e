"""What variants of queries and of relevant pictures do to a system's first stage.

A text variant asks the same question in other letters. A picture variant takes the place of the
relevant products' pictures in the gallery, all at once; what else is searched stays as it is.

Shapes: Q queries, N gallery pictures, B pictures that are swapped, D embedding.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from PIL import Image

from xmodal.catalog.store import Catalog
from xmodal.catalog.variants.pictures import vary_picture
from xmodal.catalog.variants.texts import TextVariant, vary
from xmodal.evaluation.gallery import Gallery, open_gallery
from xmodal.evaluation.judge import Contender
from xmodal.evaluation.significance import Comparison, compare
from xmodal.evaluation.tasks import Task
from xmodal.matcher.fast import FastForward, fast_forward
from xmodal.matcher.inputs import decode
from xmodal.retrieval.embed import embed_texts
from xmodal.retrieval.metrics import PerQuery, Qrels, Run, per_query
from xmodal.retrieval.topk import Floats, Ints

DEPTH = 10  # of the answers: R@10 and MRR@10 look no deeper
_BATCH = 64


@dataclass(frozen=True)
class Change:
    """What one variant does to one system, against the unchanged of the same queries."""

    system: str
    variant: str
    amount: str
    recall: Comparison  # R@10; `theirs` is the unchanged
    mrr: Comparison

    @property
    def kept(self) -> float | None:
        """Share of the unchanged R@10 that is left; None where there was none."""
        return self.recall.ours / self.recall.theirs if self.recall.theirs else None


class Searched:
    """A contender ready to be asked again: its gallery, and its encoder."""

    def __init__(self, contender: Contender, catalog: Catalog) -> None:
        self.name = contender.name
        self.encoder = contender.matcher.encoder
        self.gallery: Gallery = open_gallery(catalog, contender.store, self.encoder)

    @cached_property
    def forward(self) -> FastForward:
        """The image tower as it embeds a catalogue."""
        return fast_forward(self.encoder, torch.get_num_threads())

    def ask(self, texts: Mapping[str, str]) -> Run:
        """The ten best products of each text."""
        vectors = embed_texts(self.encoder, list(texts.values()))
        return self.gallery.search(list(texts), vectors, DEPTH)

    def embed(self, pictures: Sequence[Image.Image]) -> Floats:
        """Unit vectors (B, D) of decoded pictures."""
        rows = [np.zeros((0, self.encoder.dim), np.float32)]
        for low in range(0, len(pictures), _BATCH):
            pixels_BCHW = self.encoder.inputs.decoded(pictures[low : low + _BATCH])
            rows.append(self.forward.vectors(pixels_BCHW).float().numpy())
        return np.concatenate(rows)

    def swapped(self, rows_B: Ints, vector_BD: Floats) -> Gallery:
        """The gallery with other vectors in some of its rows."""
        vector_ND = self.gallery.vector_ND.copy()
        vector_ND[rows_B] = vector_BD
        return replace(self.gallery, vector_ND=vector_ND)


@dataclass(frozen=True)
class Shown:
    """Relevant pictures of some queries, decoded, and their rows in the gallery."""

    texts: dict[str, str]
    qrels: Qrels
    rows_B: Ints
    pictures: list[Image.Image]
    first_of: dict[str, int]  # query to the place of a relevant picture of its own in `pictures`


def draw_shown(
    task: Task, gallery: Gallery, catalog: Catalog, size: tuple[int, int], *, most: int, seed: int
) -> Shown:
    """Queries drawn by the seed, all of whose relevant pictures are at most `most` together.

    Args:
        size: height and width that the encoder reads; JPEGs are decoded at about twice that.
    """
    names = sorted(task.qrels)
    random.Random(seed).shuffle(names)
    chosen: list[str] = []
    rows_of: dict[int, Ints] = {}
    for name in names:
        wanted = [gallery.row_of[p] for p, grade in task.qrels[name].items() if grade > 0]
        new = {row: _gallery_rows(gallery, row) for row in wanted if row not in rows_of}
        if sum(map(len, [*rows_of.values(), *new.values()])) <= most:
            rows_of |= new
            chosen.append(name)
    place_of: dict[int, int] = {}
    pictures: list[Image.Image] = []
    for row in sorted(rows_of):
        place_of[row] = len(pictures)
        pictures += [decode(encoded, size) for _, _, encoded in catalog.images(row, row + 1)]
    first_of = {
        name: place_of[
            gallery.row_of[next(p for p, grade in task.qrels[name].items() if grade > 0)]
        ]
        for name in chosen
    }
    rows_B = np.concatenate([np.zeros(0, np.int64), *(rows_of[row] for row in sorted(rows_of))])
    texts = {name: task.texts[name] for name in chosen}
    qrels = {name: task.qrels[name] for name in chosen}
    return Shown(texts, qrels, rows_B, pictures, first_of)


def changed_texts(
    searched: Searched,
    task: Task,
    names: Sequence[str],
    variants: Mapping[str, TextVariant],
    seed: int,
) -> list[Change]:
    """What each text variant does, on those of the queries that it changes."""
    clean = _score(searched.ask({name: task.texts[name] for name in names}), task.qrels, names)
    found = []
    for variant in variants:
        varied = {name: vary(task.texts[name], variant, seed, variants) for name in names}
        texts = {name: text for name, text in varied.items() if text is not None}
        again = _score(searched.ask(texts), task.qrels, list(texts))
        found.append(_change(searched.name, variant, "", (again, clean), seed))
    return found


def changed_pictures(
    searched: Sequence[Searched],
    shown: Shown,
    variants: Sequence[tuple[str, int, str]],
    seed: int,
) -> list[Change]:
    """What each (variant, severity, amount in words) of the relevant pictures does."""
    names, found = list(shown.texts), []
    queries = [embed_texts(one.encoder, list(shown.texts.values())) for one in searched]
    clean = [
        _score(one.gallery.search(names, query_QD, DEPTH), shown.qrels, names)
        for one, query_QD in zip(searched, queries, strict=True)
    ]
    for variant, severity, amount in variants:
        varied = [
            vary_picture(picture, variant, severity, seed + place)
            for place, picture in enumerate(shown.pictures)
        ]
        for one, query_QD, before in zip(searched, queries, clean, strict=True):
            gallery = one.swapped(shown.rows_B, one.embed(varied))
            again = _score(gallery.search(names, query_QD, DEPTH), shown.qrels, names)
            found.append(_change(one.name, variant, amount, (again, before), seed))
    return found


def _score(run: Run, qrels: Qrels, names: Sequence[str]) -> PerQuery:
    return per_query(run, {name: qrels[name] for name in names})


def _change(
    system: str, variant: str, amount: str, scores: tuple[PerQuery, PerQuery], seed: int
) -> Change:
    again, clean = scores
    recall, mrr = (
        compare(again[metric], clean[metric], seed=seed) for metric in ("recall@10", "mrr@10")
    )
    return Change(system, variant, amount, recall, mrr)


def _gallery_rows(gallery: Gallery, product_row: int) -> Ints:
    first, last = (
        np.searchsorted(gallery.product_row_N, product_row, side=side) for side in ("left", "right")
    )
    return np.arange(first, last, dtype=np.int64)
