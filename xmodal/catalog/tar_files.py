"""WebDataset: tar shards whose members of one key are one product, read from end to end.

    shop-000.tar: 0001.jpg  0001.json {"product_id": "a1", "title": "Red shoe", "split": "val"}
                  0002.png  0002.txt  Blue shirt

A key is the member's path up to the first dot of its name; what follows is the extension. JSON
gives the product's fields by our names (or those of `catalog.columns`), and what else it holds
becomes attributes; a text is the title where the JSON has none. Without `product_id` (or `id`)
the key names the product, behind the shard's name where shards begin with the same key; without
`split` the shard's name tells the part (`train-000.tar`).

Source: the WebDataset convention (webdataset.github.io); read here by the standard library.
"""

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from pyarrow import fs

from xmodal.catalog.images import MAX_BYTES
from xmodal.catalog.json_rows import parse_object
from xmodal.catalog.layout import PICTURES, Counted, Layout, Listing, Rows, SourceFile, part_of_name
from xmodal.catalog.rows import Columns, RawRow, RowFault
from xmodal.errors import CatalogError
from xmodal.settings import ColumnSettings

_ENDINGS = (".tar", ".tar.gz", ".tgz")
_TEXTS = (".txt", ".text", ".caption")
_PROBED = 200  # members that tell whether a tar is a shard


@dataclass
class _Sample:
    """The members of one key."""

    key: str
    images: list[bytes] = field(default_factory=list)
    text: bytes = b""
    json: bytes | None = None
    fault: RowFault | None = None


def recognise(listing: Listing, columns: ColumnSettings) -> Layout | None:
    """The layout of a folder of shards; None where no tar holds a picture or a JSON.

    Raises:
        CatalogError: a file that is named so is no tar.
    """
    system = listing.system
    first = {path: _first_key(system, path) for path in listing.ending(*_ENDINGS)}
    shards = [path for path, key in first.items() if key is not None]
    if not shards:
        return None
    roles = {role: getattr(columns, role) or role for role in ColumnSettings.model_fields}
    known = Columns({r: n for r, n in roles.items() if r != "images"}, ["images"], ["attributes"])
    files = tuple(
        SourceFile(path, listing.name(path), known, int(system.get_file_info(path).size))
        for path in shards
    )
    restarts = len({first[path] for path in shards}) < len(shards)
    return Layout("tar", files, partial(read_rows, keys_restart=restarts))


def read_rows(system: fs.FileSystem, file: SourceFile, *, keys_restart: bool) -> Rows:
    """Yield the samples of a shard, one in memory at a time.

    Raises:
        CatalogError: the shard is damaged.
    """
    split = part_of_name(file.name)
    stem = PurePosixPath(file.name).name.partition(".")[0]
    row = 0
    with system.open_input_stream(file.path, buffer_size=1 << 20, compression=None) as stream:
        counted = Counted(stream)
        try:
            for row, sample in enumerate(_samples(counted), start=1):
                named = f"{stem}/{sample.key}" if keys_restart else sample.key
                cells: dict[str, object] = {file.columns.roles["product_id"]: named}
                fault = sample.fault
                try:
                    cells |= _cells(sample, file.columns, {"key": named, "split": split})
                except RowFault as error:
                    fault = fault or error
                yield RawRow(file.name, row, cells, fault), counted.bytes
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise CatalogError(
                f"{file.path}: damaged after sample {row} ({error}); write or fetch the shard anew"
            ) from error


def _samples(stream: Counted) -> Iterator[_Sample]:
    """Consecutive members of one key."""
    waiting: _Sample | None = None
    for key, ending, size, content in _members(stream):
        if waiting is None or key != waiting.key:
            if waiting is not None:
                yield waiting
            waiting = _Sample(key)
        if not key.isascii() and any("\udc80" <= char <= "\udcff" for char in key):
            waiting.fault = RowFault("bad_utf8", "the key")
        if size > MAX_BYTES:
            waiting.fault = RowFault("image_huge", f"{key}{ending}: {size >> 20} MB")
        elif ending in PICTURES:
            waiting.images.append(content)
        elif ending in _TEXTS:
            waiting.text = content
        elif ending == ".json":
            waiting.json = content
    if waiting is not None:
        yield waiting


def _members(stream: Counted) -> Iterator[tuple[str, str, int, bytes]]:
    """(key, extension with its dot, size, content) of each file that a product may consist of."""
    with tarfile.open(fileobj=stream, mode="r|*") as tar:  # type: ignore[call-overload]
        for member in tar:
            folder, _, name = member.name.removeprefix("./").rpartition("/")
            base, dot, rest = name.partition(".")
            ending = f".{rest.rpartition('.')[2].lower()}" if dot else ""
            is_ours = ending in PICTURES or ending in _TEXTS or ending == ".json"
            if not (member.isfile() and base and is_ours):
                continue
            key = f"{folder}/{base}" if folder else base
            held = tar.extractfile(member) if member.size <= MAX_BYTES else None
            yield key, ending, member.size, held.read() if held is not None else b""


def _cells(sample: _Sample, columns: Columns, known: dict[str, str]) -> dict[str, object]:
    """The sample's cells under the columns' names."""
    roles = columns.roles
    value: dict[str, Any] = {} if sample.json is None else parse_object(sample.json)
    cells: dict[str, object] = {name: value.pop(name, None) for name in roles.values()}
    other_id = value.pop("id", None)
    if cells[roles["product_id"]] is None:
        cells[roles["product_id"]] = known["key"] if other_id is None else other_id
    cells[roles["title"]] = cells[roles["title"]] or sample.text
    cells[roles["split"]] = cells[roles["split"]] or known["split"]
    inner = value.pop("attributes", None)
    rest = {name: each for name, each in value.items() if not isinstance(each, dict | list)}
    lists = {n: ", ".join(x) for n, x in value.items() if _is_list_of_texts(x)}
    cells["attributes"] = rest | lists | (inner if isinstance(inner, dict) else {})
    cells["images"] = list(sample.images)
    return cells


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _first_key(system: fs.FileSystem, path: str) -> str | None:
    """The key of the first member that a product may consist of; None where there is none."""
    with system.open_input_stream(path, compression=None) as stream:
        try:
            for _, (key, ending, _, _) in zip(
                range(_PROBED), _members(Counted(stream)), strict=False
            ):
                if ending in PICTURES or ending == ".json":
                    return key
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise CatalogError(
                f"{path}: not a tar file ({error}); repair it or take it out of the folder"
            ) from error
    return None
