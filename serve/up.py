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

from xmodal.console import Job, job_parser, next_command, run_job, say, step, table
from xmodal.errors import ServiceError

if TYPE_CHECKING:
    from serve.record import Record


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
    _end_on_signals()
    try:
        _start(job, home)
        if not job.args.foreground:
            return 0
        say("\nCtrl-C ends it")
        _stay(home)
    except KeyboardInterrupt:
        say(f"\nended: {', '.join(end(home)) or 'nothing was left'}")
        return 0 if job.args.foreground else 130
    except BaseException:
        end(home)
        raise
    return 0


def _start(job: Job, home: Path) -> None:
    """Everything, each part in the record as soon as it runs."""
    from serve.deploy import check_release, deploy_apart
    from serve.ports import check_free
    from serve.record import write_record

    is_search = not job.args.head_only
    release = check_release(home) if is_search else None
    check_free(job.settings.serve, ("port", "mlflow_port") if is_search else ())
    record = _head(job, home)
    if release is None:
        say(f"Ray head at {record.address}, dashboard {_page(job, 'dashboard_port')}")
        next_command(f"RAY_ADDRESS={record.address} python jobs/pipeline.py{_config(job)}")
        return
    if job.settings.tracking.uri is None:
        from serve.head import start_mlflow

        mlflow = start_mlflow(home, job.settings)
        record = replace(record, processes=(*record.processes, mlflow))
        write_record(home, record)
    step(f"deploy release {release.id} ({job.settings.serve.topology})")
    os.environ["RAY_ADDRESS"] = record.address
    url = deploy_apart(home, job.settings)
    write_record(home, replace(record, url=url))
    _summary(job, url, release.id)


def _head(job: Job, home: Path) -> "Record":
    """The record with a head: the one named by RAY_ADDRESS, the one that runs, or a new one."""
    from serve.head import start_head
    from serve.ports import check_free
    from serve.record import Record, read_record, write_record

    before = read_record(home)
    if before is not None and before.is_alive:
        return before
    address = os.environ.get("RAY_ADDRESS")
    if address:
        return Record(address, None, ())
    check_free(job.settings.serve, ("dashboard_port",))
    step("start a Ray head")
    head, address = start_head(home, job.settings)
    record = Record(address, None, (head,))
    write_record(home, record)
    return record


def _already(where: str, job: Job) -> int:
    message = f"it is up already: {where}"
    if job.args.foreground:
        raise ServiceError(f"{message}; end it first: make down{_config(job, ' CONFIG=')}")
    say(message)
    return 0


def _stay(home: Path) -> None:
    """Until a signal comes. Raises ServiceError if the head dies."""
    from serve.record import read_record

    while (record := read_record(home)) is not None:
        if record.processes and not record.is_alive:
            raise ServiceError(f"the Ray head ended; see {home}/logs/ray.log")
        time.sleep(1)


def _end_on_signals() -> None:
    """SIGTERM as Ctrl-C, so that both end what was started."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _summary(job: Job, url: str, release: str) -> None:
    rows = {
        "search page": url,
        "documentation": f"{url}/docs",
        "MLflow": job.settings.tracking.uri or _page(job, "mlflow_port"),
        "Ray": _page(job, "dashboard_port"),
        "release": release,
    }
    table("the service is up", rows)
    flag = "" if job.settings.serve.port == 8000 else f" --url {url}"
    next_command(f'.venv/bin/xmodal search "red dress"{flag}')
    if not job.args.foreground:
        next_command(f"make down{_config(job, ' CONFIG=')}")


def _page(job: Job, port: str) -> str:
    return f"http://{job.settings.serve.host}:{getattr(job.settings.serve, port)}"


def _config(job: Job, flag: str = " --config ") -> str:
    return f"{flag}{job.config}" if job.config else ""


if __name__ == "__main__":
    sys.exit(main())
