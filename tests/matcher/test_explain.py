"""xmodal/matcher/{explain,heat_map}.py: weights are what deletion costs, on tiny real models."""

import io
from base64 import b64decode
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image

from tests.factories import make_picture, tiny_encoder
from tests.homes import tiny_reranker
from xmodal.matcher.explain import GRID, PairScore, cells, explain, hide, without
from xmodal.matcher.heat_map import heat_map
from xmodal.matcher.words import units


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


def pair_of(encoder, text="big red shoe", reranker=None):
    return PairScore(encoder, reranker, text, [make_picture(3)])


def test_words_stand_where_they_stand():
    text = "Nike 红色运动鞋, size-9"
    parts = [text[start:stop] for start, stop in units(text, {"红色", "运动鞋", "色运"})]
    assert parts == ["Nike", "红色", "运动鞋", "size", "9"]
    assert without(text, units(text, {"红色"})[:2]) == " 运动鞋, size-9"


def test_the_score_is_the_cosine_or_the_logit(encoder):
    pair = pair_of(encoder)
    pixels = encoder.inputs.image(make_picture(3))[None]
    with torch.inference_mode():
        image_BD = encoder.encode_image(pixels)
        tokens_BTC = encoder.patch_tokens(encoder.image_trunk(pixels))
        asked = encoder.inputs.texts([pair.text])
        text_BD = encoder.encode_text(asked)
        cosine = (image_BD * text_BD).sum()
        query = {"vector_BD": text_BD, "words_BW": asked["words_BW"]}
        reranker = tiny_reranker(encoder)
        logit = reranker(query, cosine.view(1, 1), tokens_BTC[:, None])
    assert explain(pair).score == pytest.approx(float(cosine), abs=1e-5)
    reranked = explain(pair_of(encoder, reranker=reranker)).score
    assert reranked == pytest.approx(float(logit), abs=0.02)  # the service's tokens are int8


def test_a_words_weight_is_what_the_score_loses_without_it(encoder):
    pair = pair_of(encoder)
    why = explain(pair)
    assert [word.text for word in why.words] == ["big", "red", "shoe"]
    left = pair.of_texts([" red shoe", "big  shoe", "big red "])
    losses = why.score - left
    assert [word.weight for word in why.words] == pytest.approx(losses.tolist(), abs=1e-5)


def test_a_single_word_is_weighed_against_nothing(encoder):
    assert len(explain(pair_of(encoder, "鞋")).words) == 1
    assert explain(pair_of(encoder, "!?")).words == ()


def test_a_cells_weight_is_what_the_score_loses_when_it_is_hidden(encoder):
    pair = pair_of(encoder)
    why = explain(pair)
    pixels = pair.pixels_CHW.clone()
    rim = torch.cat([pixels[:, [0, -1]].flatten(1), pixels[:, :, [0, -1]].flatten(1)], dim=1)
    size = 32 // GRID
    pixels[:, 2 * size : 3 * size, 5 * size : 6 * size] = rim.median(1).values[:, None, None]
    loss = why.score - pair.of_pictures(pixels[None])[0]
    assert why.region_GG.shape == (GRID, GRID)
    assert why.region_GG[2, 5] == pytest.approx(loss, abs=1e-5)


def test_hiding_nothing_and_everything():
    pixels = torch.randint(0, 256, (3, 30, 21), dtype=torch.uint8)
    none, whole = hide(pixels, np.stack([np.zeros((8, 8), bool), np.ones((8, 8), bool)]))
    assert torch.equal(none, pixels)
    assert len(whole.flatten(1).unique(dim=1).T) == 1
    assert (hide(pixels, cells(4)) != pixels).any(1).sum() <= 30 * 21


def test_the_heaviest_cells_cost_more_than_others(encoder):
    """Deletion on random weights: the heaviest fifth costs more than the mean of ten others."""
    rng, gains = np.random.default_rng(0), []
    for seed in range(4):
        pair = PairScore(encoder, None, "red shoe", [make_picture(seed)])
        why = explain(pair)
        fifth = round(0.2 * GRID**2)
        orders = [np.argsort(-why.region_GG, axis=None)]
        orders += [rng.permutation(GRID**2) for _ in range(10)]
        masks = np.zeros((len(orders), GRID**2), bool)
        for mask, order in zip(masks, orders, strict=True):
            mask[order[:fifth]] = True
        left = pair.of_pictures(hide(pair.pixels_CHW, masks.reshape(-1, GRID, GRID)))
        gains.append(why.score - left[0] - (why.score - left[1:]).mean())
    assert min(gains) > 0


def test_look_alikes_are_those_of_the_whole_picture(encoder):
    """Their words are read for the whole picture, so hiding a cell asks the memory nothing new."""
    reranker = tiny_reranker(encoder)
    reranker.weights[:] = torch.tensor([1.0, 0.5, 1.0])
    explain(pair_of(encoder, reranker=reranker))
    assert len(reranker.neighbours._found) == 1


def test_the_heat_map_is_whole_and_escaped(encoder):
    pair = pair_of(encoder, "a&b 红色鞋子")
    svg = heat_map(pair.pixels_CHW, explain(pair))
    tree = ET.fromstring(svg)
    image = tree.find("{http://www.w3.org/2000/svg}image")
    content = image.get("href").partition(",")[2]
    assert Image.open(io.BytesIO(b64decode(content))).size == (32, 32)
    assert "".join(tree.itertext()).count("红色") == 1
