"""xmodal/registry/promotion.py: the gate decides, the pointer moves once, the alias follows."""

import pytest

from xmodal.errors import ReleaseError
from xmodal.registry.pointer import MatcherVersion, read_pointer
from xmodal.registry.promotion import (
    Candidate,
    promote,
    read_candidate,
    roll_back,
    save_candidate,
)
from xmodal.registry.releases import MATCHER

QUERIES = [f"query {number}" for number in range(40)]


def make_home(tracker, path, versions=("1", "2")):
    """A home with two registered versions (of empty artifacts) and their folders."""
    tracker.client.create_registered_model("xmodal")
    for version in versions:
        (path / "runs" / version / MATCHER).mkdir(parents=True)
        (path / "indexes" / f"i{version}").mkdir(parents=True)
        tracker.client.create_model_version("xmodal", source=f"file:{path}/runs/{version}")
    return path


def candidate_of(home, version, mrr, catalog="c"):
    matcher = MatcherVersion("xmodal", version, f"runs/{version}/{MATCHER}", f"print-{version}")
    # Values that differ by query, as a bootstrap needs
    scores = {query: mrr + 0.001 * (place % 5) for place, query in enumerate(QUERIES)}
    found = Candidate(matcher, f"i{version}", catalog, "s", {"mrr@10": scores}, 9.5)
    save_candidate(home, found)
    return found


def champion(tracker):
    return str(tracker.client.get_model_version_by_alias("xmodal", "champion").version)


def test_the_first_of_a_catalog_goes_live(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    outcome = promote(home, tracker, candidate_of(home, "1", 0.3), resamples=200)
    assert (outcome.verdict.verdict, outcome.is_new) == ("first", True)
    assert read_pointer(home) == outcome.live
    assert champion(tracker) == "1"


def test_a_better_one_goes_live_and_comes_back_by_rollback(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    first = promote(home, tracker, candidate_of(home, "1", 0.3), resamples=200).live
    outcome = promote(home, tracker, candidate_of(home, "2", 0.4), resamples=200)
    assert (outcome.verdict.verdict, champion(tracker)) == ("better", "2")
    assert roll_back(home, tracker) == first
    assert (read_pointer(home), champion(tracker)) == (first, "1")


def test_a_worse_one_is_refused_with_reasons_and_the_champion_stays(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    promote(home, tracker, candidate_of(home, "1", 0.4), resamples=200)
    outcome = promote(home, tracker, candidate_of(home, "2", 0.3), resamples=200)
    assert not outcome.is_new
    assert outcome.summary()["verdict"] == "worse"
    assert read_pointer(home).matcher.version == champion(tracker) == "1"
    assert tracker.client.get_model_version("xmodal", "2").tags["gate"] == "worse"


def test_the_same_candidate_twice_moves_nothing(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    live = promote(home, tracker, candidate_of(home, "1", 0.3), resamples=200).live
    again = promote(home, tracker, read_candidate(home), resamples=200)
    assert (again.is_new, again.live) == (False, live)


def test_another_catalog_has_no_champion_to_beat(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    promote(home, tracker, candidate_of(home, "1", 0.4), resamples=200)
    outcome = promote(home, tracker, candidate_of(home, "2", 0.1, catalog="d"), resamples=200)
    assert outcome.verdict.verdict == "first"


def test_without_a_candidate_it_says_what_makes_one(tmp_path):
    with pytest.raises(ReleaseError, match="pipeline"):
        read_candidate(tmp_path)
