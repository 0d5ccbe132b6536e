"""xmodal/search/fusion.py: two orders made one, by formulas worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from xmodal.errors import IndexDamaged
from xmodal.search.fusion import Fusion, Hybrid, Worth, kind_of

COSINES = np.array([0.9, 0.5, 0.1], np.float32)
GOT = Worth("weights", 0.3, 100, 0.4, 0.5, 0.1, 0.05, 0.15, 0.001)
ON = replace(GOT, is_on=True)


def test_reciprocal_ranks_are_added():
    found = Fusion("rrf").scores(COSINES, np.array([0, 2, 4], np.float32))
    assert found == pytest.approx([1 / 61, 1 / 62 + 1 / 62, 1 / 63 + 1 / 61])


def test_equal_words_share_their_rank():
    found = Fusion("rrf").scores(COSINES, np.array([2, 2, 0], np.float32))
    assert found == pytest.approx([2 / 61, 1 / 62 + 1 / 61, 1 / 63])


def test_scores_are_scaled_to_the_best_of_the_query():
    found = Fusion("weights", 0.25).scores(COSINES, np.array([0, 2, 4], np.float32))
    by_hand = [0.75, 0.75 * 1.5 / 1.9 + 0.25 / 2, 0.75 * 1.1 / 1.9 + 0.25]
    assert found == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("fusion", [Fusion("rrf"), Fusion("weights", 0.5)])
def test_without_a_shared_word_the_cosines_order(fusion):
    found = fusion.scores(COSINES, np.zeros(3, np.float32))
    assert np.argsort(-found).tolist() == [0, 1, 2]


def test_of_nothing_nothing_comes():
    nothing = np.zeros(0, np.float32)
    assert len(Fusion("rrf").scores(nothing, nothing)) == 0
    assert len(Fusion("weights", 0.5).scores(nothing, nothing)) == 0


@pytest.mark.parametrize(
    ("text", "kind"),
    [("红色连衣裙", "chinese"), ("nike 跑鞋 男", "mixed"), ("Nike 270", "latin"), ("270", "latin")],
)
def test_a_text_is_of_one_kind(text, kind):
    assert kind_of(text) == kind


def test_only_what_helped_is_on_unless_the_request_says_so():
    def choose(text, wish, is_reranked=False):
        return hybrid.choose(text, wish, is_reranked=is_reranked)

    hybrid = Hybrid({"chinese": ON, "latin": replace(GOT, share=0.0)})
    assert choose("红色", None) == Fusion("weights", 0.3)
    assert choose("红色", None, is_reranked=True) is None
    assert choose("红色", True, is_reranked=True) == Fusion("weights", 0.3)
    assert choose("红色", False) is None
    assert choose("red", None) is None
    assert choose("red", True) == Fusion("rrf")
    assert choose("nike 鞋", None) is None  # nobody measured it
    assert choose("nike 鞋", True) == Fusion("rrf")


def test_facts_are_read_as_they_were_written():
    assert Hybrid.of({"chinese": ON.as_json()}).measured == {"chinese": ON}
    with pytest.raises(IndexDamaged, match="hybrid"):
        Hybrid.of({"chinese": {"on": True}})
