"""Prefect's temporary server, started before Prefect is imported, so that both happen at once.

Without a server of its own to talk to, Prefect starts one when the first flow begins: after all imports, of which it then
repeats the server's. Started first, in the same way and on the same database, it is up when the imports are done.

Known limits: where Prefect is configured by a profile or a file, this leaves the start to Prefect.
"""

import atexit
import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from schemas.errors import Terminal

TEMPORARY: Final = {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1", "PREFECT_UI_ENABLED": "0"}
"""What Prefect sets for a temporary server of its own."""
PATIENCE_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 5.0


class TemporaryServer:
    """A server on a free port of this host, until the program ends."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api"
        command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
        options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"]
        self._process = subprocess.Popen([*command, *options], env=os.environ | TEMPORARY, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
        atexit.register(self.stop)

    def wait(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Come back when it answers.

        Raises
        ------
        Terminal
            It ended, or did not answer in time.
        """
        until = time.monotonic() + patience_seconds
        while self._process.poll() is None and time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.url}/health"):  # noqa: S310 - our own address
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(_POLL_SECONDS)
        raise Terminal(
            "Prefect's temporary server did not start\n\nHint: start one with `prefect server start` and set PREFECT_API_URL."
        )

    def stop(self) -> None:
        """End it; a second time does nothing."""
        atexit.unregister(self.stop)
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_started: list[TemporaryServer] = []


def start_server() -> TemporaryServer | None:
    """Start it, once, and point Prefect to it. None: Prefect is imported already, or may have been told where its server is."""
    if not _started and "prefect" not in sys.modules and not is_configured(os.environ, Path.cwd()):
        _started.append(TemporaryServer())
        os.environ |= {"PREFECT_API_URL": _started[0].url, "PREFECT_UI_URL": ""}
    return _started[0] if _started else None


def wait_for_server() -> None:
    """Come back when a server that was started here answers; at once where none was."""
    for server in _started:
        server.wait()


def is_configured(environment: Mapping[str, str], folder: Path) -> bool:
    """Whether anything but plain defaults may say where the server is: a variable, a profile, or a file in ``folder``."""
    home = Path(environment.get("PREFECT_HOME", "~/.prefect")).expanduser()
    named = ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE")
    files = (home / "profiles.toml", folder / "prefect.toml", folder / ".env")
    is_named = any(name in environment for name in (*named, "PREFECT_SERVER_EPHEMERAL_ENABLED"))
    return is_named or any(file.exists() for file in files) or _has_section(folder / "pyproject.toml")


def _has_section(path: Path) -> bool:
    try:
        return "prefect" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
