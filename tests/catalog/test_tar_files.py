"""xmodal/catalog/tar_files.py: shards of one product a key."""

import pytest

from tests.foreign import write_tar
from tests.shops import encoded, quarantined, take_in
from xmodal.errors import CatalogError


def products(catalog):
    columns = ["product_id", "title", "attributes", "split", "price"]
    return {row["product_id"]: row for row in catalog.rows(columns)}


def members(keys, title="Shoe {}"):
    """A picture and a text for each key."""
    each = [[(f"{k}.jpg", encoded(k)), (f"{k}.txt", title.format(k))] for k in keys]
    return [member for pair in each for member in pair]


def test_json_text_and_picture_of_a_key_are_a_product(tmp_path):
    about = {
        "product_id": "a1",
        "title": "Red shoe",
        "split": "dev",
        "price": 3.5,
        "attributes": {"size": 42},
        "colour": "red",
        "tags": ["old", "new"],
        "box": {"x": 1},
    }
    shard = [
        ("x/0001.jpg", encoded(1)),
        ("x/0001.seg.png", encoded(2, "PNG")),
        ("x/0001.json", about),
        ("x/0001.npy", b"\0" * 99),
        ("x/0002.webp", encoded(3, "WEBP")),
        ("x/0002.txt", "Blue hat\n"),
    ]
    folder = write_tar(tmp_path / "shop" / "shop-000.tar", shard)
    catalog = take_in(folder, tmp_path / "home").catalog
    found = products(catalog)
    assert found["a1"] == {
        "product_id": "a1",
        "title": "Red shoe",
        "attributes": {"size": "42", "colour": "red", "tags": "old, new"},
        "split": "dev",
        "price": 3.5,
    }
    assert (found["x/0002"]["title"], found["x/0002"]["split"]) == ("Blue hat", "train")
    assert catalog.n_images == 3


def test_the_shards_name_tells_the_part_and_gzip_is_read(tmp_path):
    for part, keys in (("train", range(6)), ("val", range(6, 8))):
        write_tar(tmp_path / "shop" / f"{part}-000.tar.gz", members(keys), "w:gz")
    manifest = take_in(tmp_path / "shop", tmp_path / "home").catalog.manifest
    assert (manifest.counts, manifest.n_queries) == ({"train": 6, "val": 2}, {"val": 2})


def test_keys_that_start_again_are_told_apart_by_their_shard(tmp_path):
    for number in range(2):
        titles = f"Shard {number} shoe {{}}"
        write_tar(tmp_path / "shop" / f"s{number}.tar", members(range(3), titles))
    found = products(take_in(tmp_path / "shop", tmp_path / "home").catalog)
    assert list(found) == [f"s{shard}/{key}" for shard in range(2) for key in range(3)]


def test_a_column_may_have_another_name(tmp_path):
    shard = [("1.jpg", encoded(1)), ("1.json", {"id": 7, "caption": "Hat", "sku": "s7"})]
    folder = write_tar(tmp_path / "shop" / "a.tar", shard)
    columns = {"title": "caption", "product_id": "sku"}
    found = products(take_in(folder, tmp_path / "home", columns=columns).catalog)
    assert found["s7"]["title"] == "Hat"


def test_bad_samples_cost_themselves(tmp_path):
    bad = [
        ("broken.jpg", encoded(900)),
        ("broken.json", "{no"),
        ("latin.jpg", encoded(901)),
        ("latin.txt", "h\xfct".encode("latin-1")),
        ("caf\udce9.jpg", encoded(902)),
        ("list.json", [1]),
        ("text.jpg", b"I am a text"),
        ("empty.json", {"colour": "red"}),
        ("part.jpg", encoded(903)),
        ("part.json", {"split": "everything"}),
    ]
    folder = write_tar(tmp_path / "shop" / "a.tar", members(range(60)) + bad)
    catalog = take_in(folder, tmp_path / "home", max_bad_share=0.2).catalog
    assert quarantined(catalog.path / "quarantine") == {
        "bad_json": ["broken", "list"],
        "bad_utf8": ["latin", "caf?"],
        "empty": ["empty"],
        "not_an_image": ["text"],
        "split": ["part"],
    }
    assert catalog.n_products == 60


def test_a_shard_that_is_cut_short_stops(tmp_path):
    path = tmp_path / "shop" / "a.tar"
    write_tar(path, members(range(20)))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(CatalogError, match=r"a.tar: damaged after sample \d+ .* anew"):
        take_in(tmp_path / "shop", tmp_path / "home")


def test_what_is_no_tar_says_so(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.tar").write_bytes(b"junk" * 300)
    with pytest.raises(CatalogError, match=r"a.tar: not a tar file"):
        take_in(tmp_path / "shop", tmp_path / "home")
