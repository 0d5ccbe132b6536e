"""docs/: the generated pages say what the code says."""

import importlib.util
from pathlib import Path

import pytest

from xmodal.settings import field_names

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("name", ["settings.md", "help.md", "openapi.json"])
def test_a_page_is_fresh(pages, name):
    path = ROOT / "docs" / name
    found = path.read_text() if path.exists() else ""
    assert found == pages[name], f"docs/{name} is stale: make docs"


def test_every_knob_is_on_the_settings_page(pages):
    missing = [name for name in field_names() if f"`{name}`" not in pages["settings.md"]]
    assert not missing
