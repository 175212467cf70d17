"""A Prefect server of the tests' own, and whoever its alerts go to: a sink for webhooks, and one for mail."""

import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx

from tests.support.prefect_home import prefect_home
from tests.support.servers import free_port

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
PATIENCE_SECONDS: Final = 120
QUIET_SECONDS: Final = 3
"""How long nothing more may come until it is believed that nothing does."""


@dataclass
class Sink:
    """What was sent to it, in order."""

    port: int
    got: list[Any] = field(default_factory=list)

    def wait(self, count: int) -> list[Any]:
        """What there is once there are so many, and no more came a while later."""
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self.got) < count and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(QUIET_SECONDS)
        taken, self.got[:] = list(self.got), []
        return taken


@contextmanager
def web_sink() -> Iterator[Sink]:
    """Takes JSON that is posted to any path."""
    sink = Sink(free_port())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            sink.got.append({"path": self.path, **body})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", sink.port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield sink
        server.shutdown()


@contextmanager
def mail_sink() -> Iterator[Sink]:
    """Speaks as much SMTP (RFC 5321) as a client needs to leave a message."""
    sink = Sink(free_port())

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 sink")
            for raw in self.rfile:
                word = raw.decode().strip().split(" ")[0].upper()
                if word == "DATA":
                    self.say("354 go on")
                    sink.got.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.say("221 bye" if word == "QUIT" else "250 ok")
                if word == "QUIT":
                    return

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", sink.port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield sink
        server.shutdown()


@dataclass(frozen=True)
class Site:
    """The server, and the environment of programs beside it."""

    api: str
    environment: dict[str, str]
    log: Path

    def run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A program of ours that ends by itself."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )


@contextmanager
def prefect_site(folder: Path) -> Iterator[Site]:
    """A server with all of its services: the one of Prefect's own tests takes no action."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TRIMTAB_", "PYTEST_"))
    }
    environment = inherited | {
        "PREFECT_API_URL": api,
        "PREFECT_HOME": str(prefect_home(folder / "prefect")),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "TRIMTAB_HOME": str(folder / "home"),
    }
    words = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not _is_up(api):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.3)
        yield Site(api, environment, log)
    finally:
        server.terminate()
        server.wait()


def _is_up(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
