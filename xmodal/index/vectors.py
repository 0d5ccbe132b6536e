"""What one encoder gave for the products that changed: vectors and tokens, each made once.

    picture or title -> its fingerprint -> known? -> [encoder] -> record in <home>/journal/vectors-*

A journal, so that all processes share it, and a start reads what the one before has embedded.
Shapes: D embedding, T tokens of a picture, C channels of a token, R rows.
"""

import logging
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.changes import ProductFacts
from xmodal.errors import QueryError
from xmodal.fingerprint import of_bytes
from xmodal.index.tokens import TokenStore
from xmodal.journal import Journal, locked
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fast import fast_forward
from xmodal.matcher.saved import load_encoder
from xmodal.retrieval.embed import BATCH, embed_texts, picture_features

log = logging.getLogger(__name__)

_HEAD = struct.Struct("<BHHHf")  # bytes of the key, D, T, C, scale
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One vector, and what one step of its int8 tokens is worth; a text has no tokens."""

    key: str
    vector_D: Floats
    tokens_TC: NDArray[np.int8]
    scale: float = 0.0


Wanted = tuple[ProductFacts, Callable[[], Sequence[bytes]]]
"""A product, and its encoded pictures when they are asked for."""


def keys_of(facts: ProductFacts) -> list[str]:
    """The rows of a product: one a picture; of one without any, its title's."""
    if facts.pictures:
        return [f"i{fingerprint}" for fingerprint in facts.pictures]
    return [f"t{of_bytes(facts.title.encode())}"]


class VectorLog:
    """The rows that one encoder made, by key; a row's number is its offset in the journal."""

    def __init__(self, journal: Journal, encoder_folder: Path) -> None:
        """`encoder_folder`: a saved encoder, which is opened when first something is embedded."""
        self._journal, self._folder = journal, encoder_folder
        self._offsets: dict[str, int] = {}
        self._end = 0

    def ensure(self, products: Iterable[Wanted], *, alone: bool = False) -> None:
        """Embed what no row is there for.

        Args:
            alone: one process at a time, others then find its rows: for what all of them lack.

        Raises:
            QueryError: a picture that the encoder cannot read.
            StorageError: the disk is full.
        """
        products = list(products)
        if self._missing(products) and alone:
            self._journal.folder.mkdir(parents=True, exist_ok=True)
            with locked(self._journal.folder / "embedding.lock"):
                self._embed(self._missing(products))
        else:
            self._embed(self._missing(products))

    def rows(self, facts: ProductFacts) -> dict[int, Floats]:
        """Vectors of a product's rows by number; one that could not be embedded is left out."""
        offsets = [self._offsets[key] for key in keys_of(facts) if key in self._offsets]
        return {offset: _read(self._journal.at(offset)).vector_D for offset in offsets}

    def row(self, number: int) -> Row:
        """The row of that number. Raises JournalDamaged where there is none."""
        return _read(self._journal.at(number))

    def row_of(self, key: str) -> Row:
        """The row of a key that `ensure` was called for."""
        return self.row(self._offsets[key])

    def _missing(self, products: Sequence[Wanted]) -> list[Wanted]:
        self._follow()
        return [one for one in products if any(key not in self._offsets for key in keys_of(one[0]))]

    def _follow(self) -> None:
        for entry in self._journal.read(self._end):
            self._offsets[_key(entry.content)] = entry.offset
            self._end = entry.end

    def _embed(self, products: Sequence[Wanted]) -> None:
        """A few products at a time: pictures are read no sooner than they are embedded."""
        for low in range(0, len(products), BATCH):
            pictures: dict[str, bytes] = {}
            titles: dict[str, str] = {}
            for facts, read in products[low : low + BATCH]:
                if facts.pictures:
                    pictures |= zip(keys_of(facts), read(), strict=True)
                else:
                    titles[keys_of(facts)[0]] = facts.title
            rows = [*self._of_pictures(pictures), *self._of_titles(titles)]
            self._journal.append([_packed(row) for row in rows])
        self._follow()

    def _of_pictures(self, pictures: Mapping[str, bytes]) -> list[Row]:
        new = {key: image for key, image in pictures.items() if key not in self._offsets}
        if not new:
            return []
        features = picture_features(self._encoder, list(new.values()))
        columns = (features[name] for name in ("vector", "tokens", "scale"))
        return [
            Row(key, np.asarray(vector_D, np.float32), np.asarray(tokens_TC, np.int8), float(scale))
            for key, vector_D, tokens_TC, scale in zip(new, *columns, strict=True)
        ]

    def _of_titles(self, titles: Mapping[str, str]) -> list[Row]:
        new = {key: title for key, title in titles.items() if key not in self._offsets}
        if not new:
            return []
        vector_RD = embed_texts(self._encoder, list(new.values()))
        none = np.zeros((0, 0), np.int8)
        return [Row(key, vector_D, none) for key, vector_D in zip(new, vector_RD, strict=True)]

    @cached_property
    def _encoder(self) -> Encoder:
        return fast_forward(load_encoder(self._folder)).encoder


class LiveTokens:
    """The token store of an index and, behind its last row, the rows of a vector log."""

    def __init__(self, tokens: TokenStore, vectors: VectorLog) -> None:
        self._tokens, self._vectors = tokens, vectors

    def take(self, vector_rows: NDArray[np.int64]) -> Floats:
        """Tokens of the rows as float32 (..., T, C); zeros for the row of a text."""
        first = len(self._tokens)
        tokens = self._tokens.take(np.where(vector_rows < first, vector_rows, 0))
        for place in zip(*np.nonzero(vector_rows >= first), strict=True):
            row = self._vectors.row(int(vector_rows[place]) - first)
            tokens[place] = row.tokens_TC.astype(np.float32) * row.scale if row.scale else 0
        return tokens


def embed_or_leave(vectors: VectorLog, products: Sequence[Wanted]) -> None:
    """As `ensure`, but a product whose pictures this encoder cannot read is left out and logged."""
    try:
        vectors.ensure(products, alone=True)
    except QueryError:
        for one in products:
            try:
                vectors.ensure([one], alone=True)
            except QueryError as error:
                log.error("event=not_embedded product=%s message=%s", one[0].product_id, error)


def _packed(row: Row) -> bytes:
    key, (height, width) = row.key.encode(), row.tokens_TC.shape
    head = _HEAD.pack(len(key), len(row.vector_D), height, width, row.scale)
    return b"".join([head, key, row.vector_D.astype("<f4").tobytes(), row.tokens_TC.tobytes()])


def _key(record: bytes) -> str:
    return record[_HEAD.size : _HEAD.size + record[0]].decode()


def _read(record: bytes) -> Row:
    length, dim, height, width, scale = _HEAD.unpack_from(record)
    place = _HEAD.size + length
    vector_D = np.frombuffer(record, "<f4", dim, place).astype(np.float32)
    tokens = np.frombuffer(record, np.int8, height * width, place + 4 * dim)
    return Row(_key(record), vector_D, tokens.reshape(height, width), scale)
