"""A stack of the tests' own, as ``make stack`` starts it, and what operations do to it: ask, run, kill."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest

from deploy.stack.programs import leftovers
from tests.support.prefect_api import said
from tests.support.servers import unavailable

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
PATIENCE_SECONDS: Final = 300
"""For anything at all, on a machine that does much else."""
SILENCE_SECONDS: Final = 40
"""After how long without a heartbeat, of which there is one in 30 seconds, a run counts as crashed."""


@dataclass(frozen=True)
class Stack:
    """A stack that is up."""

    folder: Path
    environment: dict[str, str]

    @property
    def api(self) -> str:
        return self.environment["PREFECT_API_URL"]

    @property
    def pages(self) -> str:
        return self.api.removesuffix("/api")

    @property
    def lock(self) -> tuple[str, str]:
        """Name and password of Prefect's API."""
        name, _, secret = self.environment["PREFECT_API_AUTH_STRING"].partition(":")
        return name, secret

    def said(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of Prefect's API."""
        return said(method, f"{self.api}/{path}", body, self.lock)

    def found(self, what: str, **query: Any) -> list[dict[str, Any]]:
        """Rows of Prefect's API."""
        rows: list[dict[str, Any]] = self.said("post", f"{what}/filter", query)
        return rows

    def deployment(self, name: str) -> str:
        """Its id."""
        flow, _, deployment = name.partition("/")
        return str(self.said("get", f"deployments/name/{flow}/{deployment}")["id"])

    def start(self, name: str, **parameters: Any) -> str:
        """A run of a deployment, now; its id."""
        made = self.said("post", f"deployments/{self.deployment(name)}/create_flow_run", {"parameters": parameters})
        return str(made["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        row: dict[str, Any] = self.said("get", f"flow_runs/{run_id}")
        return row

    def state(self, run_id: str) -> str:
        return str(self.run(run_id)["state_name"])

    def trimtab(self, *words: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            [BIN / "trimtab", *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert not done.returncode, done.stderr
        return done.stdout

    def kill(self, *signs: str) -> int:
        """SIGKILL every program of the stack whose command line has one of the signs; how many."""
        killed = 0
        for one in leftovers(self.folder):
            with suppress(psutil.NoSuchProcess):  # it ended meanwhile
                if any(sign in " ".join(one.cmdline()) for sign in signs):
                    one.kill()
                    killed += 1
        return killed

    def is_answering(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.api}/health", timeout=5).is_success
        return False


def waited_for(what: str, check: Callable[[], Any]) -> Any:
    """The first answer that is something."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if answer := check():
            return answer
        time.sleep(0.5)
    pytest.fail(f"waited {PATIENCE_SECONDS} s for {what}")


@contextmanager
def stack_in(folder: Path) -> Iterator[Stack]:
    """The stack, up; ended in the end."""
    program = [sys.executable, "-m", "deploy.stack"]
    where = ["--folder", str(folder)]
    log = folder.parent / f"{folder.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*program, "up", *where, "--free-ports", "--silence", str(SILENCE_SECONDS)],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        while not re.search(r"^Up\.", log.read_text(), re.MULTILINE):
            if process.poll() is not None:
                unavailable(log.read_text())
            time.sleep(0.5)
        printed = subprocess.run([*program, "env", *where], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        lines = [shlex.split(line.removeprefix("export ")) for line in printed.splitlines()]
        told = dict(word.split("=", 1) for (word,) in lines)
        yield Stack(folder, {**os.environ, **told})
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE_SECONDS)
