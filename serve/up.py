"""Start the service of a home's release: Ray head, MLflow's pages, search over HTTP.

    python -m serve.up --config configs/demo.yaml [--foreground] [--head-only]

Reads `<home>/releases/pointer.json`; leaves `<home>/service.json`, by which `serve.down` ends
what was started here. In the foreground, Ctrl-C or SIGTERM ends it. With RAY_ADDRESS set, the
search is deployed on that cluster and no head is started.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xmodal.console import Job, job_parser, next_command, run_job, say, step, table, typed
from xmodal.errors import ServiceError

if TYPE_CHECKING:
    from serve.record import Record
    from xmodal.registry.pointer import Release


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = job_parser(__doc__)
    parser.add_argument("--foreground", action="store_true", help="stay; Ctrl-C ends the service")
    parser.add_argument("--head-only", action="store_true", help="the Ray head, for jobs to join")
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from serve.record import end, read_record

    home = job.home
    before = read_record(home)
    if before is not None and before.is_alive and (before.url or job.args.head_only):
        return _already(before.url or before.address, job)
    if before is not None and not before.is_alive:
        end(home)  # what a dead head left behind keeps the ports
        before = None
    release = _check(job, before)
    _end_on_signals()
    try:
        _start(job, before, release)
        if job.args.foreground:
            say("\nCtrl-C ends it")
            _stay(home)
            say("\nended")
    except KeyboardInterrupt:
        say(f"\nended: {', '.join(end(home, before)) or 'nothing was left'}")
        return 0 if job.args.foreground else 130
    except BaseException:
        end(home, before)
        raise
    return 0


def _check(job: Job, before: "Record | None") -> "Release | None":
    """The release to serve, None for a head alone; nothing is started yet.

    Raises what is wrong with the release, and ServiceError for a port that is needed and taken.
    """
    from serve.deploy import check_release
    from serve.ports import check_free

    is_search = not job.args.head_only
    release = check_release(job.home) if is_search else None
    is_joining = before is None and bool(os.environ.get("RAY_ADDRESS"))
    wanted = {
        "port": is_search and not is_joining,  # of another's cluster: its own machines' port
        "mlflow_port": is_search and job.settings.tracking.uri is None,
        "dashboard_port": before is None and not is_joining,
    }
    check_free(job.settings.serve, tuple(name for name, is_wanted in wanted.items() if is_wanted))
    return release


def _start(job: Job, before: "Record | None", release: "Release | None") -> None:
    """Everything, each part in the record as soon as it runs."""
    from serve.apart import run_apart
    from serve.deploy import DEPLOY_S, deploy
    from serve.head import start_mlflow
    from serve.record import write_record

    record = before or _cluster(job)
    if release is None:
        say(f"Ray head at {record.address}, dashboard {_page(job, 'dashboard_port')}")
        next_command(f"RAY_ADDRESS={record.address} {typed()} jobs/pipeline.py{_config(job)}")
        return
    if job.settings.tracking.uri is None:
        mlflow = start_mlflow(job.home, job.settings)
        record = replace(record, processes=(*record.processes, mlflow))
    write_record(job.home, record)
    step(f"deploy release {release.id} ({job.settings.serve.topology})")
    url = run_apart(DEPLOY_S, deploy, job.home, job.settings, record)
    record = replace(record, url=url)
    write_record(job.home, record)
    _wait_answers(job, record)
    _summary(job, record, release.id)


def _cluster(job: Job) -> "Record":
    """A record of the cluster that RAY_ADDRESS names, or of a new head."""
    from serve.head import start_head
    from serve.record import Record, write_record

    address = os.environ.get("RAY_ADDRESS")
    if address:
        return Record(address, None, ())
    step("start a Ray head")
    head, address = start_head(job.home, job.settings)
    record = Record(address, None, (head,))
    write_record(job.home, record)
    return record


def _wait_answers(job: Job, record: "Record") -> None:
    """Until search and MLflow's pages answer. Raises ServiceError where our search does not."""
    from serve.deploy import READY_S, wait_ready
    from serve.head import wait_listens

    assert record.url is not None
    try:
        wait_ready(record.url)
    except ServiceError:
        if not record.is_joined:
            raise
        say(f"{record.url} does not answer here: it is an address on the cluster's own machines")
    mlflow = next((one for one in record.processes if one.name == "mlflow"), None)
    if mlflow is not None:
        options, log = job.settings.serve, job.home / "logs" / "mlflow.log"
        try:
            wait_listens(mlflow, (options.host, options.mlflow_port), log, READY_S)
        except ServiceError as error:
            say(f"the search goes on without MLflow's pages: {error}")


def _already(where: str, job: Job) -> int:
    message = f"it is up already: {where}"
    if job.args.foreground:
        raise ServiceError(f"{message}; end it first: make down{_config(job, ' CONFIG=')}")
    say(message)
    return 0


def _stay(home: Path) -> None:
    """Until a signal comes, or another ends it. Raises ServiceError if the head dies."""
    from serve.record import read_record

    while (record := read_record(home)) is not None and not record.is_ending:
        if not record.is_alive:
            raise ServiceError(f"the Ray head ended; see {home}/logs/ray.log")
        time.sleep(1)


def _end_on_signals() -> None:
    """SIGTERM as Ctrl-C, so that both end what was started."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _summary(job: Job, record: "Record", release: str) -> None:
    rows = {
        "search page": record.url,
        "documentation": f"{record.url}/docs",
        "MLflow": job.settings.tracking.uri or _page(job, "mlflow_port"),
        "Ray": record.address if record.is_joined else _page(job, "dashboard_port"),
        "release": release,
    }
    table("the service is up", rows)
    flag = "" if job.settings.serve.port == 8000 else f" --url {record.url}"
    next_command(f'{typed("xmodal")} search "red dress"{flag}')
    if not job.args.foreground:
        next_command(f"make down{_config(job, ' CONFIG=')}")


def _page(job: Job, port: str) -> str:
    return f"http://{job.settings.serve.host}:{getattr(job.settings.serve, port)}"


def _config(job: Job, flag: str = " --config ") -> str:
    return f"{flag}{job.config}" if job.config else ""


if __name__ == "__main__":
    sys.exit(main())
