"""The home's record of its shop, and the files that lie in a shop's folder beside the products."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pyarrow import fs

from xmodal import fingerprint
from xmodal.catalog.judged import qrels_beside
from xmodal.catalog.judging import Judging
from xmodal.catalog.source import Source, walk
from xmodal.catalog.store import Catalog, Manifest, current_catalog
from xmodal.errors import CatalogError, HomeError, QueriesError, XmodalError
from xmodal.settings import CatalogSettings
from xmodal.storage import Place, filesystem, read_json, write_json_atomic

GLOSSARY = "glossary.zh.json"


def claim(home: Path, source: str) -> None:
    """Check that the home is free, or holds the shop of this very folder.

    Raises:
        HomeError: it holds another folder's shop.
    """
    record = home / "catalog.json"
    if not record.exists():
        return
    held = read_json(record)
    if not isinstance(held, dict) or held.get("source") != source:
        other = held.get("source") if isinstance(held, dict) else "an unknown folder"
        raise HomeError(
            f"home {home} holds the shop of {other}; for {source} give it a home of its own:"
            " XMODAL_HOME=<another folder>"
        )


def make_current(home: Path, source: str, catalog_id: str, stamp: str) -> None:
    """Record which catalogue the home holds now, and the `stamp` of what it was made of."""
    record = {"source": source, "current": catalog_id, "stamp": stamp}
    write_json_atomic(home / "catalog.json", record)


def stamp(source: Source, settings: CatalogSettings, seed: int, form: int, home: Path) -> str:
    """Fingerprint of names, sizes and times of all that an ingest reads, and of its settings.

    Raises:
        CatalogError: a folder of the shop cannot be read.
    """
    contents = fingerprint.Running()
    chosen = settings.model_dump(mode="json")
    contents.add([form, seed, chosen, [file.name for file in source.layout.files]])
    try:
        for info in _all_files(source, settings, home):
            contents.add([info.path, info.size, info.mtime_ns])
    except OSError as error:
        reason = " ".join(str(error).split())
        raise CatalogError(f"catalogue {source.uri}: cannot be read ({reason})") from error
    return contents.hexdigest()


def same_as_before(home: Path, stamp: str) -> Catalog | None:
    """The home's catalogue where it was made of the same files by the same settings."""
    try:
        catalog, record = current_catalog(home), read_json(home / "catalog.json")
    except XmodalError:
        return None
    return catalog if isinstance(record, dict) and record.get("stamp") == stamp else None


def queries_place(source: Source, settings: CatalogSettings) -> Place | None:
    """Where the judged queries are, if any are given: beside the products, or from here.

    Raises:
        QueriesError: they are not there.
    """
    if settings.queries is None:
        return None
    place = _beside(source, settings.queries)
    if place is None:
        raise QueriesError(f"catalog.queries {settings.queries}: no such file or folder")
    return place


def glossary_place(source: Source, settings: CatalogSettings) -> Place | None:
    """Where the glossary is, if there is one.

    Raises:
        CatalogError: the one that `catalog.glossary` names is not there.
    """
    place = _beside(source, settings.glossary or GLOSSARY)
    if place is None and settings.glossary is not None:
        raise CatalogError(f"catalog.glossary {settings.glossary}: no such file")
    return place


def complete(manifest: Manifest, content: str, n_pairs: int, judged: Judging) -> Manifest:
    """The manifest with what is known only at the end; its id is its content's fingerprint."""
    return dataclasses.replace(
        manifest,
        id=content,
        fingerprint=content,
        n_pairs=n_pairs,
        made_queries=judged.made,
        n_queries=judged.n_queries,
    )


def _all_files(source: Source, settings: CatalogSettings, home: Path) -> Iterator[fs.FileInfo]:
    """The shop's files, then the queries and the glossary, which may lie elsewhere."""
    yield from walk((source.system, source.folder), home)
    for place in (queries_place(source, settings), glossary_place(source, settings)):
        if place is None:
            continue
        system, path = place
        if system.get_file_info(path).type == fs.FileType.Directory:
            yield from walk(place, None)
        else:
            yield from system.get_file_info([path, qrels_beside(path)])


def _beside(source: Source, name: str) -> Place | None:
    """`name` in the catalogue's folder, else from the working folder; None if in neither."""
    if "://" in name:
        places = [filesystem(name)]
    else:
        places = [(source.system, str(PurePosixPath(source.folder) / name)), filesystem(name)]
    found = (place for place in places if _is_there(*place))
    return next(found, None)


def _is_there(system: fs.FileSystem, path: str) -> bool:
    return bool(system.get_file_info(path).type != fs.FileType.NotFound)
