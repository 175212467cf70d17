"""The generated pages are those that the code gives, and the code says what each name on them means."""

import re
from collections.abc import Callable
from typing import Final

import pytest

from docs.generate.__main__ import FOLDER, PAGES
from schemas.errors import ExitCode
from schemas.events import Event
from tests.support.pages import ROOT

NAMELESS: Final = {"landing", "commands", "rest"}
"""Pages on which a row may do without a meaning: its name or the sentence above says it."""


@pytest.mark.parametrize(("name", "made"), PAGES.items())
def test_a_generated_page_is_current(name: str, made: Callable[[], str]) -> None:
    assert (FOLDER / f"{name}.md").read_text() == made(), "run `make docs` and commit what it wrote"


@pytest.mark.parametrize("name", sorted(set(PAGES) - NAMELESS))
def test_every_name_on_a_page_has_a_meaning(name: str) -> None:
    assert re.findall(r"^\| `.*\|\s*\|$", (FOLDER / f"{name}.md").read_text(), re.MULTILINE) == []


def test_every_event_that_tasks_emit_is_listed() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tasks").rglob("*.py"))
    assert set(re.findall(r': Final = "(trimtab\.[a-z.-]+)"', sources)) <= set(Event)


def test_the_readme_has_the_exit_codes() -> None:
    rows = re.findall(r"^\| (\d) \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    page = (FOLDER / "exit-codes.md").read_text()
    assert [int(number) for number, _ in rows] == list(ExitCode)
    for number, said in rows:
        assert f"| {number} | {said[0].upper()}{said[1:]}. |" in page
