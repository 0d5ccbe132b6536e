"""Starts the two helpers of the service: a Ray head and MLflow's pages, both on loopback.

Both live on in sessions of their own; `record.py` ends them.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from serve.ports import free_ports, is_free
from serve.record import Started, ray_folder, started
from xmodal.errors import ServiceError
from xmodal.ray_session import STORE_BYTES, logical_cpus, set_flags
from xmodal.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
START_S = 120.0


def start_head(home: Path, settings: Settings) -> tuple[Started, str]:
    """A Ray head for this home alone; returns it and its address.

    Raises ServiceError where it does not come up; its log is `<home>/logs/ray.log`.
    """
    folder = ray_folder(home)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    gcs, client, agent, stats, metrics = free_ports(5)
    _set_environment(folder, stats, metrics)
    _ensure_token()
    cpus = logical_cpus(settings, os.cpu_count() or 1) + 1  # one for the service's replicas
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *("--num-cpus", str(cpus), "--port", str(gcs), "--temp-dir", str(folder)),
        *("--dashboard-host", "127.0.0.1"),
        *("--dashboard-port", str(settings.serve.dashboard_port)),
        *("--ray-client-server-port", str(client), "--dashboard-agent-listen-port", str(agent)),
        *("--object-store-memory", str(STORE_BYTES), "--disable-usage-stats"),
    ]
    head = _spawn("ray", command, home)
    # The dashboard is later by seconds, and `ray job submit` asks there.
    for port in (gcs, settings.serve.dashboard_port):
        wait_listens(head, ("127.0.0.1", port), home / "logs" / "ray.log", START_S)
    return head, f"127.0.0.1:{gcs}"


def start_mlflow(home: Path, settings: Settings) -> Started:
    """MLflow's pages over the home's own store."""
    # Without this it starts ten more processes of 135 MB each, for features that we do not use.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", settings.serve.host, "--port", str(settings.serve.mlflow_port)),
        *("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"),
        *("--artifacts-destination", str(home / "mlartifacts")),
    ]
    return _spawn("mlflow", command, home)


def wait_listens(one: Started, place: tuple[str, int], log: Path, within_s: float) -> None:
    """Until `one` listens at `place`. Raises ServiceError, with its log's last line, else."""
    until = time.monotonic() + within_s
    while is_free(*place):
        if one.process() is None or time.monotonic() > until:
            lines = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
            raise ServiceError(f"{one.name} did not start ({lines[0].strip()}); see {log}")
        time.sleep(0.2)


def _set_environment(folder: Path, stats: int, metrics: int) -> None:
    """What Ray, Serve and HAProxy read when they start; Serve's workers inherit it."""
    set_flags()
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{path}" if path else str(ROOT)
    proxy = folder / "haproxy"
    # Fixed places under /tmp otherwise, which two services on one machine would fight for.
    names = {
        "CONFIG_FILE_LOC": proxy / "haproxy.cfg",
        "SOCKET_PATH": proxy / "admin.sock",
        "SERVER_STATE_BASE": proxy,
        "SERVER_STATE_FILE": proxy / "server-state",
        "METRICS_SOCKET_PATH": proxy / "metrics.sock",
        "STATS_PORT": stats,
        "METRICS_PORT": metrics,
    }
    os.environ.update({f"RAY_SERVE_HAPROXY_{name}": str(value) for name, value in names.items()})


def _ensure_token() -> None:
    """Where Ray asks for a token and there is none, make one (`~/.ray/auth_token`)."""
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    has_token = given or (Path.home() / ".ray" / "auth_token").exists()
    if os.environ.get("RAY_AUTH_MODE") != "token" or has_token:
        return
    command = [sys.executable, "-m", "ray.scripts.scripts", "get-auth-token", "--generate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"no token for Ray: {' '.join(done.stderr.split())[-200:]}")


def _spawn(name: str, command: list[str], home: Path) -> Started:
    """Start a process that outlives this one; its output goes to `<home>/logs/<name>.log`."""
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    return started(name, process.pid)
