"""Versions of the matcher in MLflow's registry, and the two aliases that mirror our pointer.

saved matcher -> register -> xmodal/3 @challenger -> (gate, move_pointer) -> @champion
"""

import importlib.metadata
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import yaml
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from xmodal.errors import MatcherError, ReleaseError
from xmodal.registry.pointer import MatcherVersion, Release
from xmodal.registry.runs import Run, Tracker, home_uri, metric_name

MATCHER = "matcher"  # the logged model's name
HOME = "home"  # the tag that says for which home a version was registered
PINNED = ("torch", "torchvision", "timm", "transformers", "open_clip_torch", "safetensors", "numpy")
ABOUT = (
    "Text and pictures of a shop's products in one vector space, with a reranker beside it. "
    "`@champion` mirrors the live release; `@challenger` is the newest one measured."
)


def register(
    run: Run, name: str, folder: Path, fingerprint: str, *, home: Path, facts: "VersionFacts"
) -> MatcherVersion:
    """Register the saved matcher in `folder` as the next version and make it `@challenger`.

    The same matcher twice is one version.

    Raises:
        ReleaseError: a version of another home holds an alias of the model.
    """
    client = run.client
    _prove_ours(client, run.uri, name, home)
    _ensure_model(client, name)
    found = _version_of(client, name, fingerprint)
    tags = {**facts.tags, "fingerprint": fingerprint, HOME: str(home.resolve())}
    number = found or _create(run, name, folder, tags, facts)
    client.set_registered_model_alias(name, "challenger", number)
    return _version(name, number, folder, fingerprint, home)


def find_version(
    tracker: Tracker, name: str, folder: Path, fingerprint: str, *, home: Path
) -> MatcherVersion | None:
    """The registered version of the saved matcher in `folder`; None where it has none."""
    number = _version_of(tracker.client, name, fingerprint)
    return _version(name, number, folder, fingerprint, home) if number else None


def has_version(tracker: Tracker, matcher: MatcherVersion) -> bool:
    """Whether the registry has this version."""
    try:
        tracker.client.get_model_version(matcher.name, matcher.version)
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def prove_version(tracker: Tracker, home: Path, matcher: MatcherVersion) -> None:
    """Raises ReleaseError where `@champion` could not be moved to this version."""
    if not has_version(tracker, matcher):
        raise ReleaseError(
            f"version {matcher.version} of {matcher.name} is not in the registry at {tracker.uri};"
            " run jobs/pipeline.py, which registers it"
        )
    _prove_ours(tracker.client, tracker.uri, matcher.name, home)


class VersionFacts:
    """What the UI shows of a version: a description (markdown), tags, metrics and its `dim`."""

    def __init__(
        self, description: str, tags: Mapping[str, str], metrics: Mapping[str, float], dim: int
    ) -> None:
        self.description = description
        self.tags = dict(tags)
        self.metrics = dict(metrics)
        self.dim = dim


def mirror_champion(tracker: Tracker, release: Release) -> None:
    """Let `@champion` say what the pointer says."""
    matcher = release.matcher
    client = tracker.client
    client.set_registered_model_alias(matcher.name, "champion", matcher.version)
    client.set_model_version_tag(matcher.name, matcher.version, "release", release.id)


def tag_verdict(
    tracker: Tracker, matcher: MatcherVersion, verdict: str, reasons: list[str]
) -> None:
    """Write the gate's verdict on the version, also when it was refused."""
    for key, value in (("gate", verdict), ("gate_reasons", "; ".join(reasons)[:4000])):
        tracker.client.set_model_version_tag(matcher.name, matcher.version, key, value or "-")


def fetch(tracker: Tracker, uri: str, cache: Path) -> Path:
    """The saved matcher that `models:/name@alias` or `models:/name/3` means, as a local folder.

    Downloads once a version into `cache`.

    Raises:
        MatcherError: no such model, version or alias.
    """
    name, version = resolve(tracker, uri)
    folder = cache / f"{name}-{version}"
    if not folder.is_dir():
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as beside:
            # dst_path: without it every call leaves another copy in the temp folder
            got = mlflow.artifacts.download_artifacts(
                tracker.client.get_model_version_download_uri(name, version),
                dst_path=beside,
                tracking_uri=tracker.uri,
            )
            Path(got).rename(folder)
    flavors = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]
    return folder / str(flavors["python_function"]["data"])


