"""README.md: every path, function, make target, job and flag that it names exists."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
MAKE = (ROOT / "Makefile").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
SHELL = "\n".join(text for language, text in BLOCKS if language == "bash")
ROWS = re.findall(r"^\| .+? \| `([\w/.]+\.py)` \| `(\w+)` \|$", TEXT, re.MULTILINE)


def test_it_is_at_most_250_lines():
    assert len(TEXT.splitlines()) <= 250


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))))
def test_a_link_leads_to_a_file(link):
    assert (ROOT / link).exists()


def test_the_table_of_places_is_read():
    assert len(ROWS) >= 10


@pytest.mark.parametrize(("path", "name"), ROWS)
def test_a_function_is_where_it_says(path, name):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    top = ast.parse((ROOT / path).read_text()).body
    assert name in [node.name for node in top if isinstance(node, kinds)]


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:jobs|serve|xmodal|configs|docs|tests)/[\w/.-]+)`", TEXT)))
)
def test_a_path_in_the_text_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"(?:jobs|configs)/[\w-]+\.(?:py|yaml)", TEXT)))
)
def test_a_job_or_config_of_a_command_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake (\w+)", SHELL))))
def test_a_make_target_exists(target):
    assert re.search(rf"^{target}:", MAKE, re.MULTILINE)


def test_the_tree_names_folders_that_exist():
    tree = next(text for language, text in BLOCKS if not language and "jobs/" in text)
    names = re.findall(r"^(  )?([\w.]+/?) ", tree, re.MULTILINE)
    missing = [
        name for inside, name in names if not (ROOT / ("xmodal" * bool(inside)) / name).exists()
    ]
    assert not missing


def test_settings_that_it_sets_exist():
    from xmodal.settings import field_names

    named = set(re.findall(r"--set ([\w.]+)=", TEXT)) - {"a.b"}
    assert named
    assert named <= set(field_names())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_loads_and_what_it_would_search_can_be_searched(path):
    from xmodal.layers import load_settings
    from xmodal.training.space import check_space

    assert yaml.safe_load(path.read_text())
    settings = load_settings(path, environ={})
    if settings.tuning.trials > 0:
        check_space(settings)


def test_no_shop_is_named_in_code_and_configs():
    files = [*CONFIGS, ROOT / "Makefile", ROOT / "cluster.yaml", *(ROOT / "docs").glob("*.md")]
    code = [path for room in ("xmodal", "serve", "jobs") for path in (ROOT / room).rglob("*.py")]
    assert not [path for path in (*files, *code) if "kagl" in path.read_text().lower()]


def test_nothing_points_out_of_the_repository():
    assert "../" not in TEXT
