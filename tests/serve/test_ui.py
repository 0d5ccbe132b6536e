"""serve/ui: the page is whole, loads nothing from elsewhere and never turns data into markup."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from xmodal.search.searcher import ABSENT, FEWER, SKIPPED

UI = Path(__file__).parents[2] / "serve" / "ui"
SCRIPTS = sorted(UI.glob("*.js"))
PAGE = (UI / "index.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def tags() -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(PAGE)
    return parser.found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_turns_data_into_markup(script):
    text = script.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


def test_the_page_allows_only_its_own_scripts_and_requests():
    assert "default-src 'none'" in PAGE
    assert "script-src 'self'" in PAGE
    assert "connect-src 'self'" in PAGE
    assert "unsafe" not in PAGE


@pytest.mark.parametrize("path", sorted(UI.iterdir()), ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(?:src|href|url\(|fetch\(|import)\W{0,3}(?:https?:)?//", text)


def test_every_file_that_the_page_and_its_scripts_name_is_there(tags):
    named = {a[key] for _, a in tags for key in ("src", "href") if a.get(key)}
    local = {name for name in named if name and re.fullmatch(r"[\w-]+\.(js|css)", name)}
    for script in SCRIPTS:
        local |= set(re.findall(r'from "\./([^"]+)"', script.read_text(encoding="utf-8")))
    assert {"app.js", "style.css", "api.js", "view.js", "words.js"} == local
    assert all((UI / name).is_file() for name in local)


def test_every_element_that_a_script_asks_for_is_on_the_page(tags):
    ids = {a["id"] for _, a in tags if "id" in a}
    for script in SCRIPTS:
        asked = set(re.findall(r'\$\("([^"]+)"\)', script.read_text(encoding="utf-8")))
        assert asked <= ids, script.name


def test_pictures_have_alternatives_and_fields_have_names(tags):
    labelled = {a.get("for") for tag, a in tags if tag == "label"}
    inside_label = {"rerank"}
    for tag, a in tags:
        if tag == "img":
            assert "alt" in a
        if tag == "input":
            assert a["id"] in labelled | inside_label or a.get("aria-label")


def test_buttons_without_words_have_names(tags):
    icons = [a for tag, a in tags if tag == "button" and "icon" in (a.get("class") or "")]
    assert icons
    assert all(a.get("aria-label") for a in icons)


def test_a_new_release_brings_its_own_filters():
    shown = (UI / "app.js").read_text(encoding="utf-8").partition("function show(")[2]
    assert "answeredBy !== release.id) loadFacets()" in shown.partition("\n}\n")[0]


def test_the_page_knows_every_way_in_which_an_answer_degrades():
    view = (UI / "view.js").read_text(encoding="utf-8")
    assert all(f"  {note}:" in view for note in (FEWER, SKIPPED, ABSENT))
