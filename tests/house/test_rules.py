"""The house rules that no linter of ours holds: sizes, positional arguments, names, imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in ("xmodal", "serve", "jobs")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
TREES = {name: ast.parse(text) for name, text in FILES.items()}
VAGUE = {"utils", "util", "common", "helpers", "helper", "misc", "base"}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno} {node.name}", node


def imports(name: str) -> list[str]:
    nodes = list(ast.walk(TREES[name]))
    plain = [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    return plain + [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)]


def test_no_file_has_more_than_400_lines():
    assert not [name for name, text in FILES.items() if len(text.splitlines()) > 400]


def test_half_of_the_files_have_at_most_150_lines():
    lines = sorted(len(text.splitlines()) for text in FILES.values())
    assert lines[len(lines) // 2] <= 150


def test_a_file_is_named_by_a_noun_of_the_field():
    assert not [name for name in FILES if Path(name).stem in VAGUE]


def test_a_function_fits_a_screen():
    lengths = {where: (node.end_lineno or 0) - node.lineno + 1 for where, node in functions()}
    assert not {where: lines for where, lines in lengths.items() if lines > 40}


def test_a_function_has_at_most_five_positional_parameters():
    wide = []
    for where, node in functions():
        given = [arg.arg for arg in [*node.args.posonlyargs, *node.args.args]]
        wide += [where] * (len([arg for arg in given if arg not in ("self", "cls")]) > 5)
    assert not wide


def test_a_job_has_at_most_80_lines():
    jobs = {name: text for name, text in FILES.items() if name.startswith("jobs/")}
    assert not [name for name, text in jobs.items() if len(text.splitlines()) > 80]


def test_ray_is_imported_only_where_the_name_says_so():
    rooms = [name for name in FILES if not name.startswith(("jobs/", "serve/"))]
    plain = [name for name in rooms if not Path(name).stem.startswith("ray_")]
    assert not [n for n in plain if any(m.split(".")[0] == "ray" for m in imports(n))]


def test_every_module_says_what_it_is():
    assert not [n for n, text in FILES.items() if text.strip() and not ast.get_docstring(TREES[n])]


def test_serve_never_means_two_things():
    plain = {
        name: [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        for name, tree in TREES.items()
        if name.startswith("serve/")
    }
    assert not [n for n, modules in plain.items() if "serve" in [m.split(".")[0] for m in modules]]


def test_only_jobs_and_the_console_print():
    calls = [
        where
        for where, node in functions()
        if not where.startswith(("jobs/", "xmodal/console.py", "xmodal/cli.py", "serve/up.py"))
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "print"
    ]
    assert not calls
