"""Homes in which Prefect's server finds its database made: its migrations take as long as all else that it does when it starts."""

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import httpx

from tests.support.servers import free_port

PATIENCE_SECONDS: Final = 120
CACHE: Final = Path(__file__).parents[2] / ".pytest_cache"
NAME: Final = "prefect.db"


def prefect_home(folder: Path) -> Path:
    """The folder, with a database in it that no run is in yet, unless it has one."""
    if not (folder / NAME).exists():
        template = _template()
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, folder / NAME)
    return folder


def _template() -> Path:
    """What a server of this version makes when it starts in an empty home; made by the first process of tests that asks."""
    CACHE.mkdir(exist_ok=True)
    made = CACHE / f"prefect-{version('prefect')}-{sys.version_info.major}.{sys.version_info.minor}.db"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            folder = made.with_suffix(".home")
            shutil.rmtree(folder, ignore_errors=True)
            _start_once(folder)
            partial = made.with_suffix(".partial")
            with closing(sqlite3.connect(folder / NAME)) as there, closing(sqlite3.connect(partial)) as here:
                there.backup(here)
            partial.replace(made)
            shutil.rmtree(folder)
    return made


def _start_once(folder: Path) -> None:
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    words = [Path(sys.executable).parent / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    with subprocess.Popen(
        words,
        env={**inherited, **quiet, "PREFECT_HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as server:
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while not _answers(port):
                assert server.poll() is None, server.communicate()
                assert time.monotonic() < until
                time.sleep(0.2)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)


def _answers(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=5).is_success
    return False
