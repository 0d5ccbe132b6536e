"""xmodal/matcher/adapters.py: they change nothing at first, learn alone, and leave no trace."""

import pytest
import torch
from torch import nn

from tests.factories import CAPTIONS, make_picture, tiny_encoder
from tests.matcher.test_open_clip_dual import _OWN_TEXT, _VIT, _make, _write
from xmodal.errors import MatcherError
from xmodal.matcher.adapters import add_adapters, is_adapter
from xmodal.matcher.saved import load_encoder, save_encoder


def vectors(encoder):
    encoder.eval()
    with torch.no_grad():
        image = encoder.encode_image(encoder.inputs.images([make_picture(1), make_picture(2)]))
        return torch.cat([image, encoder.encode_text(encoder.inputs.texts(list(CAPTIONS)))])


def learn(encoder):
    """As if trained: every adapter has moved."""
    torch.manual_seed(1)
    for name, weight in encoder.named_parameters():
        if is_adapter(name):
            weight.data += 0.05 * torch.randn_like(weight)


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_merged_is_unmerged_and_a_saved_encoder_has_no_adapter(kind, tmp_path):
    encoder = tiny_encoder(train_text=True)
    first, names = vectors(encoder), encoder.state_dict().keys()
    adapters = add_adapters(encoder, kind, 2)
    torch.testing.assert_close(vectors(encoder), first, atol=1e-5, rtol=0)
    learn(encoder)
    unmerged = vectors(encoder)
    assert (unmerged - first).abs().max() > 1e-3
    adapters.merge()
    torch.testing.assert_close(vectors(encoder), unmerged, atol=1e-5, rtol=0)
    assert encoder.state_dict().keys() == names
    save_encoder(encoder, tmp_path / "encoder")
    assert torch.equal(vectors(load_encoder(tmp_path / "encoder")), vectors(encoder))


def test_attention_of_a_dual_encoder_is_merged_too(tmp_path):
    encoder = _make(_write(tmp_path / "hub", _VIT, _OWN_TEXT), train_text=True)
    adapters = add_adapters(encoder, "lora", 2)
    assert any("attn.lora_A" in name for name in encoder.trained_state())
    learn(encoder)
    unmerged = vectors(encoder)
    adapters.merge()
    torch.testing.assert_close(vectors(encoder), unmerged, atol=1e-5, rtol=0)


def test_only_adapters_heads_and_words_are_trained():
    encoder = tiny_encoder(train_text=True)
    add_adapters(encoder, "lora", 2)
    towers = [n for n in encoder.trained_state() if n.startswith(("tuned.", "text."))]
    assert {n.partition(".")[0] for n in towers} == {"tuned", "text"}
    assert all(is_adapter(name) for name in towers)
    assert any(name.startswith("text_out.") for name in encoder.trained_state())


def test_without_a_trained_tower_there_is_nothing_to_adapt():
    with pytest.raises(MatcherError, match=r"no tower is trained; set matcher\.trained_blocks"):
        add_adapters(tiny_encoder(trained_blocks=0), "lora", 2)


def test_a_tower_without_such_a_layer_is_named():
    encoder = tiny_encoder()
    encoder.base = nn.Sequential(nn.Conv2d(8, 8, 3))
    with pytest.raises(
        MatcherError, match=r"adapter=dora: .* image tower .* matcher\.base"
    ) as said:
        add_adapters(encoder, "dora", 2)
    assert "\n" not in str(said.value)
