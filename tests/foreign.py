"""Plain factories of foreign catalogue folders: MUGE, ESCI, tar shards, trees of pictures."""

import base64
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.shops import Row, encoded, write_parquet


def write_tsv(folder: Path, name: str, pictures: Mapping[str, bytes]) -> Path:
    """A MUGE file of pictures: id TAB base64."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{key}\t{base64.b64encode(content).decode()}\n" for key, content in pictures.items()]
    (folder / name).write_text("".join(lines))
    return folder


def write_lines(folder: Path, name: str, objects: Sequence[object]) -> Path:
    """A file of JSON lines; bytes are written as they are."""
    lines = [o if isinstance(o, bytes) else json.dumps(o).encode() for o in objects]
    (folder / name).write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


def asks(number: int, text: str, *products: int) -> Row:
    """A line of MUGE's queries."""
    return {"query_id": number, "query_text": text, "item_ids": list(products)}


def write_muge(folder: Path) -> Path:
    """12 pictures of train, 4 of valid; a query for each pair of them."""
    write_tsv(folder, "MR_train_imgs.tsv", {str(i): encoded(i) for i in range(12)})
    write_tsv(folder, "MR_valid_imgs.tsv", {str(i): encoded(i) for i in range(100, 104)})
    train = [asks(i, f"红色鞋子 {i}", i, (i + 1) % 12) for i in range(12)]
    write_lines(folder, "MR_train_queries.jsonl", train)
    valid = [asks(90 + i, f"蓝色帽子 {i}", 100 + i) for i in range(4)]
    return write_lines(folder, "MR_valid_queries.jsonl", valid)


def product(asin: str, locale: str = "us", **changes: Any) -> Row:
    """A row of ESCI's products."""
    row = {
        "product_id": asin,
        "product_title": f"Shoe {asin}",
        "product_description": "<p>soft</p>",
        "product_bullet_point": None,
        "product_brand": "Acme",
        "product_color": "Red",
        "product_locale": locale,
    }
    return row | changes


def example(query: str, asin: str, label: str = "E", split: str = "test", **changes: Any) -> Row:
    """A row of ESCI's examples, of the small version."""
    row = {
        "example_id": 0,
        "query": query,
        "query_id": sum(query.encode()),
        "product_id": asin,
        "product_locale": "us",
        "esci_label": label,
        "small_version": 1,
        "large_version": 1,
        "split": split,
    }
    return row | changes


def write_esci(folder: Path, products: Sequence[Row], examples: Sequence[Row]) -> Path:
    """The two tables of ESCI."""
    write_parquet(folder, products, "shopping_queries_dataset_products.parquet")
    return write_parquet(folder, examples, "shopping_queries_dataset_examples.parquet")


def write_tar(path: Path, members: Sequence[tuple[str, object]], mode: str = "w") -> Path:
    """A tar of (name, content) members; what is neither bytes nor text is written as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members:
            raw = content if isinstance(content, bytes | str) else json.dumps(content)
            data = raw.encode() if isinstance(raw, str) else raw
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path.parent


def write_pictures(folder: Path, names: Sequence[str]) -> Path:
    """A picture under each of the names."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(number))
    return folder
