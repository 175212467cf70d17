"""The page of looks between the nights: it lives, says who watches and who no longer does, and leads to accounts and runs."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import expect

from schemas.settings import Settings
from tasks.runtime import open_ledger, utc_now
from tests.support.browser import Person, chromium, console_on, person
from tests.support.console_scene import copied
from tests.support.follower_rows import follower_row
from warehouse.ledger import Ledger

pytestmark = pytest.mark.system


@pytest.fixture
def ledger(night_home: Path, tmp_path: Path) -> Iterator[Ledger]:
    home = copied(night_home, tmp_path / "home")
    with closing(open_ledger(Settings(home=home))) as ledger:
        yield ledger


@pytest.fixture
def bob(ledger: Ledger, tmp_path: Path) -> Iterator[Person]:  # noqa: ARG001 - its home is the console's
    with console_on(tmp_path / "home") as address, chromium() as browser:
        one = person(browser, address, "bob", {})
        yield one
        one.page.context.close()
    assert one.said == []


def test_the_page_shows_each_look_by_itself(bob: Person, ledger: Ledger) -> None:
    bob.go("/monitor")
    page = bob.page
    expect(page.get_by_text("An operator starts one by trimtab monitor --follow.")).to_be_visible()
    run = ledger.runs.newest_run()
    assert run is not None

    row = follower_row("desk-1", utc_now(), night_run_id=run.run_id, started_at=utc_now())
    ledger.followers.note_look(row)
    new = pl.DataFrame({"account_id": ["A0000005"], "causes": ["drift|cash"], "model_hash": "m"})
    ledger.breaches.enter_look(run.run_id, new, pl.Series([], dtype=pl.Int64), date(2100, 1, 1), utc_now())
    expect(page.get_by_text("looks at the whole book; last looked")).to_be_visible()
    expect(page.get_by_text("40 fresh, 2 old, 1 never quoted")).to_be_visible()
    expect(page.get_by_text("Out of band now: 1")).to_be_visible()
    bob.shot("monitor")
    link = page.get_by_role("link", name="A0000005")
    link.focus()

    held = replace(row, looked_at_time=utc_now(), state="held", reasons="VTI moved by 60 %", look_count=2)
    ledger.followers.note_look(held)
    expect(page.get_by_text("VTI moved by 60 %")).to_be_visible()
    expect(link).to_be_focused()
    bob.shot("monitor_held")
    link.press("Enter")
    page.wait_for_url("**/accounts/A0000005")

    ledger.followers.note_look(replace(held, looked_at_time=utc_now() - timedelta(minutes=5)))
    bob.go("/monitor")
    expect(page.get_by_text("nobody watches the book")).to_be_visible()
    bob.shot("monitor_silent")
    ledger.followers.note_look(replace(held, looked_at_time=utc_now(), ended_at=utc_now()))
    expect(page.get_by_text("was told to stop at")).to_be_visible()
