"""jobs/seeds.py: prints and leaves the spread."""

import json

from jobs.seeds import main
from tests.evaluation.test_seeds import report


def test_the_spread_is_printed_and_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XMODAL_HOME", str(tmp_path))
    paths = [str(report(tmp_path, n, value)) for n, value in enumerate((0.1, 0.3))]
    assert main([*paths, "--out", str(tmp_path / "seeds.json")]) == 0
    assert "0.2000 ± 0.1414" in capsys.readouterr().out
    assert json.loads((tmp_path / "seeds.json").read_text())[0]["values"] == [0.1, 0.3]
