"""xmodal/cli.py: flags to a request, an answer to a table, errors to exit codes."""

import json

import pytest

from xmodal.cli import main
from xmodal.client import Answer, Client, Hit
from xmodal.errors import QueryError, ServiceError

HIT = Hit("p1", 0.5, "red shoe", {"colour": "red"})
FOUND = Answer("q1", [HIT], {"id": "r1"}, ["rerank_fewer"])


@pytest.fixture
def asked(monkeypatch):
    """What the client was asked; `asked["answer"]` is what it gives or raises."""
    seen = {"answer": FOUND}

    def search(self, **wanted):
        seen.update(wanted, url=self.url)
        if isinstance(seen["answer"], Exception):
            raise seen["answer"]
        return seen["answer"]

    monkeypatch.setattr(Client, "search", search)
    return seen


def test_a_search_prints_a_table(asked, capsys):
    assert main(["search", "red", "shoe", "--filter", "kind=shoe", "--filter", "kind=bag"]) == 0
    assert (asked["text"], asked["filter"], asked["rerank"]) == (
        "red shoe",
        {"kind": ["shoe", "bag"]},
        None,
    )
    printed = capsys.readouterr().out
    assert "p1" in printed
    assert "rerank_fewer" in printed


def test_similar_sends_the_picture(asked, tmp_path):
    assert main(["similar", str(tmp_path / "a.jpg"), "--limit", "3", "--no-rerank"]) == 0
    assert (asked["image"], asked["limit"], asked["text"]) == (tmp_path / "a.jpg", 3, None)
    assert asked["rerank"] is False


def test_json_is_the_whole_answer(asked, capsys):
    assert main(["search", "shoe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["product_id"] == "p1"


@pytest.mark.parametrize("error", [QueryError("text: empty"), ServiceError("nobody answers")])
def test_an_error_is_one_line_and_exit_code_2(asked, capsys, error):
    asked["answer"] = error
    assert main(["search", "shoe"]) == 2
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_filter_needs_its_value(asked, capsys):
    assert main(["search", "shoe", "--filter", "kind"]) == 2
    assert "category=Shoes" in capsys.readouterr().err
