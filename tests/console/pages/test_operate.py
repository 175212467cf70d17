"""Operators start, halt and lift from the pages, by role; every dialog closes by Escape, and the first of two approvals is told."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, expect

from schemas.settings import Settings
from tasks.runtime.stores import open_ledger, utc_now
from tests.support.browser import Person, chromium, console_on, person
from tests.support.console_scene import copied
from warehouse.ledger import Ledger

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]
ENDING_MS = 180_000
Entering = Callable[[str], Person]


@pytest.fixture(scope="module")
def scene(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(night_home, tmp_path_factory.mktemp("operate") / "home")


@pytest.fixture(scope="module")
def ledger(scene: Path) -> Iterator[Ledger]:
    with closing(open_ledger(Settings(home=scene))) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def enter(scene: Path) -> Iterator[Entering]:
    known: dict[str, Any] = {}
    entered: list[Person] = []
    with console_on(scene) as address, chromium() as browser:

        def let_in(name: str) -> Person:
            return _enter(browser, address, name, known, entered)

        yield let_in
        for one in entered:
            one.page.context.close()
    assert [one.said for one in entered if one.said] == []


def _enter(browser: Browser, address: str, name: str, known: dict[str, Any], entered: list[Person]) -> Person:
    entered.append(person(browser, address, name, known))
    return entered[-1]


@pytest.mark.parametrize("who", ["vic", "bob"])
def test_who_is_no_operator_sees_no_button_of_one(enter: Entering, who: str) -> None:
    one = enter(who)
    one.go("/runs")
    expect(one.page.get_by_role("heading", name="Exports")).to_be_visible()
    expect(one.page.get_by_role("button", name="Start the night")).to_have_count(0)
    one.page.get_by_role("button", name=who).click()
    expect(one.page.get_by_text("Sign out")).to_be_visible()
    expect(one.page.get_by_text("Halt everything")).to_have_count(0)


def test_a_halt_is_thrown_and_lifted_with_notes_and_the_audit_names_who(enter: Entering, ledger: Ledger) -> None:
    rex = enter("rex")
    rex.go("/runs")
    rex.page.get_by_role("button", name="rex").click()
    rex.page.get_by_text("Halt everything").click()
    expect(rex.page.get_by_role("dialog")).to_be_visible()
    rex.page.keyboard.press("Escape")
    expect(rex.page.get_by_role("dialog")).to_have_count(0)
    assert ledger.halts.current_halt() is None

    rex.page.get_by_role("button", name="rex").click()
    rex.page.get_by_text("Halt everything").click()
    rex.page.get_by_label("Why (recorded)").fill("a wrong price")
    rex.page.get_by_role("button", name="Halt", exact=True).click()
    expect(rex.page.get_by_text("Everything is halted since")).to_be_visible()
    halt = ledger.halts.current_halt()
    assert halt is not None
    assert (halt.actor, halt.note) == ("rex", "a wrong price")

    rex.page.get_by_role("button", name="Lift the halt").click()
    rex.page.get_by_label("Why (recorded)").fill("mended")
    rex.page.get_by_role("button", name="Lift", exact=True).click()
    expect(rex.page.get_by_text("Everything is halted since")).to_have_count(0)
    assert ledger.halts.current_halt() is None
    assert [row.actor for row in ledger.audit.audit_rows() if "halt" in row.event] == ["rex", "rex"]


def test_a_check_is_asked_for_and_told_to_its_end(enter: Entering, ledger: Ledger) -> None:
    rex = enter("rex")
    rex.go("/runs")
    rex.page.get_by_label("Night of").fill("2022-12-28")
    rex.page.get_by_role("button", name="Check the files").click()
    expect(rex.page.get_by_text("Check of the files of 2022-12-28")).to_be_visible()
    expect(rex.page.get_by_text("asked by rex").first).to_be_visible()
    expect(rex.page.get_by_text("under way")).to_have_count(0, timeout=ENDING_MS)
    (job,) = ledger.jobs.list_jobs()
    assert job.actor == "rex"
    assert job.finished_at is not None
    for line in (job.told or "").splitlines():
        expect(rex.page.get_by_text(line).first).to_be_visible()


def test_the_first_of_two_approvals_is_told_and_its_approver_has_no_button(enter: Entering, ledger: Ledger) -> None:
    waiting = ledger.proposals.list_proposals().filter(
        pl.col("approvals_needed") == 2, pl.col("state") == "pending_review", pl.col("household_id").is_null()
    )
    row = waiting.row(0, named=True)
    bob, cat = enter("bob"), enter("cat")
    bob.go(f"/proposals/{row['proposal_id']}")
    expect(bob.page.get_by_text("needs 2 approvals")).to_be_visible()
    bob.page.get_by_role("button", name="Approve").click()
    expect(bob.page.get_by_text("1 of 2 approvals: bob; you approved it, and another person must now.")).to_be_visible()
    expect(bob.page.get_by_role("button", name="Approve")).to_have_count(0)
    for one in (bob, cat):
        one.go(f"/queue?filter=account%3D{row['account_id']}")
        expect(one.page.locator(".queue").get_by_text("1 of 2 approvals: bob")).to_be_visible()
    expect(bob.page.locator("aside").get_by_role("button", name="Approve")).to_have_count(0)
    expect(cat.page.locator("aside").get_by_role("button", name="Approve")).to_be_visible()


def test_a_households_proposals_are_filtered_and_lead_to_it(enter: Entering, ledger: Ledger) -> None:
    rows = ledger.proposals.list_proposals().drop_nulls("household_id").filter(state="pending_review")
    name = rows["household_id"].sort()[0]
    mine = rows.filter(household_id=name)
    bob = enter("bob")
    bob.go(f"/queue?filter=household%3D{name}")
    table = bob.page.locator(".queue")
    expect(table.locator("tbody tr")).to_have_count(mine.height)
    expect(table.get_by_text("own ").first).to_be_visible()
    table.get_by_role("link", name=f"household {name}").first.click()
    expect(bob.page.get_by_role("heading", name=f"Household {name}")).to_be_visible()
    bob.go(f"/proposals/{mine['proposal_id'][0]}")
    expect(bob.page.get_by_text("One-way drift of the household")).to_be_visible(timeout=ENDING_MS)
    bob.shot("household-proposal")


def test_what_is_approved_is_exported_by_its_button_as_who_clicked_and_its_files_are_downloaded(
    enter: Entering, ledger: Ledger
) -> None:
    waiting = ledger.proposals.list_proposals().filter(
        pl.col("approvals_needed") == 1, pl.col("state") == "pending_review", pl.col("household_id").is_null()
    )
    row = waiting.row(0, named=True)
    ledger.decisions.decide([row["proposal_id"]], decision="approve", actor="cat", now=utc_now())
    rex, vic = enter("rex"), enter("vic")
    vic.go("/")
    expect(vic.page.get_by_text("approved, not exported")).to_be_visible()
    expect(vic.page.get_by_role("button", name="Export")).to_have_count(0)
    rex.go("/")
    rex.page.get_by_role("button", name="Export 1 approved").click()
    expect(rex.page.get_by_role("button", name="Export 1 approved")).to_have_count(0, timeout=ENDING_MS)
    (export,) = ledger.exports.exports_of(row["run_id"])
    assert export.actor == "rex"
    rex.go("/runs")
    rex.page.get_by_role("link", name=export.export_id).first.click()
    expect(rex.page.get_by_text("published").first).to_be_visible(timeout=ENDING_MS)
    (export,) = ledger.exports.exports_of(row["run_id"])
    with rex.page.expect_download() as fetched:
        rex.page.get_by_label("Files").get_by_role("link", name="manifest.json", exact=True).click()
    assert hashlib.sha256(fetched.value.path().read_bytes()).hexdigest() == export.manifest_sha256
    vic.go(f"/exports/{export.export_id}")
    expect(vic.page.get_by_text("A releaser or an admin may download them.")).to_be_visible()
    expect(vic.page.get_by_label("Files").get_by_role("link")).to_have_count(0)
