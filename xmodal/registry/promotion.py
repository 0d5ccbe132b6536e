"""From a measured candidate to a release: the gate, one move of the pointer, the alias after it.

measure -> [Candidate] -> gate -> release -> pointer -> @champion
                            └ refused: the champion stays, the version carries the reasons
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xmodal.errors import ReleaseError
from xmodal.evaluation.gate import Verdict, gate
from xmodal.registry.pointer import (
    MatcherVersion,
    Release,
    holds_same,
    make_release,
    move_pointer,
    read_pointer,
    rollback,
)
from xmodal.registry.releases import mirror_champion, tag_verdict
from xmodal.registry.runs import Tracker
from xmodal.retrieval.metrics import PerQuery
from xmodal.storage import read_json, write_json_atomic

CANDIDATE = "candidate.json"


@dataclass(frozen=True)
class Candidate:
    """What stands at the gate: a registered matcher and its index, measured on `val`."""

    matcher: MatcherVersion
    index: str
    catalog: str
    settings: str
    per_query: PerQuery
    p50_ms: float


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate: the verdict, and the release that is live now."""

    verdict: Verdict
    live: Release | None
    is_new: bool

    def summary(self) -> dict[str, str]:
        """Rows for the job's table."""
        return {
            "verdict": self.verdict.verdict,
            "reasons": "; ".join(self.verdict.reasons),
            "live": self.live.id if self.live else "nothing",
            "pointer": "moved" if self.is_new else "stays",
        }


def save_candidate(home: Path, candidate: Candidate) -> None:
    """Keep the newest candidate and, by what it is made of, its measurement."""
    record = dataclasses.asdict(candidate)
    write_json_atomic(_measure_path(home, candidate.matcher.fingerprint, candidate.index), record)
    write_json_atomic(home / "releases" / CANDIDATE, record)


def read_candidate(home: Path) -> Candidate:
    """The newest candidate. Raises ReleaseError where a pipeline has yet to leave one."""
    path = home / "releases" / CANDIDATE
    if not path.exists():
        raise ReleaseError(f"no candidate in {home}; jobs/pipeline.py makes one")
    return _candidate(path)


def promote(home: Path, tracker: Tracker, candidate: Candidate, *, resamples: int) -> Outcome:
    """Let the gate decide and, where it passes, make the candidate the live release."""
    live = read_pointer(home)
    champion = _champion(home, live, candidate)
    verdict = gate(candidate.per_query, champion, resamples=resamples)
    release = make_release(
        home,
        candidate.matcher,
        index=candidate.index,
        catalog=candidate.catalog,
        settings=candidate.settings,
        gate={
            **dataclasses.asdict(verdict),
            "reasons": list(verdict.reasons),
            "p50_ms": candidate.p50_ms,
        },
    )
    if holds_same(live, release):
        return Outcome(verdict, live, is_new=False)
    tag_verdict(tracker, candidate.matcher, verdict.verdict, list(verdict.reasons))
    if not verdict.passed:
        return Outcome(verdict, live, is_new=False)
    move_pointer(home, release, why=verdict.verdict)
    mirror_champion(tracker, release)
    return Outcome(verdict, release, is_new=True)


def roll_back(home: Path, tracker: Tracker) -> Release:
    """Move the pointer to the release before, and `@champion` after it. See `pointer.rollback`."""
    release = rollback(home)
    mirror_champion(tracker, release)
    return release


def _champion(home: Path, live: Release | None, candidate: Candidate) -> PerQuery | None:
    """The live release's figures on the candidate's catalogue; None where it has none there."""
    if live is None or live.catalog != candidate.catalog:
        return None
    path = _measure_path(home, live.matcher.fingerprint, live.index)
    return _candidate(path).per_query if path.exists() else None


def _candidate(path: Path) -> Candidate:
    record = read_json(path)
    try:
        assert isinstance(record, Mapping)
        fields = {**record, "matcher": MatcherVersion(**record["matcher"])}
        return Candidate(**fields)
    except (AssertionError, KeyError, TypeError) as problem:
        raise ReleaseError(f"{path} holds no candidate ({problem}); run the pipeline") from problem


def _measure_path(home: Path, matcher: str, index: str) -> Path:
    return home / "releases" / "measured" / f"{matcher}-{index}.json"
