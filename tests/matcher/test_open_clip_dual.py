"""xmodal/matcher/open_clip_dual.py: a model in the hub's own layout, written by the test."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize

from tests.factories import CAPTIONS, make_picture, tiny_text, tiny_tokenizer
from xmodal.errors import MatcherError
from xmodal.matcher.families import make_encoder
from xmodal.matcher.open_clip_dual import OpenClipDual
from xmodal.matcher.saved import load_encoder, save_encoder
from xmodal.settings import MatcherSettings

_VIT = {"image_size": 32, "layers": 3, "width": 32, "head_width": 16, "patch_size": 8}
_TIMM = {"image_size": 32, "timm_model_name": "test_efficientnet", "timm_proj": "linear"}
_OWN_TEXT = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}


def _write(folder: Path, vision: dict[str, object], text: dict[str, object]) -> Path:
    folder.mkdir()
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    preprocess = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "resize_mode": "squash"}
    document = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    if "hf_model_name" in text:
        tiny_text().model.config.save_pretrained(folder / "text")
        tiny_tokenizer().save_pretrained(folder)
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(params=["clip", "timm and hub text"])
def hub_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny model of open_clip's own parts, and one of timm's and the hub's."""
    if request.param == "clip":
        return _write(tmp_path / "hub", _VIT, _OWN_TEXT)
    text = {
        "hf_model_name": str(tmp_path / "hub" / "text"),
        "hf_tokenizer_name": str(tmp_path / "hub"),
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "mlp",
        "context_length": 12,
    }
    return _write(tmp_path / "hub", _TIMM | {"timm_pool": "avg"}, text)


def _make(folder: Path, **settings: object) -> OpenClipDual:
    base = MatcherSettings(base=f"open_clip:{folder}", **settings)
    encoder = make_encoder(base, CAPTIONS)
    assert isinstance(encoder, OpenClipDual)
    return encoder


def test_untuned_it_gives_the_zero_shot_vectors(hub_folder: Path) -> None:
    encoder = _make(hub_folder, trained_blocks=1)
    model = open_clip.create_model(f"local-dir:{hub_folder}").eval()
    pixels = encoder.inputs.images([make_picture(1), make_picture(2)])
    tokens = open_clip.get_tokenizer(f"local-dir:{hub_folder}")(["red shoe", "blue"])
    with torch.inference_mode():
        image = normalize(model.encode_image(encoder.normalise(pixels)), dim=1)
        text = normalize(model.encode_text(tokens), dim=1)
        mine = encoder.encode_text(encoder.inputs.texts(["red shoe", "blue"]))
        torch.testing.assert_close(encoder.encode_image(pixels), image)
    torch.testing.assert_close(mine, text)
    assert encoder.spec.fit == "stretch"
    assert encoder.spec.mean == (0.5, 0.4, 0.3)


def test_every_trained_weight_gets_a_gradient(hub_folder: Path) -> None:
    encoder = _make(hub_folder, trained_blocks=1, train_text=True).train()
    image = encoder.image_trunk(encoder.inputs.images([make_picture(1), make_picture(2)]))
    text = encoder.text_trunk(encoder.inputs.texts(["red shoe", "blue 红"]))
    text_BD, image_BD, scale = encoder(text, image)
    (scale.exp() * (text_BD @ image_BD.T))[0].log_softmax(0)[0].backward()
    trained = {name: weight for name, weight in encoder.named_parameters() if weight.requires_grad}
    assert not [name for name, weight in trained.items() if weight.grad is None]
    assert any(name.startswith("tuned") for name in trained)


def test_saved_it_reloads_without_the_hub_folder(hub_folder: Path, tmp_path: Path) -> None:
    encoder = _make(hub_folder)
    save_encoder(encoder, tmp_path / "encoder")
    hub_folder.rename(tmp_path / "gone")
    again = load_encoder(tmp_path / "encoder")
    pixels = encoder.inputs.images([make_picture(1)])
    with torch.inference_mode():
        torch.testing.assert_close(again.encode_image(pixels), encoder.encode_image(pixels))
        there = again.encode_text(again.inputs.texts(["red 鞋"]))
        torch.testing.assert_close(there, encoder.encode_text(encoder.inputs.texts(["red 鞋"])))
        assert encoder.patch_tokens(encoder.image_trunk(pixels)).shape == (1, 16, 128)


@pytest.mark.parametrize("base", ["open_clip:ViT-B-32@no-such-weights", "open_clip:no-such-model"])
def test_an_unknown_name_is_one_line(base: str) -> None:
    with pytest.raises(MatcherError, match="no-such"):
        make_encoder(MatcherSettings(base=base), CAPTIONS)
