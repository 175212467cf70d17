"""A decision counts after some seconds: until then nothing is written, and it can be taken back; closing the page lets it count, signing out does not."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from playwright.sync_api import expect

from schemas.settings import Settings
from tasks.runtime.stores import open_ledger
from tests.support.browser import Person, chromium, console_on, person
from tests.support.console_scene import copied
from warehouse.ledger import Ledger

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]
SECONDS: Final = 20
"""Enough to take something back on a machine that does much else."""
LONGEST: Final = 60
"""Until a decision that counts is written, on a machine that does much else."""
Entering = Callable[[str], Person]


@pytest.fixture(scope="module")
def scene(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(night_home, tmp_path_factory.mktemp("grace") / "home")


@pytest.fixture(scope="module")
def ledger(scene: Path) -> Iterator[Ledger]:
    with closing(open_ledger(Settings(home=scene))) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def enter(scene: Path) -> Iterator[Entering]:
    with console_on(scene, TRIMTAB_CONSOLE_UNDO_SECONDS=str(SECONDS)) as address, chromium() as browser:
        yield lambda name: person(browser, address, name, {})


def single(ledger: Ledger, place: int) -> str:
    rows = ledger.proposals.list_proposals().filter(
        pl.col("approvals_needed") == 1, pl.col("state") == "pending_review", pl.col("household_id").is_null()
    )
    return str(rows.sort("proposal_id")["proposal_id"][place])


def state(ledger: Ledger, name: str) -> str:
    found: dict[str, Any] | None = ledger.proposals.get_proposal(name)
    assert found is not None
    return str(found["state"])


def approve(one: Person, name: str) -> None:
    one.go(f"/proposals/{name}")
    one.page.get_by_role("button", name="Approve").click()
    expect(one.page.get_by_text("Approve this proposal").last).to_be_visible()


def test_what_is_taken_back_was_never_written(enter: Entering, ledger: Ledger) -> None:
    name, bob = single(ledger, 0), enter("bob")
    approve(bob, name)
    assert state(ledger, name) == "pending_review"
    bob.page.get_by_role("button", name="Undo").click()
    time.sleep(SECONDS + 2)
    assert state(ledger, name) == "pending_review"
    assert ledger.proposals.decisions_of(name) == []
    expect(bob.page.get_by_role("button", name="Approve")).to_be_visible()


def test_it_counts_when_its_seconds_are_over_and_not_before(enter: Entering, ledger: Ledger) -> None:
    name, bob = single(ledger, 1), enter("bob")
    began = time.monotonic()
    approve(bob, name)
    expect(bob.page.locator(".state.approved")).to_be_visible(timeout=1000 * LONGEST)
    assert time.monotonic() - began >= SECONDS
    assert [one.actor for one in ledger.proposals.decisions_of(name)] == ["bob"]


def test_closing_the_page_lets_it_count_once(enter: Entering, ledger: Ledger) -> None:
    name, bob = single(ledger, 2), enter("bob")
    approve(bob, name)
    bob.page.context.close()
    assert state(ledger, name) == "pending_review"
    end = time.monotonic() + LONGEST
    while state(ledger, name) == "pending_review" and time.monotonic() < end:
        time.sleep(0.5)
    assert state(ledger, name) == "approved"
    time.sleep(2)
    assert len(ledger.proposals.decisions_of(name)) == 1


def test_signing_out_meanwhile_lets_nothing_count(enter: Entering, ledger: Ledger) -> None:
    name, bob = single(ledger, 3), enter("bob")
    approve(bob, name)
    answer = bob.page.context.request.post(f"{bob.address}/sign-out", headers={"origin": bob.address}, max_redirects=0)
    assert answer.status < 400
    time.sleep(SECONDS + 4)
    assert state(ledger, name) == "pending_review"
    assert ledger.proposals.decisions_of(name) == []


def test_in_the_queue_the_cursor_goes_on_and_u_takes_back(enter: Entering, ledger: Ledger) -> None:
    bob = enter("bob")
    bob.go("/queue?sort=account")
    cursor = bob.page.locator("tr.cursor")
    expect(cursor).to_be_visible()
    before = cursor.locator("a").first.inner_text()
    bob.page.locator("body").click(position={"x": 5, "y": 300})
    bob.page.keyboard.press("r")
    expect(bob.page.get_by_role("dialog")).to_be_visible()
    bob.page.keyboard.press("Escape")
    expect(bob.page.get_by_role("dialog")).to_have_count(0)
    bob.page.keyboard.press("r")
    bob.page.get_by_label("Why (recorded)").fill("not now")
    bob.page.get_by_role("dialog").get_by_role("button", name="Reject").click()
    expect(bob.page.locator("tr.leaving")).to_be_visible()
    expect(cursor).not_to_contain_text(before)
    bob.page.keyboard.press("u")
    expect(bob.page.locator("tr.leaving")).to_have_count(0)
    account = ledger.proposals.list_proposals(account_id=before)
    assert account["state"].to_list() == ["pending_review"]
