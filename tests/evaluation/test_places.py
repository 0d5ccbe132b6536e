"""xmodal/evaluation/places.py: where catalogues and vectors are found, or made once."""

import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.errors import CatalogError
from xmodal.evaluation.places import find_catalog, find_vectors
from xmodal.matcher.saved import load_matcher, save_matcher
from xmodal.settings import Settings
from xmodal.storage import write_json_atomic

SETTINGS = Settings()


def shop_folder(folder, products=12):
    """A foreign shop: one CSV beside its pictures."""
    folder.mkdir()
    lines = ["id,image,title"]
    for n in range(products):
        (folder / f"{n}.png").write_bytes(make_picture(n))
        lines.append(f"p{n},{n}.png,shoe {n}")
    (folder / "products.csv").write_text("\n".join(lines))
    return folder


def test_another_shop_is_taken_in_apart_from_the_homes_own(tmp_path):
    home = tmp_path / "home"
    own = make_catalog(home / "catalogs" / "c1", [make_product(0)])
    write_json_atomic(home / "catalog.json", {"source": own.manifest.source, "current": "c1"})
    found = find_catalog(str(shop_folder(tmp_path / "shop")), home, SETTINGS, lambda _: None)
    assert found.n_products == 12
    assert found.path.is_relative_to(home / "cache" / "shops")
    again = find_catalog(str(tmp_path / "shop"), home, SETTINGS, lambda _: None)
    assert again.path == found.path


def test_the_homes_own_folder_is_its_current_catalogue(tmp_path):
    home, source = tmp_path / "home", tmp_path / "home" / "catalogs" / "c1"
    own = make_catalog(source, [make_product(0)])
    (shop := tmp_path / "shop").mkdir()
    text = (source / "manifest.json").read_text().replace(str(source), str(shop))
    (source / "manifest.json").write_text(text)
    write_json_atomic(home / "catalog.json", {"source": str(shop), "current": "c1"})
    found = find_catalog(str(shop), home, SETTINGS, lambda _: None)
    assert found.path == own.path


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CatalogError, match="nowhere: no such folder"):
        find_catalog(str(tmp_path / "nowhere"), tmp_path, SETTINGS, lambda _: None)


def test_vectors_are_made_once(tmp_path):
    catalog = make_catalog(tmp_path / "catalog", [make_product(n) for n in range(6)])
    save_matcher(tmp_path / "matcher", tiny_encoder())
    matcher, done = load_matcher(tmp_path / "matcher"), []
    for _ in range(2):
        store = find_vectors(tmp_path / "home", matcher, catalog, done.append)
    assert done == [6]
    assert store.names == ["vector"]  # no reranker, so no tokens
