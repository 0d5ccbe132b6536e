"""xmodal/index/build.py: whole or not there, whatever the disk and the shop are like."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import make_picture, tiny_encoder
from tests.homes import embed, product_row, tiny_catalog, tiny_index, write_catalog
from xmodal.index.version import open_index
from xmodal.matcher.text_tower import TextTower

ROOT = Path(__file__).parents[2]
SMALL_DISK = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"')
BUILD = """
import sys
from pathlib import Path
from tests.factories import tiny_encoder
from xmodal.catalog.store import open_catalog
from xmodal.errors import StorageError
from xmodal.index.build import build_index
from xmodal.retrieval.embed import open_store

catalog, store, disk = map(Path, sys.argv[1:])
try:
    build_index(open_store(store), open_catalog(catalog), tiny_encoder(), "e0", disk)
except StorageError as error:
    print(error, "left:", list(disk.iterdir()))
"""


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, encoder):
    disk = tmp_path / "disk"
    disk.mkdir()
    can_mount = shutil.which("unshare") and not subprocess.call([*SMALL_DISK, disk, "true"])
    if not can_mount:
        pytest.skip("no file system may be mounted here")
    catalog = tiny_catalog(tmp_path / "c1", products=60)  # 120 kB of tokens
    embed(catalog, encoder, tmp_path / "store")
    build = [sys.executable, "-c", BUILD, tmp_path / "c1", tmp_path / "store", disk]
    done = subprocess.run([*SMALL_DISK, disk, *build], cwd=ROOT, capture_output=True, text=True)
    assert "the disk is full; free some space" in done.stdout, done
    assert done.stdout.endswith("left: []\n")


def test_a_placeholder_that_many_products_share_is_no_damage(tmp_path, encoder):
    rows = [product_row(number) for number in range(130)]
    for row in rows[10:]:
        row["images"] = [make_picture(7)]
    index = tiny_index(tmp_path, write_catalog(tmp_path / "c1", rows), encoder)
    assert index.facts.self_found == 1.0


@pytest.mark.parametrize("name", ["tokens.npy", "index.json"])
def test_a_damaged_version_is_built_again_in_its_place(tmp_path, encoder, name):
    catalog = tiny_catalog(tmp_path / "c1")
    folder = tiny_index(tmp_path, catalog, encoder).folder
    (folder / name).write_bytes(b"{")
    assert tiny_index(tmp_path, catalog, encoder).folder == folder
    assert open_index(folder, "e0").facts.vectors == 26


def test_titles_go_through_the_encoder_a_batch_at_a_time(tmp_path, encoder):
    seen: list[int] = []
    tower = next(part for part in encoder.modules() if isinstance(part, TextTower))
    hook = tower.register_forward_pre_hook(
        lambda _, given, named: seen.append(len([*given, *named.values()][0])), with_kwargs=True
    )
    rows = [product_row(number, pictures=number < 4) for number in range(300)]
    tiny_index(tmp_path, write_catalog(tmp_path / "c1", rows), encoder)
    hook.remove()
    assert 0 < max(seen) <= 256
