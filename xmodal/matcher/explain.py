"""Why a product was found: the words of the query and the regions of the picture that made it.

    query without one word      -> what the score loses: the word's weight
    picture with one cell hidden -> what the score loses: the cell's weight

A weight is measured by deletion: a fact about this score, and no theory of the model. How much
the heaviest fifth matters against any fifth, benchmarks/bench_explain.py measures.

Shapes: B variants, C H W image, G rows and columns of the grid, D embedding, T C patch tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xmodal.matcher.encoder import Encoder
from xmodal.matcher.reranker import Reranker
from xmodal.matcher.tokens import BASE_TOKENS, dequantise, quantise
from xmodal.matcher.words import units

GRID = 8
MOST_WORDS = 40  # that are weighed; those after them stay in the text
_BATCH = 16  # variants of a picture per forward

Floats = NDArray[np.float32]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Word:
    """A word of the query, where it stands in it, and what the score loses without it."""

    text: str
    start: int
    stop: int
    weight: float


@dataclass(frozen=True)
class Explanation:
    """A score taken apart. The weights need not add up to it: words and regions act together."""

    score: float
    words: tuple[Word, ...]
    region_GG: Floats
    """Of each cell of the picture as the matcher sees it, row by row from the top."""


class PairScore:
    """The score of one text and one picture, and of variants of either.

    The reranker's logit where there is a reranker, as in the service, else the cosine. What
    look-alikes are called is kept from the whole picture: it is no part of the picture.
    """

    def __init__(
        self, encoder: Encoder, reranker: Reranker | None, text: str, pictures: Sequence[bytes]
    ) -> None:
        """Of a product's encoded `pictures`, at least one, the nearest to the text speaks for it.

        Raises QueryError where one cannot be read.
        """
        self._encoder, self._reranker, self.text = encoder.eval(), reranker, text
        self.places = units(text, set(encoder.vocabulary.terms))[:MOST_WORDS]
        self._query = self._encode([text])
        pixels_BCHW = encoder.inputs.images(pictures)
        vector_BD, tokens_BTC = self._look(pixels_BCHW)
        best = int((vector_BD @ self._query["vector_BD"][0]).argmax())
        self.pixels_CHW = pixels_BCHW[best]
        self._vector_1D, self._tokens_1TC = vector_BD[best][None], tokens_BTC[best][None]

    @torch.inference_mode()
    def of_texts(self, texts: Sequence[str]) -> Floats:
        """Scores (B,) of other texts with the picture."""
        query = self._encode(texts)
        tokens_BTC = self._tokens_1TC.expand(len(texts), -1, -1)
        return self._score(query, self._vector_1D, tokens_BTC)

    @torch.inference_mode()
    def of_pictures(self, pixels_BCHW: Tensor) -> Floats:
        """Scores (B,) of other pictures, uint8, with the text."""
        found = []
        for start in range(0, len(pixels_BCHW), _BATCH):
            vector_BD, tokens_BTC = self._look(pixels_BCHW[start : start + _BATCH])
            tokens_BTC[:, BASE_TOKENS] = self._tokens_1TC[:, BASE_TOKENS]
            query = {n: x.expand(len(vector_BD), -1) for n, x in self._query.items()}
            found.append(self._score(query, vector_BD, tokens_BTC))
        return np.concatenate(found)

    def _score(self, query: dict[str, Tensor], vector_BD: Tensor, tokens_BTC: Tensor) -> Floats:
        cosine_B1 = (query["vector_BD"] * vector_BD).sum(1, keepdim=True)
        if self._reranker is not None:
            cosine_B1 = self._reranker(query, cosine_B1, tokens_BTC[:, None])
        scores: Floats = cosine_B1[:, 0].float().numpy()
        return scores

    @torch.inference_mode()
    def _encode(self, texts: Sequence[str]) -> dict[str, Tensor]:
        tokens = self._encoder.inputs.texts(texts)
        return {"vector_BD": self._encoder.encode_text(tokens), "words_BW": tokens["words_BW"]}

    @torch.inference_mode()
    def _look(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        features = self._encoder.image_trunk(pixels_BCHW)
        vector_BD, tokens_BTC = self._encoder.image_head_and_tokens(features)
        return vector_BD, dequantise(*quantise(tokens_BTC))


def explain(pair: PairScore) -> Explanation:
    """Take the pair's score apart.

    Source: leave-one-out and occlusion, Zeiler and Fergus, arXiv 1311.2901, section 4.2.
    """
    score, words = word_weights(pair)
    seen_N = pair.of_pictures(hide(pair.pixels_CHW, cells()))
    return Explanation(score, words, (score - seen_N).reshape(GRID, GRID))


def word_weights(pair: PairScore) -> tuple[float, tuple[Word, ...]]:
    """The pair's score, and what it loses without each word: the cheap half of `explain`."""
    shorter = [without(pair.text, [place]) for place in pair.places]
    score, *left = pair.of_texts([pair.text, *shorter]).tolist()
    words = tuple(
        Word(pair.text[start:stop], start, stop, score - lost)
        for (start, stop), lost in zip(pair.places, left, strict=True)
    )
    return score, words


def cells(count: int = GRID) -> Masks:
    """One mask (G, G) a cell, row by row, in which that cell alone is set."""
    return np.eye(count * count, dtype=np.bool_).reshape(-1, count, count)


def without(text: str, places: Sequence[tuple[int, int]]) -> str:
    """The text without the words at these places."""
    for start, stop in sorted(places, reverse=True):
        text = text[:start] + text[stop:]
    return text


def hide(pixels_CHW: Tensor, hidden_BGG: Masks) -> Tensor:
    """The picture with cells of a grid painted over, (B, C, H, W), one variant a mask.

    The paint is the median colour of the picture's rim: mostly what the product stands before.
    """
    height, width = pixels_CHW.shape[1:]
    rim_CN = torch.cat([pixels_CHW[:, [0, -1]].flatten(1), pixels_CHW[:, :, [0, -1]].flatten(1)], 1)
    paint_C = rim_CN.median(dim=1).values
    rows_H = np.arange(height) * hidden_BGG.shape[1] // height
    columns_W = np.arange(width) * hidden_BGG.shape[2] // width
    is_hidden_BHW = torch.from_numpy(hidden_BGG[:, rows_H][:, :, columns_W])
    return torch.where(is_hidden_BHW[:, None], paint_C[None, :, None, None], pixels_CHW[None])
