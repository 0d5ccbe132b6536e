"""Evidence from look-alikes: what the train products that look like a candidate are called.

    candidate's base tokens -> the most similar train pictures -> the words of their captions
    -> how well the query's words are among them

A tuned tower knows its train pictures by heart, so what it says of them is no evidence on new
ones; the base tower has never seen a caption. A candidate that is itself remembered is left out
with all its pictures, so that its own title is never read (`benchmarks/quality/`: val MRR x 1.25
on 40,000 products).

Shapes: B queries, K candidates, T C patch tokens, M remembered pictures, L words of a product,
W words of a query, V vocabulary, P look, S nearest look-alikes.
"""

from hashlib import sha1

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from xmodal.matcher.tokens import BASE_TOKENS

LOOK = 256  # the strongest half of the base tokens' dimensions
NEAREST = 32
# Above this similarity it is the same picture (int8 rounding apart), not one like it.
_ITSELF = 0.999
_BLOCK = 1024
_MOST_FOUND = 100_000  # pictures whose look-alikes are kept at hand, 0.4 kB each


class Neighbours(nn.Module):
    """Remembered train pictures: how they look, and which words their products bear."""

    look_MP: Tensor
    owner_M: Tensor
    words_ML: Tensor
    weight_V: Tensor
    emphasis_P: Tensor
    sharpness: Tensor

    def __init__(self, pictures: int, words: int, vocabulary: int) -> None:
        super().__init__()
        self.register_buffer("look_MP", torch.zeros(pictures, LOOK))
        self.register_buffer("owner_M", torch.zeros(pictures, dtype=torch.int32))
        self.register_buffer("words_ML", torch.zeros(pictures, words, dtype=torch.int32))
        self.register_buffer("weight_V", torch.zeros(vocabulary))
        self.register_buffer("emphasis_P", torch.ones(LOOK))
        self.register_buffer("sharpness", torch.tensor(20.0))
        self._found: dict[bytes, list[Tensor]] = {}  # look-alikes by the look's hash

    def remember(
        self, tokens_MTC: Tensor, owner_M: Tensor, words_ML: Tensor, spread: Tensor
    ) -> None:
        """Take in the train pictures: patch tokens, product, and word ids (0 = none) of each.

        Args:
            owner_M: equal numbers are pictures of one product.
            spread: spread of the base tokens' dimensions before whitening, as the encoder has it.
        """
        self._found.clear()
        self.owner_M.copy_(owner_M)
        self.emphasis_P.copy_(spread[:LOOK].clamp(min=1e-3).sqrt())
        self.look_MP.copy_(self.look(tokens_MTC))
        self.words_ML.copy_(words_ML)
        count_V = torch.bincount(words_ML.flatten().long(), minlength=len(self.weight_V))
        rare_V = torch.log(len(words_ML) / count_V.clamp(min=1)).clamp(min=0.1)
        self.weight_V.copy_(torch.where(count_V > 0, rare_V, 0.0))
        self.weight_V[0] = 0.0

    def look(self, tokens_NTC: Tensor) -> Tensor:
        """Unit vectors (N, P) of how pictures look to the base tower."""
        base_NP = tokens_NTC[:, BASE_TOKENS].flatten(1)[:, :LOOK]
        return normalize(base_NP * self.emphasis_P, dim=1)

    def nearest(self, tokens_NTC: Tensor) -> tuple[Tensor, Tensor]:
        """Similarity and memory row of the S look-alikes of each picture, (N, S) both.

        Found once a picture: what many queries bring up is remembered.
        """
        look_NP = self.look(tokens_NTC)
        keys = [sha1(row.tobytes()).digest() for row in look_NP.numpy(force=True)]
        known = {key: found for key in keys if (found := self._found.get(key)) is not None}
        new = [place for place, key in enumerate(keys) if key not in known]
        for start in range(0, len(new), _BLOCK):
            places = new[start : start + _BLOCK]
            similar, row = self._nearest(look_NP[places])
            known |= {keys[p]: pair for p, *pair in zip(places, similar, row, strict=True)}
        if len(self._found) > _MOST_FOUND:
            self._found.clear()
        self._found |= {keys[place]: known[keys[place]] for place in new}
        pairs = [known[key] for key in keys]
        return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])

    def forward(self, words_BW: Tensor, tokens_BKTC: Tensor) -> Tensor:
        """Evidence (B, K), in [0, 1]."""
        queries, candidates = tokens_BKTC.shape[:2]
        similar, row = self.nearest(tokens_BKTC.flatten(0, 1))
        shape = (queries, candidates, -1)
        return self.evidence(words_BW, similar.view(shape), row.view(shape))

    def evidence(self, words_BW: Tensor, similar_BKS: Tensor, row_BKS: Tensor) -> Tensor:
        """Evidence (B, K) from look-alikes that `nearest` found.

        The cosine of the query's and of each look-alike's weighted words, a mean over look-alikes
        that gives the nearer more.
        """
        share_BKS = (self.sharpness * similar_BKS).softmax(dim=2)
        overlap = [self._overlap(words, row) for words, row in zip(words_BW, row_BKS, strict=True)]
        return (torch.stack(overlap) * share_BKS).sum(2)

    def _nearest(self, look_NP: Tensor) -> tuple[Tensor, Tensor]:
        similar_NM = look_NP @ self.look_MP.T
        is_itself_NM = similar_NM > _ITSELF
        for picture in is_itself_NM.any(1).nonzero().flatten().tolist():
            own = self.owner_M[is_itself_NM[picture]]
            similar_NM[picture, torch.isin(self.owner_M, own)] = -1.0
        best = similar_NM.topk(min(NEAREST, similar_NM.shape[1]), dim=1)
        return best.values, best.indices

    def _overlap(self, words_W: Tensor, row_KS: Tensor) -> Tensor:
        """Cosine (K, S) of one query's words and those of memory rows."""
        wanted_V = torch.zeros_like(self.weight_V)
        wanted_V[words_W] = self.weight_V[words_W]
        wanted_V[0] = 0.0
        words_KSL = self.words_ML[row_KS].long()
        has_KSL = self.weight_V[words_KSL]
        length_KS = has_KSL.norm(dim=2) * wanted_V.norm()
        shared_KS: Tensor = (wanted_V[words_KSL] * has_KSL).sum(2)
        overlap_KS: Tensor = shared_KS / length_KS.clamp(min=1e-6)
        return overlap_KS
