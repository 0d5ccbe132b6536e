"""xmodal/matcher/image_tower.py: cut anywhere, the two parts are the whole."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from xmodal.errors import MatcherError
from xmodal.matcher.image_tower import load_weights, make_timm, split

_PICTURES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_convnext", "test_vit"])
def test_lower_and_upper_give_the_models_own_features(name: str) -> None:
    torch.manual_seed(0)
    model = make_timm(name, (64, 64)).eval()
    for trained in (1, None):
        lower, upper, above = split(model, trained)
        with torch.inference_mode():
            pooled, last = upper(lower(_PICTURES))
            torch.testing.assert_close(pooled, model(_PICTURES), atol=1e-4, rtol=1e-4)
        assert last.ndim == 4
        assert above == (trained or above)


def test_more_blocks_than_the_tower_has_are_refused() -> None:
    with pytest.raises(MatcherError, match=r"trained_blocks=99.*at most"):
        split(make_timm("test_efficientnet", (64, 64)), 99)


def test_an_unknown_model_is_one_line() -> None:
    with pytest.raises(MatcherError, match="no_such_model"):
        make_timm("no_such_model", (64, 64))


def test_weights_of_another_port_are_taken_in_order(tmp_path: Path) -> None:
    given, model = _two_models()
    state = {f"{i:03}": value for i, value in enumerate(given.state_dict().values())}
    state |= {"998": torch.zeros(10, 256), "999": torch.zeros(10)}  # a classifier, left out
    torch.save(state, tmp_path / "weights.pth")
    load_weights(model, tmp_path / "weights.pth")
    with torch.inference_mode():
        assert torch.equal(model(_PICTURES), given(_PICTURES))


def test_safetensors_are_taken_by_name(tmp_path: Path) -> None:
    given, model = _two_models()
    save_file(given.state_dict() | {"classifier.bias": torch.zeros(10)}, tmp_path / "w.safetensors")
    load_weights(model, tmp_path / "w.safetensors")
    with torch.inference_mode():
        assert torch.equal(model(_PICTURES), given(_PICTURES))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    torch.save(make_timm("test_resnet", (64, 64)).state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(MatcherError, match="another architecture"):
        load_weights(make_timm("test_efficientnet", (64, 64)), tmp_path / "resnet.pth")


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": Path("/")}, tmp_path / "bad.pth")
    with pytest.raises(MatcherError, match="cannot read the weights"):
        load_weights(make_timm("test_efficientnet", (64, 64)), tmp_path / "bad.pth")


def _two_models() -> list[nn.Module]:
    torch.manual_seed(1)
    return [make_timm("test_efficientnet", (64, 64)).eval() for _ in range(2)]
