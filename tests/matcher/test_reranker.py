"""xmodal/matcher/{reranker,neighbours,cross_attention}.py: value, meaning, gradient, round trip."""

import pytest
import torch

from xmodal.errors import MatcherError
from xmodal.matcher.neighbours import Neighbours
from xmodal.matcher.reranker import Reranker, RerankerSpec, load_reranker, save_reranker
from xmodal.matcher.tokens import BASE_TOKENS, VECTOR_TOKENS

RED, BLUE, SHOE = 3, 4, 5


def make_tokens(*looks: int) -> torch.Tensor:
    """Tokens whose base part points along dimension `look`, a little off."""
    tokens = torch.zeros(len(looks), 16, 128)
    for row, look in enumerate(looks):
        tokens[row, BASE_TOKENS.start, look] = 1.0
        tokens[row, BASE_TOKENS.start, 100 + row] = 0.2
        tokens[row, VECTOR_TOKENS.start, row % 8] = 8**0.5
    return tokens


def make_reranker() -> Reranker:
    torch.manual_seed(0)
    reranker = Reranker(RerankerSpec(dim=8, vocabulary=9, pictures=4, words=2, bank=3))
    words = torch.tensor([[RED, SHOE], [RED, 0], [BLUE, SHOE], [BLUE, 0]])
    tokens, spread = make_tokens(0, 0, 1, 1), torch.ones(512)
    reranker.neighbours.remember(tokens, torch.arange(4), words, spread)
    reranker.hubness.bank_NE[:, 0] = 1.0
    return reranker


def make_query(*words: int) -> dict[str, torch.Tensor]:
    vector = torch.zeros(1, 8)
    vector[0, 0] = 1.0
    return {"vector_BD": vector, "words_BW": torch.tensor([[*words, 0, 0]])}


def candidates() -> torch.Tensor:
    """Two candidates: the first looks like the red products, the second like the blue ones."""
    tokens = make_tokens(7, 7, 7, 7, 0, 1)[4:]
    return tokens[None]


def test_without_weights_the_first_stage_stands():
    first = torch.tensor([[0.3, 0.7]])
    assert torch.equal(make_reranker()(make_query(RED), first, candidates()), first)


def test_look_alikes_lift_the_candidate_that_their_words_name():
    evidence = make_reranker().neighbours(make_query(BLUE)["words_BW"], candidates())
    assert evidence[0, 1] > evidence[0, 0]
    assert ((evidence >= 0) & (evidence <= 1 + 1e-6)).all()


def test_a_candidate_never_reads_its_own_words():
    memory = make_reranker().neighbours
    _, row = memory.nearest(make_tokens(0, 0, 1, 1))
    similar, _ = memory.nearest(make_tokens(0, 0, 1, 1))
    assert all(row[i, 0] != i for i in range(4))
    assert (similar <= 0.999).all()


def test_a_candidate_never_reads_its_own_words_off_another_of_its_pictures():
    memory = Neighbours(4, 2, 9)
    words = torch.tensor([[RED, SHOE], [RED, SHOE], [BLUE, SHOE], [BLUE, 0]])
    tokens = make_tokens(0, 0, 0, 1)
    memory.remember(tokens, torch.tensor([7, 7, 8, 9]), words, torch.ones(512))
    similar, row = memory.nearest(tokens[:1])
    assert row[0, similar[0] > 0].tolist() == [2]


def test_look_alikes_found_again_are_the_same():
    memory, tokens = make_reranker().neighbours, candidates()[0]
    fresh = memory.nearest(tokens)
    torch.testing.assert_close(memory.nearest(tokens), fresh)
    torch.testing.assert_close(memory.nearest(tokens.flip(0))[1], fresh[1].flip(0))


def test_a_word_of_every_product_weighs_less_than_a_rare_one():
    memory = Neighbours(3, 2, 9)
    words = torch.tensor([[SHOE, RED], [SHOE, 0], [SHOE, 0]])
    memory.remember(make_tokens(0, 1, 2), torch.arange(3), words, torch.ones(512))
    assert memory.weight_V[RED] > memory.weight_V[SHOE] > 0
    assert memory.weight_V[BLUE] == 0


def test_a_hub_is_pushed_down():
    reranker = make_reranker()
    reranker.weights.copy_(torch.tensor([0.0, 1.0, 0.0]))
    tokens = make_tokens(0, 1)[None]  # the first one's vector is the bank's
    logits = reranker(make_query(RED), torch.zeros(1, 2), tokens)
    torch.testing.assert_close(logits, torch.tensor([[-1.0, 0.0]]))


def test_cross_attention_gives_every_weight_a_gradient():
    cross = make_reranker().cross
    query = make_query(RED, SHOE)
    titles = torch.tensor([[[RED, 0], [BLUE, SHOE]]])
    cross(query["vector_BD"], query["words_BW"], candidates(), titles).sum().backward()
    assert all(weight.grad is not None for weight in cross.parameters())


def test_a_batch_gives_what_single_queries_give():
    reranker = make_reranker()
    reranker.weights.copy_(torch.tensor([0.3, 0.5, 0.1]))
    one, other = make_query(RED, SHOE), make_query(BLUE, 0)
    both = {name: torch.cat([one[name], other[name]]) for name in one}
    tokens, first = candidates().repeat(2, 1, 1, 1), torch.rand(2, 2)
    whole = reranker(both, first, tokens)
    alone = [reranker(q, first[i : i + 1], tokens[:1]) for i, q in enumerate((one, other))]
    torch.testing.assert_close(whole, torch.cat(alone))


def test_saved_it_reloads_to_the_same_logits(tmp_path):
    reranker = make_reranker()
    reranker.weights.copy_(torch.tensor([0.3, 0.5, 0.1]))
    save_reranker(reranker, tmp_path / "reranker")
    again = load_reranker(tmp_path / "reranker")
    inputs = make_query(RED, SHOE), torch.rand(1, 2), candidates()
    torch.testing.assert_close(again(*inputs), reranker(*inputs), atol=1e-3, rtol=0)


def test_a_truncated_reranker_is_named(tmp_path):
    save_reranker(make_reranker(), tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"short")
    with pytest.raises(MatcherError, match="copy the matcher folder again"):
        load_reranker(tmp_path)
