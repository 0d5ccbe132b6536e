"""The `xmodal` command: search a running service from a shell, or look at a set-up.

xmodal search "red dress" --filter category=Dresses
xmodal similar shoe.jpg --limit 5
xmodal check --config configs/demo.yaml
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from xmodal import __version__

if TYPE_CHECKING:
    from xmodal.client import Answer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 ours, 2 the user's."""
    args = _parser().parse_args(argv)
    from xmodal.errors import XmodalError

    try:
        return _check(args.config) if args.command == "check" else _search(args)
    except XmodalError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def _search(args: argparse.Namespace) -> int:
    from xmodal.client import Client

    with Client(args.url) as client:
        text = " ".join(args.text) if args.command == "search" else args.text
        answer = client.search(
            text=text,
            image=args.image,
            limit=args.limit,
            filter=_filter(args.filter),
            rerank=False if args.no_rerank else None,
        )
    if args.json:
        sys.stdout.write(json.dumps(asdict(answer), ensure_ascii=False, indent=2) + "\n")
    else:
        _show(answer)
    return 0


def _check(config: Path | None) -> int:
    """2 where anything is bad."""
    from rich.console import Console

    from xmodal.checkup import check_up
    from xmodal.layers import load_settings, resolve_home

    console, worst = Console(markup=False, highlight=False), 0
    settings = load_settings(config)
    for check in check_up(resolve_home(settings, config), settings, os.environ):
        mark = {"good": "ok  ", "note": "note", "bad": "BAD "}[check.state]
        console.print(f"{mark}  {check.name:<14} {check.seen}", soft_wrap=True)
        if check.mend:
            console.print(f"      {'':<14} -> {check.mend}", soft_wrap=True)
        worst = max(worst, 2 if check.state == "bad" else 0)
    return worst


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "xmodal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"xmodal {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    search = commands.add_parser("search", help="products for a text")
    search.add_argument("text", nargs="+", help="what is looked for, in any language")
    search.add_argument("--image", type=Path, metavar="FILE", help="a picture to go with the text")
    similar = commands.add_parser("similar", help="products that look like a picture")
    similar.add_argument("image", type=Path, metavar="IMAGE", help="a JPEG, PNG, WebP or GIF file")
    similar.add_argument("--text", help="a text to go with the picture")
    check = commands.add_parser("check", help="is everything there that jobs and service need?")
    check.add_argument("--config", type=Path, metavar="FILE", help="as the jobs take it")
    for command in (search, similar):
        command.add_argument("--limit", type=int, default=10, help="most hits (1 to 100)")
        command.add_argument(
            "--filter",
            action="append",
            default=[],
            metavar="ATTRIBUTE=VALUE",
            help="only products with this value; the same attribute twice means any of them",
        )
        command.add_argument("--no-rerank", action="store_true", help="the first stage alone")
        command.add_argument("--json", action="store_true", help="the whole answer as JSON")
        command.add_argument(
            "--url",
            default="http://127.0.0.1:8000",
            help="of the service; default %(default)s",
        )
    return parser


def _filter(items: Sequence[str]) -> dict[str, list[str]] | None:
    """`["category=Shoes", ...]` as the request takes it. Raises QueryError for other forms."""
    from xmodal.errors import QueryError

    wanted: dict[str, list[str]] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise QueryError(f"--filter {item}: must look like category=Shoes")
        wanted.setdefault(key, []).append(value)
    return wanted or None


def _show(answer: "Answer") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    for name in ("product", "title", "attributes"):
        table.add_column(name, overflow="fold")
    for place, hit in enumerate(answer.hits, start=1):
        attributes = ", ".join(hit.attributes.values())
        table.add_row(str(place), f"{hit.score:.3f}", hit.product_id, hit.title, attributes)
    console = Console(markup=False)
    console.print(table if answer.hits else "nothing found")
    if answer.no_good_match and answer.hits:
        console.print("nothing here fits well; these are the nearest")
    took = f"{answer.took_ms.get('total', 0):.0f} ms"
    left_out = f", degraded: {', '.join(answer.degraded)}" if answer.degraded else ""
    console.print(f"release {answer.release['id']}, {took}{left_out}", style="dim")


if __name__ == "__main__":
    sys.exit(main())
