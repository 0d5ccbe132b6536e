"""Questions answered by vectors and words, in every way that may be served: MRR@10 of each.

    questions -> vectors, BM25 -> Evidence -> a way to fuse (-> reranker) -> MRR@10 of each query

Shapes: Q questions, P products, K candidates, D embedding size, W words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from xmodal.index.lexical import Lexical
from xmodal.index.version import Index
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.reranker import Reranker
from xmodal.retrieval.embed import embed_texts
from xmodal.retrieval.metrics import Run, per_query
from xmodal.search.evidence import Evidence, gather
from xmodal.search.fusion import Floats, Fusion
from xmodal.search.questions import Questions

METRIC = "mrr@10"
DEPTH = 50  # candidates that are reranked, as the service's default
MOST_RERANKED = 100  # questions: a second of 50 candidates each is a minute
_PAGE = 10

Values = Mapping[str, float]  # query to MRR@10


@dataclass(frozen=True)
class Words:
    """What queries are asked of: all that is indexed, or titles alone."""

    whole: Lexical
    titles: Lexical | None
    """None where no title has a word: then no query shares one."""

    def scores(self, text: str, *, of_titles: bool) -> Floats:
        """BM25 of every product, (P,)."""
        asked = self.titles if of_titles else self.whole
        return np.zeros(self.whole.count, np.float32) if asked is None else asked.scores(text)


@dataclass(frozen=True)
class Trial:
    """The questions of one kind."""

    index: Index
    words: Words
    encoder: Encoder
    asked: Questions

    def fused(self, way: Fusion) -> Values:
        """By the words that may count here: those of titles, but for judged Chinese."""
        return self._judged({text: self._page(one, way) for text, one in self._guarded.items()})

    def served(self, way: Fusion) -> Values:
        """By all words that are indexed, as an answer is."""
        found = {}
        for text, vector_D in self._vectors.items():
            one = gather(self.index, vector_D, self.words.whole.scores(text), _PAGE)
            found[text] = self._page(one, way)
        return self._judged(found)

    @torch.inference_mode()
    def reranked(self, way: Fusion, reranker: Reranker) -> Values:
        """The first MOST_RERANKED of `fused`, their candidates in the reranker's order."""
        found = {}
        texts = list(islice(self._guarded, MOST_RERANKED))
        words_QW = self.encoder.inputs.words(texts)
        for text, words_W in zip(texts, words_QW, strict=True):
            one = self._guarded[text]
            places = one.fused(way)[0][:DEPTH]
            logits_K = self._logits(reranker, (self._vectors[text], words_W), one, places)
            best = places[np.argsort(-logits_K, kind="stable")[:_PAGE]]
            found[text] = self._ids(one, best)
        return self._judged(found)

    @cached_property
    def _vectors(self) -> dict[str, Floats]:
        texts = list(self.asked.qrels)
        return dict(zip(texts, embed_texts(self.encoder, texts), strict=True))

    @cached_property
    def _guarded(self) -> dict[str, Evidence]:
        found = {}
        for text, vector_D in self._vectors.items():
            score_P = self.words.scores(text, of_titles=self.asked.of_titles[text])
            found[text] = gather(self.index, vector_D, score_P, _PAGE)
        return found

    def _logits(
        self,
        reranker: Reranker,
        query: tuple[Floats, Tensor],
        one: Evidence,
        places: np.ndarray,
    ) -> Floats:
        vector_D, words_W = query
        asked = {"vector_BD": torch.from_numpy(vector_D)[None], "words_BW": words_W[None]}
        first_BK = torch.from_numpy(one.hits.scores[places])[None]
        tokens_BKTC = torch.from_numpy(self.index.tokens.take(one.hits.vector_rows[places][None]))
        logits_K: Floats = reranker(asked, first_BK, tokens_BKTC)[0].float().numpy()
        return logits_K

    def _page(self, one: Evidence, way: Fusion) -> list[str]:
        return self._ids(one, one.fused(way)[0][:_PAGE])

    def _ids(self, one: Evidence, places: np.ndarray) -> list[str]:
        return self.index.products.column("product_id", one.hits.product_rows[places])

    def _judged(self, pages: Mapping[str, list[str]]) -> Values:
        # By place, so that ties are read as they are served.
        run: Run = {
            text: {product_id: -float(rank) for rank, product_id in enumerate(page)}
            for text, page in pages.items()
        }
        qrels = {text: self.asked.qrels[text] for text in pages}
        return per_query(run, qrels, ks=(1,))[METRIC]
