"""`python -m xmodal.catalog.demo FOLDER`: draw the demo shop into a new folder."""

import argparse
import sys
from pathlib import Path

from xmodal.catalog.demo.writer import write_demo_shop
from xmodal.console import next_command, progress


def main() -> int:
    """Draw the shop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m xmodal.catalog.demo", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the catalogue will lie")
    parser.add_argument("--products", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with progress("drawing the demo shop", asked.products) as bar:
        write_demo_shop(asked.folder, asked.products, asked.seed, bar.advance)
    next_command(f"make shop CATALOG={asked.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
