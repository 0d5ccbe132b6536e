"""What a reader of a foreign folder is given, and what it makes of it.

a folder's files ─► Listing ─► recognise ─► Layout: how rows and judgements are read
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Literal

from pyarrow import fs

from xmodal.catalog.judgements import Judgement
from xmodal.catalog.rows import SPLIT_NAMES, Columns, RawRow
from xmodal.catalog.schema import Split

Kind = Literal["parquet", "csv", "esci", "muge", "tar", "pictures"]
Rows = Iterator[tuple[RawRow, int]]  # a row, and how much of its file's size was read with it

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
_TABLES = (".parquet", ".tsv", ".jsonl", ".tar", ".tar.gz", ".tgz")
_WORD = re.compile(r"[^a-z]+")


@dataclass(frozen=True)
class SourceFile:
    """One file of products (or a folder of pictures)."""

    path: str
    name: str  # relative to the folder
    columns: Columns
    size: int  # rows, pictures or bytes: what progress counts


@dataclass(frozen=True)
class Layout:
    """How a recognised folder is read."""

    kind: Kind
    files: tuple[SourceFile, ...]
    read: Callable[[fs.FileSystem, SourceFile], Rows]
    judgements: Callable[[fs.FileSystem], Iterator[Judgement]] | None = None
    labels: Mapping[int, str] = field(default_factory=dict)  # what the set calls its grades
    notes: tuple[str, ...] = ()


@dataclass
class Listing:
    """The files of a folder that a reader may want; of pictures only how many there are."""

    system: fs.FileSystem
    folder: str
    paths: list[str] = field(default_factory=list)  # CSV of the folder itself, others at any depth
    pictures: Counter[str] = field(default_factory=Counter)  # by their folder, relative

    def add(self, path: str) -> None:
        """Take a file in; one whose name says that it holds no products is passed by."""
        below = PurePosixPath(path).relative_to(self.folder)
        ending = below.suffix.lower()
        if any(part.startswith((".", "_")) for part in below.parts):
            return
        if ending in PICTURES:
            self.pictures[str(below.parent)] += 1
        elif path.lower().endswith(_TABLES) or (ending == ".csv" and len(below.parts) == 1):
            self.paths.append(path)

    def ending(self, *endings: str) -> list[str]:
        """Paths that end so, whatever their case, in order."""
        return sorted(path for path in self.paths if path.lower().endswith(endings))

    def name(self, path: str) -> str:
        """The path relative to the folder."""
        return str(PurePosixPath(path).relative_to(self.folder))


def part_of_name(name: str) -> Split:
    """The part that a file's name tells (`train_imgs.tsv`, `MR_valid_queries.jsonl`), else train.

    >>> part_of_name("MR_valid_queries.jsonl"), part_of_name("shoes-000.tar")
    ('val', 'train')
    """
    words = _WORD.split(PurePosixPath(name).name.lower())
    return next((SPLIT_NAMES[word] for word in words if word and word in SPLIT_NAMES), "train")


def pictures_in(system: fs.FileSystem, folder: str) -> list[str]:
    """Names of the pictures that lie in a folder itself, in order."""
    infos = system.get_file_info(fs.FileSelector(folder))
    names = [info.base_name for info in infos if info.type == fs.FileType.File]
    is_picture = (PurePosixPath(name).suffix.lower() in PICTURES for name in names)
    kept = (name for name, is_one in zip(names, is_picture, strict=True) if is_one)
    return sorted(name for name in kept if not name.startswith((".", "_")))


class Counted:
    """A stream that counts the bytes which were read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = bytes(self._stream.read(size))
        self.bytes += len(content)
        return content