def resolve(tracker: Tracker, uri: str) -> tuple[str, str]:
    """Name and version of a `models:/` URI. Raises MatcherError where there is none such."""
    said = uri.removeprefix("models:/").strip("/")
    try:
        if "@" in said:
            name, alias = said.split("@", 1)
            return name, str(tracker.client.get_model_version_by_alias(name, alias).version)
        name, _, version = said.partition("/")
        return name, str(tracker.client.get_model_version(name, version).version)
    except MlflowException as problem:
        raise MatcherError(
            f"{uri} is not in the registry at {tracker.uri}; run the pipeline or promote first"
        ) from problem


def _prove_ours(client: MlflowClient, uri: str, name: str, home: Path) -> None:
    """Raises ReleaseError where an alias is held for another shop, on a server that two share."""
    if uri == home_uri(home):
        return  # nobody else's; and a home may have been renamed
    for alias in ("challenger", "champion"):
        try:
            version = client.get_model_version_by_alias(name, alias)
        except MlflowException:
            continue  # nobody holds it
        holder = version.tags.get(HOME, str(home.resolve()))
        if holder != str(home.resolve()):
            raise ReleaseError(
                f"{name}@{alias} at {uri} is held for the home {holder}; give this home a"
                " tracking.uri of its own, or delete that alias"
            )


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name, description=ABOUT)
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _version(name: str, number: str, folder: Path, fingerprint: str, home: Path) -> MatcherVersion:
    inside = folder.relative_to(home) if folder.is_relative_to(home) else folder
    return MatcherVersion(name, number, str(inside), fingerprint)


def _version_of(client: MlflowClient, name: str, fingerprint: str) -> str | None:
    versions: list[ModelVersion] = client.search_model_versions(f"name = '{name}'")
    same = [v for v in versions if v.tags.get("fingerprint") == fingerprint]
    return max((str(v.version) for v in same), key=int, default=None)


def _create(run: Run, name: str, folder: Path, tags: Mapping[str, str], facts: VersionFacts) -> str:
    client = run.client
    experiment = client.get_run(run.id).info.experiment_id
    model = client.create_logged_model(
        experiment, name=MATCHER, source_run_id=run.id, tags=dict(tags), model_type="matcher"
    )
    with tempfile.TemporaryDirectory() as beside:
        packed = Path(beside) / "model"
        _pack(folder, packed, facts.dim)
        client.log_model_artifacts(model.model_id, str(packed))
    client.finalize_logged_model(model.model_id, "READY")
    for key, value in facts.metrics.items():
        client.log_metric(run.id, metric_name(key), value, model_id=model.model_id)
    version = client.create_model_version(
        name,
        # `models:/<id>` would be looked up in MLflow's global store, not in this client's
        str(model.artifact_location),
        run_id=run.id,
        tags=dict(tags),
        description=facts.description,
        model_id=model.model_id,
    )
    return str(version.version)


def _pack(folder: Path, packed: Path, dim: int) -> None:
    """An MLflow model around the saved matcher: MLmodel, signature, pinned packages, no pickle."""
    rows = Schema(
        [
            ColSpec(DataType.string, "text", required=False),
            ColSpec(DataType.binary, "image", required=False),
        ]
    )
    vectors = Schema([TensorSpec(np.dtype("float32"), (-1, dim), "vector")])
    mlflow.pyfunc.save_model(
        path=str(packed),
        loader_module="xmodal.registry.pyfunc_model",
        data_path=str(folder),
        signature=ModelSignature(inputs=rows, outputs=vectors),
        input_example=pd.DataFrame({"text": ["red shoes"]}),
        pip_requirements=[
            f"{package}=={importlib.metadata.version(package)}" for package in PINNED
        ],
    )
