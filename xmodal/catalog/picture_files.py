"""A tree of pictures and nothing else: every picture is a product without a title.

    shop/shoes/001.jpg ─► product_id shoes/001.jpg, category shoes

Folders named `train`, `val` or `test` at the top of the tree are the parts, as image sets are laid
out. Where the pictures lie in two folders or more, the folder is a product's `category`. Such a
shop is searched by picture; without a title or a judged query there is nothing to train on.
"""

from functools import partial
from pathlib import PurePosixPath

from pyarrow import fs

from xmodal.catalog.layout import Layout, Listing, Rows, SourceFile, pictures_in
from xmodal.catalog.rows import SPLIT_NAMES, Columns, RawRow

_COLUMNS = Columns({"product_id": "path", "split": "split"}, ["image"], ["category"])


def recognise(listing: Listing) -> Layout | None:
    """The layout of a tree that holds pictures and no table; None of any other."""
    if not listing.pictures or listing.ending(".csv", ".parquet"):
        return None
    folders = [PurePosixPath(folder) for folder in sorted(listing.pictures)]
    tops = {folder.parts[0].lower() if folder.parts else "" for folder in folders}
    has_parts = tops <= set(SPLIT_NAMES) - {""}
    classes = {str(PurePosixPath(*f.parts[has_parts:])) for f in folders} - {"."}
    n = listing.pictures.total()
    files = tuple(
        SourceFile(f"{listing.folder}/{name}", name, _COLUMNS, listing.pictures[name])
        for name in sorted(listing.pictures)
    )
    read = partial(read_rows, has_parts=has_parts, has_classes=len(classes) > 1)
    note = f"{n:,} pictures without titles: products are found by picture alone"
    return Layout("pictures", files, read, notes=(note,))


def read_rows(
    system: fs.FileSystem, file: SourceFile, *, has_parts: bool, has_classes: bool
) -> Rows:
    """Yield the pictures of one folder, as paths relative to it."""
    folder = PurePosixPath(file.name)
    split = folder.parts[0].lower() if has_parts else ""
    is_class = has_classes and len(folder.parts) > has_parts
    for row, name in enumerate(pictures_in(system, file.path), start=1):
        cells: dict[str, object] = {"path": str(folder / name), "split": split, "image": name}
        if is_class:
            cells["category"] = folder.name
        yield RawRow(f"{folder / name}", 1, cells), row
