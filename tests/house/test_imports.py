"""Nothing happens at import, and the floors hold."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("xmodal", "serve", "jobs")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
)

# Runs in a clean process: imports every module with files, sockets and processes watched. Only
# our own modules' top level counts: what is on the stack below them belongs to a library.
WATCHER = """
import importlib, os, sys
root, modules = sys.argv[1], sys.argv[2].split(",")
sys.path.insert(0, root)
seen, watched = [], {"socket.connect", "subprocess.Popen", "os.mkdir", "os.rename", "os.remove"}
def hook(event, args):
    if event != "open" and event not in watched:
        return
    if str(args[0]).startswith(root) and str(args[0]).endswith(".py"):
        return  # pydantic reads the docstrings under our fields
    frame = sys._getframe(1)
    while frame:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return  # an import in between: what a library does is its own business
        if "/pydantic/plugin/" in name:
            return  # which looks for plug-ins when the first model of a process is made
        if name.startswith(root + os.sep) and ".venv" not in name:
            seen.append(f"{name}:{frame.f_lineno} {event} {args[:1]}")
            return
        frame = frame.f_back
sys.addaudithook(hook)
for module in modules:
    importlib.import_module(module)
import ray
if ray.is_initialized():
    seen.append("ray was started")
print("\\n".join(seen))
sys.exit(bool(seen))
"""


def test_importing_every_module_does_nothing():
    command = [sys.executable, "-c", WATCHER, str(ROOT), ",".join(MODULES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_floors_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("job", sorted(p.name for p in (ROOT / "jobs").glob("[a-z]*.py")))
def test_help_answers_before_anything_heavy_is_imported(job):
    code = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_path('jobs/{job}', run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'torch', 'ray', 'mlflow'} & set(sys.modules), 'heavy import before --help'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--config" in done.stdout
