"""Recovery of a pruned text tower: it is tuned to give the whole one's vectors of train captions.

The whole tower is the teacher, so no negatives, no pictures and no temperature are needed, and
minutes are enough; the vocabulary's words are the same in both.

Shapes: B texts, D embedding.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from xmodal.matcher.compress import text_layers
from xmodal.matcher.encoder import Encoder
from xmodal.retrieval.embed import embed_texts

BATCH = 32
_RATE = 3e-4
_CLIP = 1.0


def recover(
    pruned: Encoder,
    whole: Encoder,
    texts: Sequence[str],
    *,
    epochs: int = 2,
    seed: int = 0,
) -> list[float]:
    """Tune `pruned`'s text tower in place; returns the mean loss of each epoch.

    Args:
        texts: captions of `train`: what is judged is not tuned on.

    The loss is 1 less the cosine between both unit vectors.
    Source: knowledge distillation of embeddings, Reimers & Gurevych, arXiv 2004.09813, section 2.
    """
    wanted_ND = torch.from_numpy(embed_texts(whole, list(texts)))
    weights = [weight for layer in text_layers(pruned) for weight in layer.parameters()]
    for weight in weights:
        weight.requires_grad_(True)
    steps = max(1, epochs * -(-len(texts) // BATCH))
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    rng, losses = np.random.default_rng(seed), []
    pruned.eval()  # no dropout: the teacher has none either
    for _ in range(epochs):
        total = 0.0
        for rows in _batches(texts, rng):
            loss = _loss(pruned, [texts[row] for row in rows], wanted_ND[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(weights, _CLIP)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows) / len(texts)
        losses.append(total)
    for weight in weights:
        weight.requires_grad_(False)
    return losses


def _loss(pruned: Encoder, texts: Sequence[str], wanted_BD: Tensor) -> Tensor:
    found_BD = pruned.encode_text(pruned.inputs.texts(texts))
    return (1 - (found_BD * wanted_BD).sum(1)).mean()


def _batches(texts: Sequence[str], rng: np.random.Generator) -> list[list[int]]:
    """Rows of each step, in random order; texts of a step are of about one length."""
    shuffled = rng.permutation(len(texts))
    by_length = sorted(shuffled.tolist(), key=lambda row: len(texts[row]) // 8)
    batches = [by_length[low : low + BATCH] for low in range(0, len(by_length), BATCH)]
    return [batches[place] for place in rng.permutation(len(batches))]
