"""The server that a night starts for itself: it is there for the night, and gone with it, also where the night is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.support.prefect_home import prefect_home

pytestmark = pytest.mark.system
PATIENCE_SECONDS: Final = 120
GONE_SECONDS: Final = 15
NIGHT: Final = """
import sys, time
from tasks.runtime import prefect_server
with prefect_server(lambda: None):
    from prefect import flow, get_run_logger
    @flow
    def night():
        get_run_logger().info("the last word")
    night()
    if sys.argv[1:] == ["wait"]:
        print("ready", flush=True)
        time.sleep(600)
"""


def started(folder: Path, *words: str) -> "subprocess.Popen[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {**inherited, "PREFECT_HOME": str(prefect_home(folder)), "MARK_OF_A_TEST": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", NIGHT, *words],
        env=environment,
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def marked(folder: Path) -> list[psutil.Process]:
    """Processes of the night, of whatever parent."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK_OF_A_TEST") == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until_gone(folder: Path) -> None:
    until = time.monotonic() + GONE_SECONDS
    while marked(folder) and time.monotonic() < until:
        time.sleep(0.2)
    assert marked(folder) == []


def test_a_night_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    night = started(tmp_path, "wait")
    assert night.stdout is not None
    assert night.stdout.readline() == "ready\n", night.communicate()
    assert len(marked(tmp_path)) == 2
    night.send_signal(signal.SIGKILL)
    night.communicate()
    wait_until_gone(tmp_path)


def test_a_night_that_ends_takes_its_server_along_and_loses_no_word(tmp_path: Path) -> None:
    night = started(tmp_path)
    _, said = night.communicate(timeout=PATIENCE_SECONDS)
    assert night.returncode == 0, said
    assert "the last word" in said
    assert "Error logging to API" not in said
    wait_until_gone(tmp_path)
