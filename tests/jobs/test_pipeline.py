"""jobs/pipeline.py: the whole job on a small shop leaves a release; a second run does nothing."""

import mlflow.pyfunc
import pytest

from jobs.pipeline import main
from jobs.promote import main as promote
from xmodal.catalog.demo import write_demo_shop
from xmodal.registry.pointer import list_releases, read_pointer

CONFIG = """
catalog: {{path: {shop}, queries: queries}}
training: {{epochs: 1, batch: 32, workers: 1}}
tuning: {{trials: 0}}
reranker: {{epochs: 1}}
evaluation: {{bootstrap: 100}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, ray_cluster):
    folder = tmp_path_factory.mktemp("pipeline")
    shop = write_demo_shop(folder / "shop", products=120, seed=1)
    (folder / "small.yaml").write_text(CONFIG.format(shop=shop))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_HOME", str(folder / "home"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/home/mlflow.db")
        assert main(["--config", str(folder / "small.yaml"), "--trace"]) == 0
        yield folder


@pytest.mark.slow
def test_it_ends_at_a_release_that_mlflow_can_load(finished):
    home = finished / "home"
    release = read_pointer(home)
    assert release.gate["verdict"] == "first"
    assert release.matcher_folder(home).is_dir()
    assert release.index_folder(home).is_dir()
    model = mlflow.pyfunc.load_model("models:/xmodal@champion")
    assert model.predict([{"text": "red shoe"}, {"text": "红色鞋子"}]).shape == (2, 256)


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
