"""Cross-attention: a query's tokens read a candidate's patch tokens (and title words, if any).

    query words, query vector -> attend to -> 16 patch tokens, title words -> a logit

Shapes: B queries, K candidates, T C patch tokens, W words, H heads, E width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from xmodal.matcher.tokens import BASE_TOKENS, PATCH_DIM, PATCH_TOKENS

_WIDTH = 128
_HEADS = 4


class CrossAttention(nn.Module):
    """One layer; small, for it runs over every candidate of every request."""

    def __init__(self, dim: int, vocabulary: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, _WIDTH, padding_idx=0)
        nn.init.normal_(self.words.weight, std=0.05)
        with torch.no_grad():
            self.words.weight[0] = 0
        self.whole = nn.Linear(dim, _WIDTH)
        self.patch = nn.Linear(PATCH_DIM, _WIDTH)
        self.place = nn.Parameter(torch.randn(PATCH_TOKENS, _WIDTH) * 0.05)
        self.title = nn.Parameter(torch.randn(_WIDTH) * 0.05)
        self.ask, self.key, self.value = (nn.Linear(_WIDTH, _WIDTH) for _ in range(3))
        self.before, self.after = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)
        self.wide, self.narrow = nn.Linear(3 * _WIDTH, 2 * _WIDTH), nn.Linear(2 * _WIDTH, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        vector_BD: Tensor,
        words_BW: Tensor,
        tokens_BKTC: Tensor,
        title_words_BKW: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, K): a mean over the query's tokens of what each finds in the candidate."""
        query_BWE, has_BW = self._query(vector_BD, words_BW)
        seen_BKTE, seen_BKT = self._product(tokens_BKTC, title_words_BKW)
        found_BKWE = self._attend(query_BWE, seen_BKTE, seen_BKT)
        asked_BKWE = query_BWE[:, None].expand_as(found_BKWE)
        both = torch.cat([asked_BKWE, found_BKWE, asked_BKWE * found_BKWE], dim=3)
        score_BKW: Tensor = self.narrow(self.dropout(gelu(self.wide(both)))).squeeze(3)
        weight_BW = has_BW / has_BW.sum(1, keepdim=True)
        mean_BK: Tensor = (score_BKW * weight_BW[:, None]).sum(2)
        return mean_BK

    def _query(self, vector_BD: Tensor, words_BW: Tensor) -> tuple[Tensor, Tensor]:
        words_BW = words_BW[:, : max(1, int((words_BW > 0).sum(1).max()))]
        tokens = torch.cat([self.whole(vector_BD)[:, None], self.words(words_BW)], dim=1)
        one_B1 = torch.ones_like(words_BW[:, :1], dtype=torch.float32)
        return self.before(tokens), torch.cat([one_B1, (words_BW > 0).float()], dim=1)

    def _product(self, tokens_BKTC: Tensor, title_BKW: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.training:
            tokens_BKTC = _forgetting(tokens_BKTC)
        seen = self.patch(tokens_BKTC) + self.place
        there = torch.ones(seen.shape[:3], dtype=torch.bool, device=seen.device)
        if title_BKW is not None:
            seen = torch.cat([seen, self.words(title_BKW) + self.title], dim=2)
            there = torch.cat([there, title_BKW > 0], dim=2)
        return self.after(seen), there

    def _attend(self, query_BWE: Tensor, seen_BKTE: Tensor, seen_BKT: Tensor) -> Tensor:
        heads = (_HEADS, _WIDTH // _HEADS)
        ask = self.ask(query_BWE).unflatten(2, heads)
        key, value = (part(seen_BKTE).unflatten(3, heads) for part in (self.key, self.value))
        near = torch.einsum("bwhe,bkthe->bkhwt", ask, key) / heads[1] ** 0.5
        near = near.masked_fill(~seen_BKT[:, :, None, None], float("-inf"))
        found = torch.einsum("bkhwt,bkthe->bkwhe", near.softmax(dim=4), value)
        return found.flatten(3)


def _forgetting(tokens_BKTC: Tensor) -> Tensor:
    """For half of the queries the tuned tower's tokens are blank: it knows train by heart."""
    kept_B = torch.rand(len(tokens_BKTC), device=tokens_BKTC.device) < 0.5
    kept_BT = kept_B[:, None].repeat(1, tokens_BKTC.shape[2])
    kept_BT[:, BASE_TOKENS] = True
    return tokens_BKTC * kept_BT[:, None, :, None]
