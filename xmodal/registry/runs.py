"""Tracking: what a run was given, what it measured over its steps, and what it leaves.

    train, tune, evaluate -- report(metrics, epoch) --> [Run] --> MLflow (SQLite under the home)

Everything goes through `MlflowClient` with an explicit run id: no global state, so a restarted
driver goes on with the same run.
"""

import getpass
import json
import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from xmodal.errors import ServiceError
from xmodal.findings import Finding

BATCH = 900  # MLflow takes at most 1000 metrics a call


@dataclass(frozen=True)
class Data:
    """The data of a run as its lineage shows it: which catalogue, and where it came from."""

    name: str
    fingerprint: str
    source: str
    counts: Mapping[str, int]


class Run:
    """One MLflow run, to be written to from this process."""

    def __init__(self, client: MlflowClient, run_id: str, uri: str) -> None:
        self.client = client
        self.id = run_id
        self.uri = uri

    def params(self, values: Mapping[str, Any]) -> None:
        """Log a tree of settings, flattened to `branch.leaf`; what is already there stays."""
        known = self.client.get_run(self.id).data.params
        flat = [(k, v) for k, v in flatten(values).items() if k not in known]
        for start in range(0, len(flat), 100):
            params = [Param(key, value[:6000]) for key, value in flat[start : start + 100]]
            self.client.log_batch(self.id, params=params)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log numbers at a step. `recall@10` becomes `recall_at_10`: MLflow allows no `@`."""
        now = int(time.time() * 1000)
        rows = [Metric(metric_name(k), float(v), now, step) for k, v in values.items()]
        for start in range(0, len(rows), BATCH):
            self.client.log_batch(self.id, metrics=rows[start : start + BATCH])

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags of the run."""
        self.client.log_batch(self.id, tags=[RunTag(k, str(v)) for k, v in values.items()])

    def data(self, data: Data) -> None:
        """Name the catalogue that this run ate, by fingerprint."""
        dataset = Dataset(
            name=data.name,
            digest=data.fingerprint[:36],
            source_type="local",
            source=json.dumps({"uri": data.source}),
            profile=json.dumps(dict(data.counts)),
        )
        self.client.log_inputs(self.id, [DatasetInput(dataset)])

    def artifact(self, path: Path, where: str | None = None) -> None:
        """Keep a file or a folder with the run."""
        if path.is_dir():
            self.client.log_artifacts(self.id, str(path), where)
        else:
            self.client.log_artifact(self.id, str(path), where)

    def findings(self, found: Sequence[Finding], file: Path) -> None:
        """What the doctor found: names as a tag, counts as metrics, the lines as a file."""
        names = sorted({one.name for one in found})
        self.tags({"doctor": ", ".join(names) or "nothing found"})
        severe = sum(one.severity == "severe" for one in found)
        self.metrics({"doctor/findings": len(found), "doctor/severe": severe})
        if file.exists():
            self.artifact(file)

    def page(self, artifact: str) -> str:
        """Where MLflow's pages show an artifact of the run, below the server's address."""
        experiment = self.client.get_run(self.id).info.experiment_id
        return f"#/experiments/{experiment}/runs/{self.id}/artifacts/{artifact}"

    @contextmanager
    def system_metrics(self, every_s: float = 10) -> Iterator[None]:
        """Sample CPU, memory, disk and GPU beside the block."""
        monitor = SystemMetricsMonitor(
            self.id, sampling_interval=every_s, resume_logging=True, tracking_uri=self.uri
        )
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()

    def finish(self, failed: bool = False) -> None:
        """Close the run."""
        status = RunStatus.FAILED if failed else RunStatus.FINISHED
        self.client.set_terminated(self.id, RunStatus.to_string(status))


class Tracker:
    """The tracking store of a home, or any MLflow server by URI."""

    def __init__(self, home: Path, uri: str | None = None, experiment: str = "xmodal") -> None:
        """Open the store. Raises ServiceError where a server given by `uri` does not answer."""
        # Its migrations and samplers speak at INFO: lines that tell a shop's engineer nothing.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.uri = uri or home_uri(home)
        home.mkdir(parents=True, exist_ok=True)
        artifacts = None if uri else (home / "mlartifacts").as_uri()
        if self.uri.startswith("http"):
            # A server that is not there is one line soon, not minutes of retries.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        try:
            self.client = MlflowClient(self.uri)
            self.experiment_id = self._experiment(experiment, artifacts)
        except MlflowException as problem:
            first = str(problem).splitlines()[0]
            raise ServiceError(
                f"no tracking store at {self.uri} ({first}); start it or unset tracking.uri"
            ) from problem

    @contextmanager
    def run(self, name: str, description: str = "") -> Iterator[Run]:
        """The run called `name`, made or gone on with; closed at the end, FAILED on an error."""
        run = Run(self.client, self._find(name) or self._make(name, description), self.uri)
        self.client.update_run(run.id, status="RUNNING")
        try:
            yield run
        except BaseException:
            run.finish(failed=True)
            raise
        run.finish()

    def _experiment(self, name: str, artifacts: str | None) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # Absolute: artifacts of a SQLite store would else land in the current folder.
        return str(self.client.create_experiment(name, artifact_location=artifacts))

    def _find(self, name: str) -> str | None:
        quoted = name.replace("'", "")
        runs = self.client.search_runs(
            [self.experiment_id], f"attributes.run_name = '{quoted}'", max_results=1
        )
        return runs[0].info.run_id if runs else None

    def _make(self, name: str, description: str) -> str:
        tags = {
            "mlflow.user": _user(),
            "mlflow.source.name": "jobs/pipeline.py",
            "mlflow.source.type": "JOB",
            "mlflow.note.content": description,
        } | ({"mlflow.source.git.commit": commit} if (commit := git_commit()) else {})
        run = self.client.create_run(self.experiment_id, run_name=name, tags=tags)
        return str(run.info.run_id)


def home_uri(home: Path) -> str:
    """The tracking store that is the home's own."""
    return f"sqlite:///{home / 'mlflow.db'}"


def metric_name(name: str) -> str:
    """A name that MLflow takes: words, `-_. :/` and nothing else.

    >>> metric_name("val/tuned + rerank/recall@10")
    'val/tuned and rerank/recall_at_10'
    """
    return re.sub(r"[^\w\-. :/]+", "and", name.replace("@", "_at_"))


def flatten(tree: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Leaves of nested mappings by dotted path.

    >>> flatten({"training": {"epochs": 3}, "seed": 0})
    {'training.epochs': '3', 'seed': '0'}
    """
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = str(value)
    return flat


def git_commit() -> str | None:
    """The checkout's commit, with `-dirty` where files differ; None outside of a checkout."""
    here = Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
        changed = subprocess.run(
            ["git", "-C", str(here), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return str(os.getuid())
