"""What a model's name on a command line means: a folder, a registered version, or the base."""

from pathlib import Path

from xmodal.errors import MatcherError
from xmodal.settings import Settings


def matcher_folder(name: str, home: Path, settings: Settings) -> Path:
    """The saved matcher's folder that `name` means.

    Args:
        name: a folder, `models:/name@alias`, `models:/name/3`, or `base`: the home's untuned one.

    Raises:
        MatcherError: there is none such.
    """
    if name == "base":
        folder = home / "base" / "matcher"
        if not folder.is_dir():
            raise MatcherError(f"{home} has no base matcher yet; run jobs/pipeline.py first")
        return folder
    if not name.startswith("models:/"):
        return Path(name)
    # Here and not above: MLflow takes seconds to import, and a folder needs none of it.
    from xmodal.registry.releases import fetch
    from xmodal.registry.runs import Tracker

    return fetch(Tracker(home, settings.tracking.uri), name, home / "cache" / "models")
