"""A console in a process of its own, and Chromium to use it with."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.support.console_scene import PASSWORD
from tests.support.servers import free_port, unavailable

BIN: Final = Path(sys.executable).parent
PATIENCE_SECONDS: Final = 60
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE: Final[ViewportSize] = {"width": 1280, "height": 860}
PAGE_MS: Final = 60_000
"""How long a page may take for anything: on a machine that does much else. A test that passes does not wait."""
SHOTS: Final = "SCREENSHOTS"
"""Variable that names a folder for pictures of the pages."""

expect.set_options(timeout=PAGE_MS)


@contextmanager
def console_on(home: Path, **settings: str) -> Iterator[str]:
    """``trimtab console`` on a home; its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "TRIMTAB_HOME": str(home), "TRIMTAB_CONSOLE_UNDO_SECONDS": "0", **settings}
    with (home / "console.log").open("wb") as log:
        process = subprocess.Popen(
            [BIN / "trimtab", "console", "--port", str(port)], env=environment, stdout=log, stderr=log
        )
        try:
            _wait_for(address, process, home / "console.log")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{address}/healthz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the console did not start: {log.read_text()}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        unavailable("there is no Chromium; on Debian it is the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Person:
    """Somebody before a browser of their own. ``said`` is what the page complained of."""

    page: Page
    address: str
    said: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    def shot(self, name: str) -> None:
        """A picture of the page, where one is asked for."""
        if folder := os.environ.get(SHOTS):
            self.page.wait_for_timeout(700)
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))


def person(browser: Browser, address: str, name: str, known: dict[str, Any]) -> Person:
    """Somebody signed in, on no page yet; ``known`` holds the cookies of those who have been."""
    context = browser.new_context(viewport=SIZE, color_scheme="light", storage_state=known.get(name))
    context.set_default_timeout(PAGE_MS)
    found = Person(context.new_page(), address)
    found.page.on("console", lambda message: found.said.append(message.text) if message.type == "error" else None)
    found.page.on("pageerror", lambda error: found.said.append(str(error)))
    if name not in known:
        found.go("/queue")
        found.page.get_by_label("Name").fill(name)
        found.page.get_by_label("Password").fill(PASSWORD)
        found.page.get_by_role("button", name="Sign in").click()
        found.page.wait_for_url("**/queue")
        known[name] = context.storage_state()
    return found
