"""Writes the reference pages from the code: `make docs`; `--check` only says which are stale.

docs/settings.md    every knob: default, meaning, how to set it
docs/help.md        the --help page of each job and of the `xmodal` command
docs/openapi.json   the HTTP interface
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from xmodal.settings import Settings, SpaceItem

ROOT = Path(__file__).resolve().parents[1]
HEAD = "<!-- Written by `make docs`; change the code, not this page. -->\n\n"


def main() -> int:
    """Write or check all pages. Returns 1 where --check finds a stale one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; say what is stale")
    is_check = parser.parse_args().check
    stale = [name for name, text in pages().items() if _text(ROOT / "docs" / name) != text]
    for name in stale:
        if not is_check:
            (ROOT / "docs" / name).write_text(pages()[name], encoding="utf-8")
        sys.stdout.write(f"docs/{name}: {'stale, run make docs' if is_check else 'written'}\n")
    return int(is_check and bool(stale))


def pages() -> dict[str, str]:
    """Each page's name and text, as the code stands."""
    return {"settings.md": settings_page(), "help.md": help_page(), "openapi.json": openapi_page()}


def settings_page() -> str:
    """Every knob in the tree's order."""
    lines = [
        "# Settings\n",
        "A value comes from its default, then the YAML file of `--config`, then the environment",
        "(`XMODAL_TRAINING__EPOCHS=3`), then `--set training.epochs=3`; the last one wins.",
        "`--print-config` shows every value and who set it. An unknown key is an error that names",
        "the nearest known one.",
    ]
    for branch, fields in _branches(Settings):
        lines += [f"\n## {branch or 'root'}\n", "| setting | default | meaning |", "|---|---|---|"]
        lines += [_row(branch, name, field) for name, field in fields]
    return HEAD + "\n".join(lines) + "\n"


def help_page() -> str:
    """What each command says of itself."""
    parts = [HEAD + "# Commands\n"]
    jobs = sorted((ROOT / "jobs").glob("[a-z]*.py"))
    commands = [["python", f"jobs/{job.name}"] for job in jobs]
    for command in [*commands, ["xmodal"]]:
        shown = " ".join([*command, "--help"])
        parts.append(f"## `{' '.join(command)}`\n\n```\n$ {shown}\n{_help(command)}```\n")
    return "\n".join(parts)


def openapi_page() -> str:
    """The HTTP interface, as `GET /openapi.json` gives it."""
    sys.path.insert(0, str(ROOT))  # serve/ is not installed: it travels as a job's working_dir
    from serve.api import make_api

    # The routes' types say it all: no service has to stand behind them.
    api = make_api(None)  # type: ignore[arg-type]
    return json.dumps(api.openapi(), indent=1, ensure_ascii=False) + "\n"


def _branches(
    model: type[BaseModel], prefix: str = ""
) -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    plain, below = [], []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            below.append((f"{prefix}{name}", kind))
        elif kind == tuple[SpaceItem, ...]:
            plain.append((name, field))
            below.append((f"{prefix}{name}[]", SpaceItem))
        else:
            plain.append((name, field))
    yield prefix.rstrip("."), plain
    for name, kind in below:
        yield from _branches(kind, f"{name}.")


def _row(branch: str, name: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, tuple):
        shown = "; ".join(
            item.setting if isinstance(item, SpaceItem) else str(item) for item in default
        )
    elif default is None or repr(default) == "PydanticUndefined":
        shown = "" if default is None else "must be given"
    else:
        shown = str(default)
    meaning = " ".join((field.description or "").split())
    full = f"{branch}.{name}" if branch else name
    return f"| `{full}` | {shown} | {meaning} |"


def _help(command: list[str]) -> str:
    start = [sys.executable, *command[1:]] if command[0] == "python" else None
    start = start or [sys.executable, "-m", "xmodal.cli"]
    # A fixed width: argparse folds by the terminal's.
    environ = {**os.environ, "COLUMNS": "90", "NO_COLOR": "1"}
    done = subprocess.run(
        [*start, "--help"], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
