"""The generated pages are those that the code gives, and the code says what each name on them means."""

import re
from collections.abc import Callable
from typing import Final

import pytest

from docs.generate.__main__ import MADE
from schemas.errors import ExitCode
from schemas.events import EventName
from tests.support.pages import DOCS, ROOT

WITH_MEANINGS: Final = ("policy", "settings", "tables", "words", "events", "exit-codes")
"""Pages on which every row says what its name means."""


@pytest.mark.parametrize(("path", "made"), MADE.items(), ids=MADE)
def test_a_generated_file_is_current(path: str, made: Callable[[], str]) -> None:
    assert (DOCS / path).read_text() == made(), "run `make docs` and commit what it wrote"


@pytest.mark.parametrize("name", WITH_MEANINGS)
def test_every_name_on_a_page_has_a_meaning(name: str) -> None:
    assert re.findall(r"^\| `.*\|\s*\|$", (DOCS / "reference" / f"{name}.md").read_text(), re.MULTILINE) == []


def test_every_event_is_emitted_and_none_by_another_name() -> None:
    sources = "\n".join(path.read_text() for folder in ("tasks", "flows") for path in (ROOT / folder).rglob("*.py"))
    assert {name for name in EventName.__members__ if f"EventName.{name}" not in sources} == set()
    assert set(re.findall(r"emit_event\(\s*([\w.\"]+)", sources)) <= {
        "name",
        *(f"EventName.{each.name}" for each in EventName),
    }


def test_the_readme_leads_to_the_exit_codes() -> None:
    assert "(docs/reference/exit-codes.md)" in (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| (\d) \| .+ \|$", (DOCS / "reference" / "exit-codes.md").read_text(), re.MULTILINE)
    assert [int(number) for number in rows] == list(ExitCode)
