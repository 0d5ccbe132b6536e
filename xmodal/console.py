"""What a person at a terminal sees of a job: its flags, its progress, its summary, its errors.

A job is `parser = job_parser(__doc__)`, its own flags, then `return run_job(parser, argv, _run)`
with `_run(job: Job) -> int`. Only jobs print; a room that takes long is handed a callable.
"""

import argparse
import shlex
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from xmodal.errors import XmodalError

if TYPE_CHECKING:
    from xmodal.settings import Settings


@dataclass(frozen=True)
class Job:
    """What a job's command line says, read and checked."""

    args: argparse.Namespace
    settings: "Settings"
    config: Path | None

    @property
    def home(self) -> Path:
        """The shop's home. Raises HomeError if nothing names one."""
        from xmodal.layers import resolve_home

        return resolve_home(self.settings, self.config)


class Advance(Protocol):
    """Moves a progress display on."""

    def advance(self, n: float = 1) -> None:
        """Count `n` more as done."""


def job_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the flags that all jobs share; `doc` is the job's docstring."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in YAML")
    parser.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="change one setting"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="show each setting and who set it, then stop"
    )
    parser.add_argument("--trace", action="store_true", help="show the trace of an error")
    return parser


def run_job(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    run: Callable[[Job], int],
    extra_sets: Callable[[argparse.Namespace], Sequence[tuple[str, str]]] | None = None,
) -> int:
    """Parse, load the settings, run; an error is one line on stderr. Returns the exit code.

    `extra_sets` turns a job's own flags into settings and their texts: `("catalog.path", ...)`.
    """
    args = parser.parse_args(argv)
    try:
        # Here and not above: --help answers without pydantic and YAML.
        from xmodal.layers import load_settings

        args.set = [*args.set, *(extra_sets(args) if extra_sets else ())]
        settings = load_settings(args.config, args.set)
        if args.print_config:
            _print_config(settings, args)
            return 0
        return run(Job(args, settings, args.config))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except Exception as error:
        return _report(error, args.trace)


def step(name: str) -> None:
    """Announce a stage of the job."""
    print(f"\n== {name}", flush=True)


def say(line: str) -> None:
    """One line of what was chosen or done, and why."""
    print(line, flush=True)


def table(title: str, rows: Mapping[str, object]) -> None:
    """Two columns: what, and its value."""
    width = max((len(name) for name in rows), default=0)
    print(f"\n{title}")
    for name, value in rows.items():
        print(f"  {name:<{width}}  {value}")
    sys.stdout.flush()


def next_command(command: str) -> None:
    """What to type next."""
    print(f"\nnext: {command}", flush=True)


def next_job(job: Job, name: str, *flags: object) -> None:
    """Which job of `jobs/` to type next, for the same shop."""
    _next_typed(job, [typed(), f"jobs/{name}.py"], "--config {}", flags)


def next_serve(job: Job) -> None:
    """How to serve what the job released."""
    _next_typed(job, ["make", "serve"], "CONFIG={}", ())


def typed(command: str = "python") -> str:
    """What to type for a command of this environment: its name where that finds it, else a path."""
    path, here = Path(sys.executable).with_name(command), Path.cwd()
    if shutil.which(command) == str(path):
        return command
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def absolute(place: str) -> str:
    """A path on the command line as an absolute one; a URI stays as it is."""
    return place if "://" in place else str(Path(place).expanduser().absolute())


@contextmanager
def progress(title: str, total: float) -> Iterator[Advance]:
    """A bar with rate and time left on a terminal; elsewhere a line for every 10 %."""
    if not sys.stdout.isatty():
        yield _Lines(title, total)
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(show_speed=True))
    with Progress(*columns, TimeRemainingColumn()) as display:
        yield _Bar(display, display.add_task(title, total=total))


class _Lines:
    """Progress where there is no terminal."""

    def __init__(self, title: str, total: float) -> None:
        self._title, self._total = title, total
        self._done = 0.0
        self._shown = 0
        self._start = time.monotonic()

    def advance(self, n: float = 1) -> None:
        self._done += n
        tenths = int(10 * self._done / self._total + 1e-9) if self._total else 10
        if tenths > self._shown:
            self._shown = tenths
            took_s = time.monotonic() - self._start
            print(f"{self._title}: {min(100, tenths * 10)} % after {took_s:.0f} s", flush=True)


class _Bar:
    """Progress on a terminal."""

    def __init__(self, display: object, task: object) -> None:
        self._display, self._task = display, task

    def advance(self, n: float = 1) -> None:
        self._display.advance(self._task, n)  # type: ignore[attr-defined]  # rich comes late


def _next_typed(job: Job, words: Sequence[str], config: str, flags: Sequence[object]) -> None:
    # Said even where the shell has it exported: it may have been given to that one command.
    home = [f"XMODAL_HOME={shlex.quote(str(job.home))}"] if job.settings.home else []
    given = [config.format(shlex.quote(str(job.config)))] if job.config else []
    quoted = [shlex.quote(str(word)) for word in flags]
    next_command(" ".join([*home, *map(shlex.quote, words), *given, *quoted]))


def _print_config(settings: "Settings", args: argparse.Namespace) -> None:
    from xmodal.layers import flatten, origins

    sources = origins(args.config, args.set)
    values = flatten(settings)
    width = max(map(len, sources))
    for name, source in sources.items():
        value = values.get(name)
        print(f"{name:<{width}}  {'' if value is None else value!s:<28}  {source}")


def _report(error: Exception, is_traced: bool) -> int:
    if is_traced:
        traceback.print_exception(error)
    if isinstance(error, XmodalError):
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    hint = "" if is_traced else " (--trace shows where)"
    text = " ".join(str(error).split()) or "no message"
    print(f"error: {type(error).__name__}: {text}{hint}", file=sys.stderr)
    return 1
