"""The home's record of its shop, and the files that lie in a shop's folder beside the products."""

import dataclasses
import os
from pathlib import Path

from pyarrow import fs

from xmodal import fingerprint
from xmodal.catalog.judging import Judging
from xmodal.catalog.source import Source
from xmodal.catalog.store import Catalog, Manifest, current_catalog
from xmodal.errors import CatalogError, HomeError, QueriesError, XmodalError
from xmodal.settings import CatalogSettings
from xmodal.storage import read_json, write_json_atomic

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


def make_current(home: Path, source: str, catalog_id: str) -> None:
    """Record which catalogue the home holds now."""
    write_json_atomic(home / "catalog.json", {"source": source, "current": catalog_id})


def stamp(source: Source, settings: CatalogSettings, seed: int, form: int) -> str:
    """Fingerprint of names, sizes and times of all that an ingest reads, and of its settings."""
    selector = fs.FileSelector(source.folder, recursive=True)
    files = [
        [info.path, info.size, info.mtime_ns]
        for info in source.system.get_file_info(selector)
        if info.type == fs.FileType.File
    ]
    for path in (queries_path(source, settings), glossary_path(source, settings)):
        files += [[str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in _files_of(path)]
    chosen = settings.model_dump(mode="json")
    return fingerprint.of_json([form, seed, chosen, [f.name for f in source.files], sorted(files)])


def same_as_before(home: Path, stamp: str) -> Catalog | None:
    """The home's catalogue where it was made of the same files by the same settings."""
    try:
        catalog = current_catalog(home)
    except XmodalError:
        return None
    return catalog if catalog.manifest.facts.get("stamp") == stamp else None


def queries_path(source: Source, settings: CatalogSettings) -> Path | None:
    """Where the judged queries are, if any are given: beside the products, or from here.

    Raises:
        QueriesError: they are not there.
    """
    if settings.queries is None:
        return None
    path = _beside(source, settings.queries)
    if path is None:
        raise QueriesError(f"catalog.queries {settings.queries}: no such file or folder")
    return path


def glossary_path(source: Source, settings: CatalogSettings) -> Path | None:
    """Where the glossary is, if there is one.

    Raises:
        CatalogError: the one that `catalog.glossary` names is not there.
    """
    path = _beside(source, settings.glossary or GLOSSARY)
    if path is None and settings.glossary is not None:
        raise CatalogError(f"catalog.glossary {settings.glossary}: no such file")
    return path


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


def _beside(source: Source, name: str) -> Path | None:
    """`name` in the catalogue's folder, else from the working folder; None if in neither."""
    paths = (Path(source.folder) / name, Path(name).expanduser().resolve())
    return next((path for path in paths if path.exists()), None)


def _files_of(path: Path | None) -> list[Path]:
    if path is None:
        return []
    return sorted(path.rglob("*")) if path.is_dir() else _with_sibling(path)


def _with_sibling(path: Path) -> list[Path]:
    beside = path.with_name(path.name.replace("queries", "qrels"))
    return [file for file in (path, beside) if os.path.exists(file)]
