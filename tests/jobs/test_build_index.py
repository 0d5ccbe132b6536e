"""jobs/build_index.py: what it leaves, and the command that comes next."""

import shutil

import pytest

from jobs.build_index import main
from tests.homes import tiny_home
from xmodal.catalog.judged import Queries, write_queries
from xmodal.catalog.store import current_catalog
from xmodal.fingerprint import of_json
from xmodal.matcher.saved import read_facts
from xmodal.registry.promotion import read_candidate
from xmodal.registry.releases import VersionFacts, register
from xmodal.registry.runs import Tracker

ASKED = Queries({"q": "red shoe"}, {}, {"q": {"p000": 1}})


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_registered_matcher_is_measured_for_the_gate(tmp_path, migrated, monkeypatch, capsys):
    folder = tiny_home(tmp_path).matcher_folder(tmp_path)
    shutil.copy(migrated, tmp_path / "mlflow.db")
    write_queries(current_catalog(tmp_path).path / "judged", "val", ASKED)
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    assert main(["--matcher", str(folder), "--trace"]) == 0
    assert "jobs/pipeline.py" in capsys.readouterr().out  # the registry does not know it yet
    facts = read_facts(folder)
    with Tracker(tmp_path).run("train") as run:
        fingerprint, about = of_json(facts.parts), VersionFacts("", {}, {}, 16)
        register(run, "xmodal", folder, fingerprint, home=tmp_path, facts=about)
    assert main(["--trace"]) == 0
    assert "jobs/promote.py" in capsys.readouterr().out
    assert read_candidate(tmp_path).matcher.version == "1"
