"""Prefect's server for a command where none is set: begun before all else, ready when the rest is loaded, gone with its command.

Prefect would start one by itself, but not before everything is loaded, and would load the server's own modules twice for it; and one that it
starts outlives a command that is killed. This one reads a pipe whose other end its command holds: the kernel closes it whatever happens to
the command, and the server ends at once.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from schemas.errors import Terminal

SETTINGS: Final = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""As Prefect starts its own."""
LOOK_SECONDS: Final = 0.05
LOOKS: Final = 2_400
END_SECONDS: Final = 5


_addresses: list[str] = []
"""Of the server of this process, once it runs."""


@contextmanager
def prefect_server(meanwhile: Callable[[], object]) -> Iterator[None]:
    """Have a server for the block, unless an address of one is set; ``meanwhile`` is done while it starts.

    It serves until the process ends, and whatever else the process runs: Prefect's threads send the last of a run's logs as the process ends.

    Raises
    ------
    Terminal
        It ended, or did not answer in time.
    """
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings  # noqa: PLC0415 - a second

    if PREFECT_API_URL.value():
        yield
        return
    if not _addresses:
        given = get_current_settings().to_environment_variables(exclude_unset=True)
        server, address = _start({**os.environ, **SETTINGS, **given})
        atexit.register(_end, server)
        meanwhile()
        _await(server, address)
        _addresses.append(address)
    with temporary_settings({PREFECT_API_URL: _addresses[0]}):
        yield


def _start(environment: dict[str, str]) -> tuple["subprocess.Popen[bytes]", str]:
    """The process, and its address: the port is taken here, so that nobody else takes it meanwhile."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        server = subprocess.Popen(  # noqa: S603 - our own module and a number
            [sys.executable, "-P", "-m", "tasks.runtime.temporary_server", str(listening.fileno())],
            stdin=subprocess.PIPE,
            env=environment,
            pass_fds=[listening.fileno()],
        )
    return server, address


def _await(server: "subprocess.Popen[bytes]", address: str) -> None:
    import httpx  # noqa: PLC0415 - Prefect has loaded it

    with httpx.Client(trust_env=False) as client:
        for _ in range(LOOKS):
            if server.poll() is not None:
                break
            try:
                if client.get(f"{address}/health").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(LOOK_SECONDS)
    how = "did not answer in time" if server.poll() is None else f"ended with code {server.returncode}"
    raise Terminal(
        f"Prefect's temporary server {how}; needed one to record the night\n\n"
        "Hint: `prefect server start` shows why; PREFECT_API_URL names one that runs already."
    )


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    if server.stdin is not None:
        server.stdin.close()


def _serve(listening: int) -> None:
    """Serve on a socket that was handed over until told to stop, or until the command is gone that holds the other end of stdin."""
    threading.Thread(target=_die_with_command, daemon=True).start()
    import uvicorn  # noqa: PLC0415 - the thread above comes first

    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listening)])


def _die_with_command() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
