"""Ports that the service listens on: taken ones are named before anything starts."""

import socket

from xmodal.errors import ServiceError
from xmodal.settings import ServeSettings

_FIRST_FREE = 20_000  # above Ray's range for workers, 10002 to 19999, and below Serve's, 30000


def check_free(settings: ServeSettings, names: tuple[str, ...]) -> None:
    """Raises ServiceError naming the first setting of `names` whose port is taken."""
    for name in names:
        port = int(getattr(settings, name))
        if not is_free(settings.host, port):
            raise ServiceError(
                f"port {port} is in use, so serve.{name} cannot have it; end what listens there "
                f"(`make down` if it is ours) or say --set serve.{name}=<another>"
            )


def is_free(host: str, port: int) -> bool:
    """Whether a listener could start at `host`:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, for listeners that no person needs to know."""
    found: list[int] = []
    for port in range(_FIRST_FREE, _FIRST_FREE + 9_000):
        if is_free("0.0.0.0", port):  # a probe: Ray listens on all interfaces
            found.append(port)
        if len(found) == count:
            return found
    raise ServiceError(f"no free port between {_FIRST_FREE} and {_FIRST_FREE + 9_000}")
