"""xmodal/evaluation/seeds.py: mean and spread by hand, and what cannot be put together."""

import json

import pytest

from xmodal.errors import QueriesError
from xmodal.evaluation.seeds import spread


def report(folder, name, value, catalog="c", system="tuned"):
    result = {"part": "dev", "task": "text-image", "system": system, "means": {"mrr@10": value}}
    content = {"facts": {"catalogue fingerprint": catalog}, "results": [result]}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def test_mean_and_sample_deviation_over_runs(tmp_path):
    paths = [report(tmp_path, n, value) for n, value in enumerate((0.1, 0.2, 0.3))]
    found = spread(paths)["dev", "text-image", "tuned", "mrr@10"]
    assert (found.mean, found.deviation) == (pytest.approx(0.2), pytest.approx(0.1))
    assert spread(paths[:1])["dev", "text-image", "tuned", "mrr@10"].deviation == 0.0


@pytest.mark.parametrize("other", [{"catalog": "d"}, {"system": "base"}])
def test_reports_of_different_things_are_refused(tmp_path, other):
    with pytest.raises(QueriesError, match="reports"):
        spread([report(tmp_path, "a", 0.1), report(tmp_path, "b", 0.2, **other)])


def test_another_file_is_refused_by_name(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(QueriesError, match=r"x\.json: not the metrics"):
        spread([tmp_path / "x.json"])
