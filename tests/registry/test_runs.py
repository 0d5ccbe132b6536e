"""xmodal/registry/runs.py: a real SQLite store holds what a run was given and measured."""

import pytest

from xmodal.errors import ServiceError
from xmodal.registry.runs import Data, Tracker


def test_params_are_flattened_and_a_second_start_goes_on_with_the_run(tracker):
    for lr in (0.1, 0.2):  # the second value is another process' view: the first stays
        with tracker.run("train-1", "first") as run:
            run.params({"training": {"learning_rate": lr}})
    runs = tracker.client.search_runs([tracker.experiment_id], "attributes.run_name = 'train-1'")
    assert len(runs) == 1
    assert runs[0].data.params == {"training.learning_rate": "0.1"}
    assert runs[0].info.status == "FINISHED"


def test_metrics_keep_their_steps_and_lose_the_at_sign(tracker):
    with tracker.run("steps") as run:
        for step in range(3):
            run.metrics({"val/recall@10": step / 10}, step)
    rows = tracker.client.get_metric_history(run.id, "val/recall_at_10")
    assert [(row.step, row.value) for row in rows] == [(0, 0.0), (1, 0.1), (2, 0.2)]


def test_more_metrics_than_one_call_takes(tracker):
    with tracker.run("many") as run:
        run.metrics({f"m{i}": i for i in range(1001)})
    assert len(tracker.client.get_run(run.id).data.metrics) == 1001


def test_lineage_names_the_catalog_and_the_commit(tracker):
    with tracker.run("lineage") as run:
        run.data(Data("shoes", "ab12", "/shop", {"products": 3}))
    found = tracker.client.get_run(run.id)
    assert found.inputs.dataset_inputs[0].dataset.digest == "ab12"
    assert "mlflow.note.content" in found.data.tags


def test_artifacts_land_under_the_home_wherever_the_process_stands(tracker, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = tmp_path / "report.html"
    report.write_text("<p>")
    with tracker.run("files") as run:
        run.artifact(report, "report")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert tracker.client.list_artifacts(run.id, "report")[0].path == "report/report.html"


def test_a_failure_is_written_on_the_run(tracker):
    with pytest.raises(ZeroDivisionError), tracker.run("broken") as run:
        1 / 0  # noqa: B018
    assert tracker.client.get_run(run.id).info.status == "FAILED"


def test_system_metrics_are_sampled(tracker):
    with tracker.run("system") as run, run.system_metrics(every_s=0.05):
        import time

        time.sleep(0.5)
    names = tracker.client.get_run(run.id).data.metrics
    assert any(name.startswith("system/") for name in names)


def test_a_server_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ServiceError, match="no tracking store at http://127.0.0.1:9"):
        Tracker(tmp_path, uri="http://127.0.0.1:9")


def test_an_artifact_has_a_page_below_the_server(tracker):
    with tracker.run("one") as run:
        assert run.page("report/report.html") == (
            f"#/experiments/{tracker.experiment_id}/runs/{run.id}/artifacts/report/report.html"
        )
