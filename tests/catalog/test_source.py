"""xmodal/catalog/source.py: a folder is recognised by its content."""

import errno
from dataclasses import replace

import pytest
from fsspec.implementations.local import LocalFileSystem
from pyarrow import fs

from tests.shops import make_rows, write_csv, write_parquet
from xmodal.catalog.images import ImageFault
from xmodal.catalog.source import find_source, known_as
from xmodal.errors import CatalogError, HomeError
from xmodal.settings import ColumnSettings

COLUMNS = ColumnSettings()
PRODUCTS = [{"product_id": "1", "title": "shoe"}]


def test_a_csv_with_strangers_beside_it(tmp_path):
    folder = write_csv(tmp_path, make_rows(3))
    (folder / "notes.txt").write_text("hello")
    (folder / "prices.csv").write_text("sku,price\n1,2\n")
    (folder / "empty.csv").write_text("")
    source = find_source(str(folder), COLUMNS)
    assert (source.layout.kind, [file.name for file in source.layout.files]) == (
        "csv",
        ["products.csv"],
    )
    assert [raw.cells["product_id"] for raw, _, _ in source.rows()] == ["p000", "p001", "p002"]
    assert [share for *_, share in source.rows()][-1] == 1.0


def test_parquet_files_in_order_without_queries_beside(tmp_path):
    for name in ("b.parquet", "a.parquet"):
        write_parquet(tmp_path, [{"id": name, "title": "x"}], name)
    write_parquet(tmp_path, [{"query_id": "1", "product_id": "a", "grade": 1}], "qrels.parquet")
    source = find_source(str(tmp_path), COLUMNS)
    assert [raw.cells["id"] for raw, *_ in source.rows()] == ["a.parquet", "b.parquet"]


def test_parquet_one_level_below_as_the_hub_lays_it(tmp_path):
    write_parquet(tmp_path / "data", PRODUCTS, "train-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text("# set")
    source = find_source(str(tmp_path), COLUMNS)
    assert [file.name for file in source.layout.files] == ["data/train-00000-of-00001.parquet"]


def test_parquet_further_below_and_nothing_hidden(tmp_path):
    places = ("data/train", "data/test", ".git/x", "_delta_log", "data/.cache", "home/catalogs/1")
    for place in places:
        write_parquet(tmp_path / place, PRODUCTS, "0.parquet")
    (tmp_path / "data" / "again").symlink_to(tmp_path)
    source = find_source(str(tmp_path), COLUMNS, tmp_path / "home")
    assert [file.name for file in source.layout.files] == [
        "data/test/0.parquet",
        "data/train/0.parquet",
    ]


def test_the_home_is_no_shop(tmp_path):
    folder = write_csv(tmp_path, make_rows(1))
    for place in (folder, folder / "products.csv"):
        with pytest.raises(HomeError, match="lies in the home itself; XMODAL_HOME="):
            find_source(str(place), COLUMNS, folder)


class FullDisk(LocalFileSystem):
    def info(self, path, **how):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_no_fault_of_a_picture(tmp_path):
    source = find_source(str(write_csv(tmp_path, make_rows(1))), COLUMNS)
    full = fs.PyFileSystem(fs.FSSpecHandler(FullDisk()))
    with pytest.raises(OSError, match="No space left"):
        replace(source, system=full).read_image("products.csv", "images/000.jpg")


def store(tmp_path):
    """A source of another store than the local disk: its paths begin with a bucket."""
    folder = write_csv(tmp_path / "bucket" / "shop", make_rows(1))
    system = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    found = find_source(str(folder), COLUMNS)
    return replace(found, system=system, folder="bucket/shop", uri="s3://bucket/shop")


def test_a_uri_in_a_cell_is_read(tmp_path):
    source, name = store(tmp_path), "images/000.jpg"
    content = (tmp_path / "bucket" / "shop" / name).read_bytes()
    for cell in (name, f"s3://bucket/shop/{name}", f"file://{tmp_path}/bucket/shop/{name}"):
        assert source.read_image("products.csv", cell) == content


@pytest.mark.parametrize(
    ("uri", "path", "name"),
    [
        ("s3://key:secret@bucket/shop?region=x", "bucket/shop", "s3://bucket/shop"),
        ("hdfs://user@host:8020/shop", "/shop", "hdfs://host:8020/shop"),
    ],
)
def test_a_folder_is_known_by_its_scheme_without_its_password(uri, path, name):
    assert known_as(uri, fs.SubTreeFileSystem("/", fs.LocalFileSystem()), path) == name


def test_parquet_wins_over_a_csv_and_says_so(tmp_path):
    write_csv(write_parquet(tmp_path, PRODUCTS), make_rows(1))
    assert (
        find_source(str(tmp_path), COLUMNS)
        .layout.notes[0]
        .startswith("products.csv was left alone")
    )


def test_one_file_or_a_uri_is_a_source_too(tmp_path):
    folder = write_csv(tmp_path, make_rows(2))
    for uri in (str(folder / "products.csv"), f"file://{folder}"):
        assert find_source(uri, COLUMNS).layout.files[0].name == "products.csv"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "no such folder; give one by --catalog"),
        ({}, "no Parquet, CSV, .* tar file of products in it, and no picture"),
        ({"x.csv": "sku,name\n1,a\n"}, "x.csv has the columns sku, name; it needs product_id"),
        ({"x.csv": "id,title\n1,a\n", "y.csv": "id,title\n1,a\n"}, r"several .*x.csv, y.csv"),
        ({"x.csv": ""}, "x.csv: is empty"),
        ({"x.parquet": "junk"}, "not a Parquet file"),
    ],
)
def test_a_folder_that_is_no_catalogue_says_why(files, message, tmp_path):
    folder = tmp_path / "shop"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    with pytest.raises(CatalogError, match=message) as said:
        find_source(str(folder), COLUMNS)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("images/none.jpg", "image_missing"),
        ("images", "image_missing"),
        ("http://shop/a.jpg", "image_missing"),
        ("a\0b", "image_missing"),
        (400 * "a", "image_missing"),
        ("images/000.jpg/000.jpg", "image_missing"),
        ("ftp://shop/a.jpg", "image_missing"),
        ("file://elsewhere", "image_missing"),
    ],
)
def test_an_image_that_is_not_there_says_so(path, reason, tmp_path):
    source = find_source(str(write_csv(tmp_path, make_rows(1))), COLUMNS)
    with pytest.raises(ImageFault) as fault:
        source.read_image("products.csv", path)
    assert fault.value.reason == reason


def test_an_image_path_is_relative_to_its_file(tmp_path):
    source = find_source(str(write_csv(tmp_path, make_rows(1))), COLUMNS)
    content = (tmp_path / "images" / "000.jpg").read_bytes()
    assert source.read_image("products.csv", "images/000.jpg") == content
    assert source.read_image("products.csv", "images\\000.jpg") == content
