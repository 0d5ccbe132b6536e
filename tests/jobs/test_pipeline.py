"""jobs/pipeline.py: the whole job on a small shop leaves a release; a second run does nothing."""

import shutil

import mlflow.pyfunc
import pytest

from jobs.pipeline import main
from jobs.promote import main as promote
from tests.training.toy import tiny_base
from xmodal.catalog.demo import write_demo_shop
from xmodal.registry.pointer import list_releases, read_pointer

CONFIG = """
matcher: {{base: {base}, dim: 16, image_size: [32, 32]}}
catalog: {{path: {shop}, queries: queries}}
training: {{epochs: 1, batch: 32, workers: 1}}
tuning: {{trials: 0}}
reranker: {{epochs: 1}}
evaluation: {{bootstrap: 100}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, ray_cluster, migrated):
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "home").mkdir()
    shutil.copy(migrated, folder / "home" / "mlflow.db")
    shop = write_demo_shop(folder / "shop", products=120, seed=1)
    base = tiny_base(folder / "base")
    (folder / "small.yaml").write_text(CONFIG.format(shop=shop, base=base))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_HOME", str(folder / "home"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/home/mlflow.db")
        assert main(["--config", str(folder / "small.yaml"), "--trace"]) == 0
        yield folder


def test_a_submitted_job_without_a_home_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.delenv("XMODAL_HOME", raising=False)
    assert main(["--config", "configs/demo.yaml"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: a submitted job needs an absolute XMODAL_HOME: add --runtime")
    assert said.count("\n") == 1


def test_a_folder_is_found_from_where_it_was_typed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for given, shown in (("shop #2", f"{tmp_path}/shop #2"), ("moon://a b", "moon://a b")):
        assert main(["--catalog", given, "--glossary", "~"]) == 2
        assert f"error: catalogue {shown}: no" in capsys.readouterr().err


@pytest.mark.slow
def test_it_ends_at_a_release_that_mlflow_can_load(finished):
    home = finished / "home"
    release = read_pointer(home)
    assert release.gate["verdict"] == "first"
    assert release.matcher_folder(home).is_dir()
    assert release.index_folder(home).is_dir()
    model = mlflow.pyfunc.load_model("models:/xmodal@champion")
    assert model.predict([{"text": "red shoe"}, {"text": "红色鞋子"}]).shape == (2, 16)


@pytest.mark.slow
def test_a_second_run_does_nothing_again(finished, capsys):
    assert main(["--config", str(finished / "small.yaml")]) == 0
    said = capsys.readouterr().out
    assert "done in" not in said
    assert len(list_releases(finished / "home")) == 1


@pytest.mark.slow
def test_the_first_release_cannot_be_rolled_back(finished, capsys):
    assert promote(["--config", str(finished / "small.yaml"), "--rollback"]) == 2
    assert "first release" in capsys.readouterr().err
