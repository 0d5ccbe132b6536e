"""MUGE and Chinese-CLIP: pictures as base64 in `*_imgs.tsv`, queries as lines of JSON.

    train_imgs.tsv       1000002 TAB /9j/4AAQSkZJ...
    train_queries.jsonl  {"query_id": 8428, "query_text": "斜挎托特包", "item_ids": [1076345]}
    train_texts.jsonl    {"text_id": 8428, "text": "斜挎托特包", "image_ids": [1076345]}

A file's name tells its part (`train`, `valid`, `test`, as in `MR_valid_imgs.tsv`). A picture is a
product without a title: its texts are the queries that it answers. Those of `train` become pairs,
those of other parts judged queries; a query without `item_ids` (the set's `test` keeps them back)
judges nothing. Held-out parts are read first: a picture that comes in two belongs to them.

Source: the READMEs of MUGE (Tianchi's multimodal retrieval) and of OFA-Sys/Chinese-CLIP.
"""

import base64
import binascii
import io
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from pyarrow import fs

from xmodal.catalog.images import MAX_BYTES
from xmodal.catalog.json_rows import lines_of, parse_object
from xmodal.catalog.judgements import Judgement
from xmodal.catalog.layout import Layout, Listing, Rows, SourceFile, part_of_name
from xmodal.catalog.rows import Columns, RawRow, RowFault
from xmodal.errors import CatalogError

_COLUMNS = Columns({"product_id": "id", "split": "split"}, ["image"], [])
_KEYS = (("query_id", "query_text", "item_ids"), ("text_id", "text", "image_ids"))
_START_BYTES = 1 << 16
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def recognise(listing: Listing) -> Layout | None:
    """The layout of a folder with `id TAB base64` in a TSV; None where it has none.

    Raises:
        CatalogError: no line of a file of queries has the keys.
    """
    system = listing.system
    found = [path for path in listing.ending(".tsv") if _holds_pictures(_start(system, path))]
    if not found:
        return None
    files = [
        SourceFile(path, listing.name(path), _COLUMNS, int(system.get_file_info(path).size))
        for path in found
    ]
    files.sort(key=lambda file: part_of_name(file.name) == "train")
    queries = [path for path in listing.ending(".jsonl") if _holds_queries(system, path)]
    named = [(path, listing.name(path)) for path in queries]
    notes = () if queries else ("no *_queries.jsonl beside the pictures: no product has a text",)
    return Layout("muge", tuple(files), read_rows, partial(_judgements, named), notes=notes)


def read_rows(system: fs.FileSystem, file: SourceFile) -> Rows:
    """Yield the pictures of a TSV, a line in memory at a time."""
    split, done = part_of_name(file.name), 0
    with system.open_input_stream(file.path, buffer_size=1 << 20) as stream:
        for row, line in lines_of(io.BufferedReader(stream)):
            done += len(line)
            name, tab, payload = line.strip(b"\r\n").partition(b"\t")
            cells: dict[str, object] = {"id": name, "split": split}
            fault = None
            try:
                cells["image"] = _decoded(payload) if tab else _no_tab(line)
            except RowFault as error:
                fault = error
            yield RawRow(file.name, row, cells, fault), done


def _judgements(files: list[tuple[str, str]], system: fs.FileSystem) -> Iterator[Judgement]:
    """Every line of the files of queries, (path, name)."""
    for path, name in files:
        part = part_of_name(name)
        with system.open_input_stream(path) as stream:
            for row, line in lines_of(io.BufferedReader(stream)):
                blank = Judgement(name, row, part)
                try:
                    yield _judgement(blank, parse_object(line))
                except RowFault as fault:
                    yield replace(blank, fault=fault)


def _judgement(blank: Judgement, value: dict[str, Any]) -> Judgement:
    keys = next((keys for keys in _KEYS if keys[1] in value), _KEYS[0])
    missing = [key for key in keys[:2] if key not in value]
    if missing:
        raise RowFault("query_keys", f"lacks {', '.join(missing)}; it has {', '.join(value)[:99]}")
    query_id, text, products = (value.get(key) for key in keys)
    if not isinstance(text, str) or not isinstance(products, list | None):
        raise RowFault("query_keys", f"{keys[1]} must be a text and {keys[2]} a list")
    grades = {str(product): 1 for product in products or ()}
    return replace(blank, query_id=str(query_id), text=text.strip(), grades=grades)


def _decoded(payload: bytes) -> bytes:
    if len(payload) > 4 * MAX_BYTES // 3:
        raise RowFault("image_huge", f"{len(payload) >> 20} MB of base64")
    try:
        return base64.b64decode(payload.strip().translate(_URL_SAFE), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RowFault("bad_base64", f"{error}: {payload[:40]!r}") from error


def _no_tab(line: bytes) -> bytes:
    raise RowFault("tsv_columns", f"no tab between id and base64: {line[:60]!r}")


def _start(system: fs.FileSystem, path: str) -> bytes:
    with system.open_input_stream(path) as stream:
        return bytes(stream.read(_START_BYTES))


def _holds_pictures(start: bytes) -> bool:
    """Whether any line that lies at the start, whole or in part, is `id TAB base64`."""
    for line in start.splitlines():
        name, tab, payload = line.partition(b"\t")
        sample = payload.strip()[:64].translate(_URL_SAFE)
        is_base64 = len(sample) >= 16 and not sample.translate(None, _ALPHABET)
        if tab and name.strip() and is_base64:
            return True
    return False


def _holds_queries(system: fs.FileSystem, path: str) -> bool:
    """Whether a JSONL file asks: predictions and features beside it have ids alone."""
    name = path.rpartition("/")[2].lower()
    is_named = any(word in name for word in ("_queries.", "_texts."))
    seen: set[str] = set()
    for line in _start(system, path).splitlines()[:20]:
        try:
            seen.update(parse_object(line))
        except RowFault:
            continue
    if any(keys[1] in seen for keys in _KEYS):
        return True
    if is_named and seen and "text_ids" not in seen:
        raise CatalogError(
            f"{path}: its lines have {', '.join(sorted(seen))[:99]}; they need"
            f" {', '.join(_KEYS[0])} (or {', '.join(_KEYS[1])})"
        )
    return False


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
