"""The runbook knows everything that may ask for somebody, and sends nobody where there is nothing."""

import re
from typing import Final

import pytest

from schemas.enums import Guard
from schemas.events import EventName
from schemas.settings import Settings
from tasks.runtime.flow_states import STATE_NAMES
from tests.support.pages import HOW_TO, ROOT

TEXT: Final = (HOW_TO / "runbook.md").read_text()
GOOD_NEWS: Final = {"trimtab.exported", "trimtab.delivered", "NothingToRelease"}
"""Nobody has to do anything about these."""


def states() -> set[str]:
    """Names of our own that flows end with."""
    sources = "\n".join(path.read_text() for path in (ROOT / "flows").rglob("*.py"))
    return {*re.findall(r'\bname="([A-Z]\w+)"', sources), *STATE_NAMES.values()}


def test_the_sources_are_read_for_what_they_tell() -> None:
    assert {"Skipped", "Held", "Refused", "NotDelivered", "Alarm", "NotAllDone"} <= states()


@pytest.mark.parametrize("name", sorted((set(map(str, EventName)) | states()) - GOOD_NEWS))
def test_whatever_asks_for_somebody_is_in_the_runbook(name: str) -> None:
    table = TEXT.split("## What you see", 1)[1].split("\n## ", 1)[0]
    assert any(name in line.split("|")[1] for line in table.splitlines() if line.startswith("| ")), name


@pytest.mark.parametrize("guard", list(Guard))
def test_every_guard_is_in_the_runbook(guard: Guard) -> None:
    assert f"`{guard}`" in TEXT


def test_every_secret_among_the_settings_can_be_changed() -> None:
    page = TEXT.split("## Rotate secrets", 1)[1]
    secret = [name for name in Settings.model_fields if name.endswith(("_secret", "_key_file", "_password", "_token"))]
    assert secret
    for name in secret:
        assert f"TRIMTAB_{name.upper()}" in page
    for name in ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "PREFECT_SERVER_DATABASE_CONNECTION_URL"):
        assert name in page
