"""The reranker: a cross-encoder over the candidates that the first stage found.

    logit = first-stage cosine + a x look-alikes' words - b x hubness + c x cross-attention

Its product side is the token store alone, so a new reranker needs no new embedding. The three
weights are chosen on `val`; where nothing helps there they are 0, and the order is the first
stage's.

Shapes: B queries, K candidates, T C patch tokens, D embedding, N bank, W words.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from xmodal.errors import MatcherError
from xmodal.matcher.cross_attention import CrossAttention
from xmodal.matcher.inputs import Features
from xmodal.matcher.neighbours import Neighbours
from xmodal.matcher.tokens import PATCH_DIM, VECTOR_TOKENS

WEIGHTS, SPEC = "weights.safetensors", "reranker.json"
TERMS = ("look-alikes", "hubness", "cross-attention")
_KEPT = 2 * PATCH_DIM  # dimensions of the unit vector in the token store
_HALF = ("neighbours.look_MP", "hubness.bank_NE")


@dataclass(frozen=True)
class RerankerSpec:
    """Sizes of a reranker."""

    dim: int
    vocabulary: int
    pictures: int
    """Train pictures that it remembers."""
    words: int
    """Most words that it remembers of each one's product."""
    bank: int
    """Train captions that tell a hub."""


class Hubness(nn.Module):
    """How near a picture is to any query at all: hubs are found by many and sought by few.

    Source: querybank normalisation, arXiv 2112.12777; the inverted softmax, arXiv 1702.03859.
    """

    bank_NE: Tensor
    sharpness: Tensor

    def __init__(self, bank: int) -> None:
        super().__init__()
        self.register_buffer("bank_NE", torch.zeros(bank, _KEPT))
        self.register_buffer("sharpness", torch.tensor(20.0))

    def forward(self, tokens_BKTC: Tensor) -> Tensor:
        """Soft maximum (B, K) of the cosines with the bank's captions."""
        vector_BKE = normalize(tokens_BKTC[:, :, VECTOR_TOKENS].flatten(2), dim=2)
        near_BKN = self.sharpness * vector_BKE @ self.bank_NE.T
        many = torch.tensor(float(max(1, len(self.bank_NE)))).log()
        return (near_BKN.logsumexp(dim=2) - many) / self.sharpness


class Reranker(nn.Module):
    """Look-alikes, hubness and cross-attention, weighed against the first stage."""

    weights: Tensor

    def __init__(self, spec: RerankerSpec) -> None:
        super().__init__()
        self.spec = spec
        self.neighbours = Neighbours(spec.pictures, spec.words, spec.vocabulary)
        self.hubness = Hubness(spec.bank)
        self.cross = CrossAttention(spec.dim, spec.vocabulary)
        self.register_buffer("weights", torch.zeros(len(TERMS)))
        self.eval()

    def forward(
        self,
        query: Features,
        first_BK: Tensor,
        tokens_BKTC: Tensor,
        title_words_BKW: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, K); higher is better.

        Args:
            query: `vector_BD` (unit, of the encoder) and `words_BW` (vocabulary ids).
            first_BK: first-stage cosines.
            tokens_BKTC: patch tokens as `tokens.dequantise` gives them.
            title_words_BKW: vocabulary ids of the candidates' titles, where a stage may see them.
        """
        words_BW = query["words_BW"].long()
        logits_BK = first_BK.float()
        near, hub, cross = (float(weight) for weight in self.weights)
        if near:
            logits_BK = logits_BK + near * self.neighbours(words_BW, tokens_BKTC)
        if hub:
            logits_BK = logits_BK - hub * self.hubness(tokens_BKTC)
        if cross:
            vector_BD = query["vector_BD"].float()
            seen = self.cross(vector_BD, words_BW, tokens_BKTC, title_words_BKW)
            logits_BK = logits_BK + cross * seen
        return logits_BK


def save_reranker(reranker: Reranker, folder: Path) -> None:
    """Write weights and spec to `folder`, which is made. The memory is kept in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous() for name, value in reranker.state_dict().items()}
    save_file(state | {name: state[name].half() for name in _HALF}, folder / WEIGHTS)
    text = json.dumps(asdict(reranker.spec), indent=1)
    (folder / SPEC).write_text(text, encoding="utf-8")


def load_reranker(folder: Path) -> Reranker:
    """The reranker that `save_reranker` wrote, in inference mode.

    Raises:
        MatcherError: a file is missing, cut short or of another architecture.
    """
    try:
        document = json.loads((folder / SPEC).read_text(encoding="utf-8"))
        reranker = Reranker(RerankerSpec(**document))
        reranker.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MatcherError(
            f"{folder}: cannot read the reranker ({first}); copy the matcher folder again"
        ) from error
    return reranker.eval()
