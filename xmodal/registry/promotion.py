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
from xmodal.fingerprint import of_json
from xmodal.registry.pointer import (
    MatcherVersion,
    Release,
    holds_same,
    list_releases,
    make_release,
    move_pointer,
    read_pointer,
    read_release,
    rollback,
    was_rolled_back,
)
from xmodal.registry.releases import mirror_champion, prove_version, tag_verdict
from xmodal.registry.runs import Tracker
from xmodal.retrieval.metrics import PerQuery
from xmodal.storage import read_json, write_json_atomic

CANDIDATE = "candidate.json"
_AGAIN = "this very release was rolled back; jobs/promote.py --force makes it live again"


@dataclass(frozen=True)
class Candidate:
    """What stands at the gate: a registered matcher and its index, measured on `val`.

    `depth` (products that were re-ordered) and `sample` (fingerprint of the queries) say of what
    its figures are: those of two candidates compare where both are equal.
    """

    matcher: MatcherVersion
    index: str
    catalog: str
    depth: int
    sample: str
    per_query: PerQuery
    p50_ms: float

    @property
    def settings(self) -> str:
        """Fingerprint of the settings that change answers and are in no other part's."""
        return of_json({"serve.rerank_depth": self.depth})


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
    """Keep the newest candidate, and its measurement."""
    save_measured(home, candidate)
    write_json_atomic(home / "releases" / CANDIDATE, dataclasses.asdict(candidate))


def save_measured(home: Path, measured: Candidate) -> None:
    """Keep a measurement, by what was measured and on what."""
    path = _measured_path(home, measured.matcher, measured.index, measured)
    write_json_atomic(path, dataclasses.asdict(measured))


def read_candidate(home: Path) -> Candidate:
    """The newest candidate. Raises ReleaseError where none was left yet."""
    path = home / "releases" / CANDIDATE
    if not path.exists():
        raise ReleaseError(f"no candidate in {home}; jobs/pipeline.py makes one")
    return _candidate(path)


def find_champion(home: Path, candidate: Candidate) -> Release | None:
    """The release that the candidate has to beat; None where its catalogue never had one.

    It is the live one, or else the newest of the candidate's catalogue.
    """
    live = read_pointer(home)
    if live is not None and live.catalog == candidate.catalog:
        return live
    made = (read_release(home, release_id) for release_id in reversed(list_releases(home)))
    return next((release for release in made if release.catalog == candidate.catalog), None)


def is_measured(home: Path, release: Release, candidate: Candidate) -> bool:
    """Whether `release` was measured on the candidate's queries at its depth."""
    return _measured_path(home, release.matcher, release.index, candidate).exists()


def promote(
    home: Path, tracker: Tracker, candidate: Candidate, *, resamples: int, force: bool = False
) -> Outcome:
    """Let the gate decide and, where it passes (or by `force`), make the candidate live.

    What was rolled back stays so until it is forced: figures did not show why it was.

    Raises:
        ReleaseError: the version is not in the registry, another home holds the model's aliases,
            or a part of the release is gone; nothing has moved then.
    """
    live = read_pointer(home)
    verdict = _verdict(home, candidate, resamples)
    release = _release(home, candidate, verdict, forced=force and not verdict.passed)
    prove_version(tracker, home, candidate.matcher)
    if live is not None and holds_same(live, release):
        # Again, for an earlier promote may have ended between the pointer and the alias.
        mirror_champion(tracker, live)
        return Outcome(verdict, live, is_new=False)
    if not force and was_rolled_back(home, release):
        verdict = Verdict(False, "rolled back", (_AGAIN,))
    tag_verdict(tracker, candidate.matcher, verdict.verdict, list(verdict.reasons))
    if not verdict.passed and not force:
        return Outcome(verdict, live, is_new=False)
    move_pointer(home, release, why=f"{verdict.verdict}, forced" if force else verdict.verdict)
    mirror_champion(tracker, release)
    return Outcome(verdict, release, is_new=True)


def roll_back(home: Path, tracker: Tracker) -> Release:
    """Move the pointer to the release before, and `@champion` after it. See `pointer.rollback`."""
    release = rollback(home)
    mirror_champion(tracker, release)
    return release


def _verdict(home: Path, candidate: Candidate, resamples: int) -> Verdict:
    champion = find_champion(home, candidate)
    if champion is None:
        return gate(candidate.per_query, None)
    path = _measured_path(home, champion.matcher, champion.index, candidate)
    if not path.exists():
        reason = (
            f"{champion.id} was not measured on the same queries with {candidate.depth} re-ordered;"
            " jobs/pipeline.py measures both, jobs/promote.py --force goes without"
        )
        return Verdict(False, "incomparable", (reason,))
    return gate(candidate.per_query, _candidate(path).per_query, resamples=resamples)


def _release(home: Path, candidate: Candidate, verdict: Verdict, *, forced: bool) -> Release:
    judged = {"reasons": list(verdict.reasons), "p50_ms": candidate.p50_ms, "forced": forced}
    return make_release(
        home,
        candidate.matcher,
        index=candidate.index,
        catalog=candidate.catalog,
        settings=candidate.settings,
        gate={**dataclasses.asdict(verdict), **judged},
    )


def _candidate(path: Path) -> Candidate:
    record = read_json(path)
    try:
        assert isinstance(record, Mapping)
        fields = {**record, "matcher": MatcherVersion(**record["matcher"])}
        return Candidate(**fields)
    except (AssertionError, KeyError, TypeError) as problem:
        raise ReleaseError(
            f"{path} holds no candidate ({problem}); run jobs/pipeline.py"
        ) from problem


def _measured_path(home: Path, matcher: MatcherVersion, index: str, on: Candidate) -> Path:
    name = f"{matcher.fingerprint}-{index}-{on.depth}-{on.sample}.json"
    return home / "releases" / "measured" / name
