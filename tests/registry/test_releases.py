"""xmodal/registry/releases.py: versions, aliases, and a model that MLflow loads by itself."""

from functools import partial

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from tests.factories import make_picture, tiny_encoder
from xmodal.errors import MatcherError, ReleaseError, UserError
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import load_encoder, save_matcher
from xmodal.registry.pointer import MatcherVersion, Release
from xmodal.registry.releases import (
    VersionFacts,
    fetch,
    find_version,
    has_version,
    mirror_champion,
    prove_version,
    register,
    tag_verdict,
)

ABOUT = VersionFacts("A test.", {"base": "tiny"}, {"recall@10": 0.5}, dim=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "saved"
    save_matcher(folder, tiny_encoder(), None, Facts())
    return folder


def registered(tracker, folder, fingerprint="abc"):
    with tracker.run("train-1") as run:
        return register(run, "xmodal", folder, fingerprint, home=folder.parent, facts=ABOUT)


def release_of(matcher):
    return Release("r0001-x", matcher, "i", "c", "s", {}, "now")


def test_a_registered_matcher_is_the_challenger_with_what_the_pages_show(tracker, folder):
    matcher = registered(tracker, folder)
    assert matcher == MatcherVersion("xmodal", "1", "saved", "abc")
    version = tracker.client.get_model_version_by_alias("xmodal", "challenger")
    assert (version.description, version.tags["base"]) == ("A test.", "tiny")


def test_the_same_matcher_twice_is_one_version(tracker, folder):
    assert registered(tracker, folder) == registered(tracker, folder)
    assert registered(tracker, folder, "def").version == "2"


def test_another_homes_alias_is_not_taken(tracker, folder, tmp_path):
    matcher = registered(tracker, folder)
    with tracker.run("train-2") as run, pytest.raises(ReleaseError, match="held for the home"):
        register(run, "xmodal", folder, "def", home=tmp_path, facts=ABOUT)
    with pytest.raises(ReleaseError, match=r"tracking\.uri of its own"):
        prove_version(tracker, tmp_path, matcher)
    prove_version(tracker, folder.parent, matcher)


def test_a_version_is_found_by_its_matcher(tracker, folder):
    found = partial(find_version, tracker, "xmodal", folder, home=folder.parent)
    assert found("abc") is None
    assert registered(tracker, folder) == found("abc")
    assert has_version(tracker, found("abc"))


def test_champion_mirrors_the_release(tracker, folder):
    matcher = registered(tracker, folder)
    mirror_champion(tracker, release_of(matcher))
    version = tracker.client.get_model_version_by_alias("xmodal", "champion")
    assert (str(version.version), version.tags["release"]) == ("1", "r0001-x")


def test_a_verdict_is_written_on_the_version(tracker, folder):
    tag_verdict(tracker, registered(tracker, folder), "worse", ["lower MRR"])
    tags = tracker.client.get_model_version("xmodal", "1").tags
    assert (tags["gate"], tags["gate_reasons"]) == ("worse", "lower MRR")


def test_mlflow_loads_the_champion_and_gets_our_vectors(tracker, folder, monkeypatch):
    mirror_champion(tracker, release_of(registered(tracker, folder)))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.uri)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    model = mlflow.pyfunc.load_model("models:/xmodal@champion")
    picture = make_picture()
    mixed = model.predict([{"text": "red shoe"}, {"image": picture}])
    encoder = load_encoder(folder / "encoder")
    text = encoder.encode_text(encoder.inputs.texts(["red shoe"])).detach().numpy()
    image = encoder.encode_image(encoder.inputs.images([picture])).detach().numpy()
    np.testing.assert_allclose(mixed, np.concatenate([text, image]), atol=1e-5)
    frame = model.predict(pd.DataFrame({"text": ["red shoe"]}))
    np.testing.assert_allclose(frame, text, atol=1e-5)


def test_a_row_with_nothing_in_it_is_named(folder):
    from xmodal.registry.pyfunc_model import _load_pyfunc

    with pytest.raises(UserError, match="row 1"):
        _load_pyfunc(str(folder)).predict([{"text": "red shoe"}, {"text": ""}])


def test_fetch_gives_the_saved_matcher_and_downloads_it_once(tracker, folder, tmp_path):
    registered(tracker, folder)
    first = fetch(tracker, "models:/xmodal@challenger", tmp_path)
    assert load_encoder(first / "encoder").dim == 16
    (first / "mark").touch()
    assert (fetch(tracker, "models:/xmodal/1", tmp_path) / "mark").exists()


def test_an_alias_that_is_not_there_is_one_line(tracker, tmp_path):
    with pytest.raises(MatcherError, match="models:/xmodal@champion is not in the registry"):
        fetch(tracker, "models:/xmodal@champion", tmp_path)


def test_a_packed_model_holds_no_pickle(tracker, folder, tmp_path):
    registered(tracker, folder)
    fetch(tracker, "models:/xmodal/1", tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert "MLmodel" in {path.name for path in files}
    assert not [path for path in files if path.suffix in (".pkl", ".pt", ".pth", ".bin")]
