"""Plain factories of catalogue folders: a CSV beside images, or Parquet."""

import csv
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from xmodal.catalog.ingest import IngestSummary, ingest
from xmodal.settings import CatalogSettings

Row = dict[str, Any]


def picture(seed: int = 0, size: tuple[int, int] = (48, 64), mode: str = "RGB") -> Image.Image:
    """A picture of 6 x 8 random cells, so that no two seeds look alike."""
    rng = random.Random(seed)
    cells = Image.frombytes("RGB", (6, 8), rng.randbytes(6 * 8 * 3))
    return cells.resize(size, Image.Resampling.NEAREST).convert(mode)


def encoded(seed: int = 0, kind: str = "JPEG", **how: Any) -> bytes:
    """`picture` as a file's bytes."""
    file = io.BytesIO()
    picture(seed, **how).save(file, kind)
    return file.getvalue()


def drawn_shirts(n: int, colours: int = 1 << 24) -> list[bytes]:
    """`n` shirts of one cut on white, each of its own size and place, in one of `colours`."""
    rng, found = random.Random(0), []
    shades = [tuple(rng.randbytes(3)) for _ in range(min(colours, n))]
    for number in range(n):
        shirt = Image.new("RGB", (96, 128), "white")
        draw = ImageDraw.Draw(shirt)
        dx, dy = rng.randrange(4), rng.randrange(4)
        body = [(20, 20), (76, 20), (92, 50), (72, 56), (72, 110), (24, 110), (24, 56), (4, 50)]
        draw.polygon([(x + dx, y + dy) for x, y in body], fill=shades[number % len(shades)])
        shirt.putpixel((number % 96, number // 96), (250, 250, 250))  # no two are the same picture
        file = io.BytesIO()
        shirt.save(file, "PNG")
        found.append(file.getvalue())
    return found


def make_rows(n: int = 40) -> list[Row]:
    """`n` products of train: id, title, image path, colour and kind."""
    colours, kinds = ("Red", "Blue", "Green"), ("Shoes", "Shirts", "Bags", "Hats")
    return [
        {
            "product_id": f"p{i:03d}",
            "image": f"images/{i:03d}.jpg",
            "title": f"{colours[i % 3]} {kinds[i % 4]} number {i}",
            "colour": colours[i % 3],
            "kind": kinds[i % 4],
        }
        for i in range(n)
    ]


def write_csv(folder: Path, rows: Sequence[Row], name: str = "products.csv") -> Path:
    """A CSV of `rows`, and a picture for every image path that has none yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(k for row in rows for k in row)))
        writer.writeheader()
        writer.writerows(rows)
    for number, row in enumerate(rows):
        for path in str(row.get("image") or "").split("|"):
            if path and not (folder / path).exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(encoded(number * 100 + len(path)))
    return folder


def write_parquet(folder: Path, rows: Sequence[Row], name: str = "part-0.parquet") -> Path:
    """A Parquet file of `rows`, as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / name)
    return folder


def take_in(folder: Path, home: Path, seed: int = 0, **settings: Any) -> IngestSummary:
    """Ingest `folder` into `home`, with `settings` of the catalogue."""
    return ingest(str(folder), CatalogSettings(**settings), home, seed, lambda share: None)


def quarantined(folder: Path) -> dict[str, list[str]]:
    """Product ids in a quarantine folder, by reason."""
    return {
        path.stem: pq.read_table(path)["product_id"].to_pylist()
        for path in sorted(folder.glob("*.parquet"))
    }
