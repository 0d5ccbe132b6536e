"""xmodal/training/recover.py: a pruned text tower learns the whole one's vectors again."""

import torch

from tests.factories import CAPTIONS, tiny_encoder
from xmodal.matcher.compress import prune
from xmodal.retrieval.embed import embed_texts
from xmodal.training.recover import recover

TEXTS = [f"{one} {two}" for one in CAPTIONS for two in CAPTIONS]


def test_recovery_brings_the_vectors_back_and_changes_nothing_else():
    whole = tiny_encoder(text_layers=4)
    pruned = prune(whole)
    frozen = {n: w.clone() for n, w in pruned.image_out.named_parameters()}
    before = float((embed_texts(whole, TEXTS) * embed_texts(pruned, TEXTS)).sum(1).mean())
    losses = recover(pruned, whole, TEXTS, epochs=6)
    after = float((embed_texts(whole, TEXTS) * embed_texts(pruned, TEXTS)).sum(1).mean())
    assert after > before
    assert losses[-1] < losses[0]
    assert all(torch.equal(frozen[n], w) for n, w in pruned.image_out.named_parameters())
    assert not any(weight.requires_grad for weight in pruned.text.parameters())


def test_the_same_seed_recovers_the_same():
    whole = tiny_encoder(text_layers=4)
    found = [recover(prune(whole), whole, TEXTS, seed=3) for _ in range(2)]
    assert found[0] == found[1]
