"""xmodal/registry/promotion.py: the gate decides, the pointer moves once, the alias follows."""

import shutil

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


def candidate_of(home, version, mrr, catalog="c", depth=50, drawn="all"):
    matcher = MatcherVersion("xmodal", version, f"runs/{version}/{MATCHER}", f"print-{version}")
    # Values that differ by query, as a bootstrap needs
    scores = {query: mrr + 0.001 * (place % 5) for place, query in enumerate(QUERIES)}
    table = {"mrr@10": scores}
    found = Candidate(matcher, f"i{version}", catalog, depth, drawn, table, p50_ms=9.5)
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


@pytest.mark.parametrize("other", [{"depth": 10}, {"drawn": "others"}])
def test_figures_of_other_queries_or_another_depth_do_not_compare(tracker, tmp_path, other):
    home = make_home(tracker, tmp_path)
    live = promote(home, tracker, candidate_of(home, "1", 0.3), resamples=200).live
    outcome = promote(home, tracker, candidate_of(home, "2", 0.9, **other), resamples=200)
    assert (outcome.verdict.verdict, outcome.live) == ("incomparable", live)
    assert "jobs/pipeline.py measures both" in outcome.summary()["reasons"]


def test_a_champion_without_its_measurement_is_not_passed_by(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    live = promote(home, tracker, candidate_of(home, "1", 0.4), resamples=200).live
    shutil.rmtree(home / "releases" / "measured")
    outcome = promote(home, tracker, candidate_of(home, "2", 0.1), resamples=200)
    assert (outcome.verdict.verdict, outcome.is_new) == ("incomparable", False)
    assert read_pointer(home) == live


def test_a_catalog_that_comes_back_has_its_champion_still(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    for version, catalog in (("1", "c"), ("2", "d")):
        promote(home, tracker, candidate_of(home, version, 0.4, catalog), resamples=200)
    outcome = promote(home, tracker, candidate_of(home, "2", 0.1), resamples=200)
    assert outcome.verdict.verdict == "worse"


def test_what_was_rolled_back_comes_back_by_force_alone(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    promote(home, tracker, candidate_of(home, "1", 0.3), resamples=200)
    again = candidate_of(home, "2", 0.4)
    promote(home, tracker, again, resamples=200)
    roll_back(home, tracker)
    outcome = promote(home, tracker, again, resamples=200)
    assert (outcome.verdict.verdict, champion(tracker)) == ("rolled back", "1")
    assert promote(home, tracker, again, resamples=200, force=True).is_new
    assert (read_pointer(home).matcher.version, champion(tracker)) == ("2", "2")


def test_the_alias_is_mended_where_a_promotion_ended_before_it(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    candidate = candidate_of(home, "1", 0.3)
    promote(home, tracker, candidate, resamples=200)
    tracker.client.delete_registered_model_alias("xmodal", "champion")
    assert not promote(home, tracker, candidate, resamples=200).is_new
    assert champion(tracker) == "1"


def test_a_version_that_is_not_registered_moves_nothing(tracker, tmp_path):
    home = make_home(tracker, tmp_path)
    with pytest.raises(ReleaseError, match="version 7 of xmodal is not in the registry"):
        promote(home, tracker, candidate_of(home, "7", 0.3), resamples=200)
    assert read_pointer(home) is None


def test_without_a_candidate_it_says_what_makes_one(tmp_path):
    with pytest.raises(ReleaseError, match="pipeline"):
        read_candidate(tmp_path)
