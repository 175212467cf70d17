"""The runbook knows everything that may ask for somebody, and sends nobody where there is nothing."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from flows.cli import app
from flows.logs import STATE_NAMES
from schemas.enums import Guard
from schemas.settings import Settings

ROOT: Final = Path(__file__).parents[1]
DEPLOY: Final = ROOT / "deploy"
TEXT: Final = (DEPLOY / "RUNBOOK.md").read_text()
GOOD_NEWS: Final = {"trimtab.exported", "trimtab.delivered", "NothingToRelease"}
"""Nobody has to do anything about these."""


def events() -> set[str]:
    """Names of the events that our tasks emit."""
    sources = "\n".join(path.read_text() for path in (ROOT / "tasks").glob("*.py"))
    return set(re.findall(r': Final = "(trimtab\.[a-z.-]+)"', sources))


def states() -> set[str]:
    """Names of our own that flows end with."""
    sources = "\n".join(path.read_text() for path in (ROOT / "flows").glob("*.py"))
    return {*re.findall(r'\bname="([A-Z]\w+)"', sources), *STATE_NAMES.values()}


def test_the_sources_are_read_for_what_they_tell() -> None:
    assert {"trimtab.drift.breached", "trimtab.review-reminder", "trimtab.fill-alarm"} <= events()
    assert {"Skipped", "Held", "Refused", "NotDelivered", "Alarm", "NotAllDone"} <= states()


@pytest.mark.parametrize("name", sorted((events() | states()) - GOOD_NEWS))
def test_whatever_asks_for_somebody_is_in_the_runbook(name: str) -> None:
    table = TEXT.split("## What you see", 1)[1].split("\n## ", 1)[0]
    assert any(name in line.split("|")[1] for line in table.splitlines() if line.startswith("| ")), name


@pytest.mark.parametrize("guard", list(Guard))
def test_every_guard_is_in_the_runbook(guard: Guard) -> None:
    assert f"`{guard}`" in TEXT


def anchors() -> set[str]:
    """As GitHub makes them of headings."""
    found = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT))))
def test_a_link_leads_somewhere(target: str) -> None:
    if target.startswith("#"):
        assert target[1:] in anchors()
    else:
        assert (DEPLOY / target).is_file()


@pytest.mark.parametrize("words", sorted(set(re.findall(r"`trimtab ([a-z][^`]*)`", TEXT))))
def test_a_command_within_a_sentence_exists(words: str) -> None:
    command: Any = typer.main.get_command(app)
    rest = words.split()
    while hasattr(command, "commands") and rest and not rest[0].startswith("-") and rest[0].islower():
        assert rest[0] in command.commands
        command, rest = command.commands[rest[0]], rest[1:]
    assert command is not typer.main.get_command(app)
    assert rest != words.split()
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_every_secret_among_the_settings_can_be_changed() -> None:
    page = TEXT.split("## Rotate secrets", 1)[1]
    secret = [name for name in Settings.model_fields if name.endswith(("_secret", "_key_file", "_password", "_token"))]
    assert secret
    for name in secret:
        assert f"TRIMTAB_{name.upper()}" in page
    for name in ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "PREFECT_SERVER_DATABASE_CONNECTION_URL"):
        assert name in page
