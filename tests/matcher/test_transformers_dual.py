"""xmodal/matcher/transformers_dual.py: hub models in the hub's own layout, written by the test."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize
from transformers import (
    ChineseCLIPConfig,
    ChineseCLIPImageProcessor,
    ChineseCLIPModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedModel,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

from tests.factories import CAPTIONS, make_picture, tiny_tokenizer
from xmodal.errors import MatcherError
from xmodal.matcher.families import make_encoder
from xmodal.matcher.saved import load_encoder, save_encoder
from xmodal.matcher.transformers_dual import HubDual
from xmodal.settings import MatcherSettings

_WIDTH = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
_VISION = _WIDTH | {"image_size": 32, "patch_size": 8, "projection_dim": 16}
_TEXT = _WIDTH | {"vocab_size": 200, "max_position_embeddings": 24, "projection_dim": 16}
_SIZE = {"height": 32, "width": 32}


def _clip() -> PreTrainedModel:
    text = _TEXT | {"eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=16))


def _siglip() -> PreTrainedModel:
    return SiglipModel(SiglipConfig(text_config=_TEXT, vision_config=_VISION))


def _chinese() -> PreTrainedModel:
    return ChineseCLIPModel(
        ChineseCLIPConfig(text_config=_TEXT, vision_config=_VISION, projection_dim=16)
    )


MODELS = {
    "clip": (_clip, CLIPImageProcessor),
    "siglip": (_siglip, SiglipImageProcessor),
    "chinese_clip": (_chinese, ChineseCLIPImageProcessor),
}


@pytest.fixture(params=MODELS)
def hub_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny model of each kind, in the hub's layout."""
    torch.manual_seed(0)
    make, processor = MODELS[request.param]
    make().save_pretrained(tmp_path / "hub")
    tiny_tokenizer().save_pretrained(tmp_path / "hub")
    processor(size=_SIZE, crop_size=_SIZE).save_pretrained(tmp_path / "hub")
    return tmp_path / "hub"


def _make(folder: Path, **settings: object) -> HubDual:
    base = MatcherSettings(base=f"transformers:{folder}", **settings)
    encoder = make_encoder(base, CAPTIONS)
    assert isinstance(encoder, HubDual)
    return encoder


def test_untuned_it_gives_the_zero_shot_vectors(hub_folder: Path) -> None:
    from transformers import AutoModel

    encoder = _make(hub_folder, trained_blocks=2)
    model = AutoModel.from_pretrained(hub_folder).eval()
    pixels = encoder.inputs.images([make_picture(1), make_picture(2)])
    tokens = encoder.inputs.texts(["red shoe", "blue"])
    with torch.inference_mode():
        image = model.get_image_features(pixel_values=encoder.normalise(pixels)).pooler_output
        text = model.get_text_features(
            input_ids=tokens["ids_BT"], attention_mask=tokens.get("mask_BT")
        ).pooler_output
        torch.testing.assert_close(encoder.encode_image(pixels), normalize(image, dim=1))
        torch.testing.assert_close(encoder.encode_text(tokens), normalize(text, dim=1))


def test_every_trained_weight_gets_a_gradient(hub_folder: Path) -> None:
    encoder = _make(hub_folder, trained_blocks=1, train_text=True).train()
    image = encoder.image_trunk(encoder.inputs.images([make_picture(1), make_picture(2)]))
    text = encoder.text_trunk(encoder.inputs.texts(["red shoe", "blue 红"]))
    text_BD, image_BD, scale = encoder(text, image)
    (scale.exp() * (text_BD @ image_BD.T))[0].log_softmax(0)[0].backward()
    trained = {name: weight for name, weight in encoder.named_parameters() if weight.requires_grad}
    assert not [name for name, weight in trained.items() if weight.grad is None]
    assert any(name.startswith("tuned") for name in trained)
    assert any(name.startswith("text") for name in trained)


def test_saved_it_reloads_to_the_same_vectors(hub_folder: Path, tmp_path: Path) -> None:
    encoder = _make(hub_folder)
    save_encoder(encoder, tmp_path / "encoder")
    again = load_encoder(tmp_path / "encoder")
    pixels = encoder.inputs.images([make_picture(1)])
    tokens = encoder.inputs.texts(["red 鞋"])
    with torch.inference_mode():
        torch.testing.assert_close(again.encode_image(pixels), encoder.encode_image(pixels))
        torch.testing.assert_close(
            again.encode_text(again.inputs.texts(["red 鞋"])), encoder.encode_text(tokens)
        )
        assert encoder.patch_tokens(encoder.image_trunk(pixels)).shape == (1, 16, 128)


def test_a_missing_folder_is_one_line() -> None:
    with pytest.raises(MatcherError, match="nowhere"):
        make_encoder(MatcherSettings(base="transformers:./nowhere/at/all"), CAPTIONS)
