"""Pages about the firm as a whole, as an admin and as somebody who may only look use them."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from playwright.sync_api import expect

from console.shared.formatting import word
from schemas.enums import Break, ProposalState, Scope
from schemas.exports import Delivery
from schemas.settings import Settings
from tasks.export.release import export_approved
from tasks.review.household import weights_with
from tasks.runtime.stores import open_ledger, utc_now
from tests.support.browser import Person, chromium, console_on, person
from tests.support.console_scene import PASSWORD
from tests.support.home_copy import copy_home
from tests.support.reviewed_scene import Names, review_all
from warehouse.lake.lake import open_lake
from warehouse.ledger import ExportPart, ExportState, Ledger, NewRun, RunRow, SentFilter

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]
CHARTS = 5
PLACES = ("archive", "second")
ENDING_MS = 180_000
"""Until a process that the console started has done its work."""
OPTIONS = """() => {
  const chart = [...document.querySelectorAll('aside [id^=c]')].map((one) => getElement(Number(one.id.slice(1)))?.chart).find(Boolean);
  return chart && chart.getOption();
}"""
"""What the chart beside the queue draws."""
Entering = Callable[[str], Person]


@pytest.fixture(scope="module")
def scene(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Names]:
    home = copy_home(night_home, tmp_path_factory.mktemp("firm") / "home")
    return home, review_all(home)


@pytest.fixture(scope="module")
def ledger(scene: tuple[Path, Names]) -> Iterator[Ledger]:
    with closing(open_ledger(Settings(home=scene[0]))) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def enter(scene: tuple[Path, Names]) -> Iterator[Entering]:
    """Lets somebody in; what any page complained of fails the test."""
    known: dict[str, Any] = {}
    entered: dict[str, Person] = {}
    places = json.dumps([{"name": name, "url": str(scene[0] / name)} for name in PLACES])
    with console_on(scene[0], TRIMTAB_DELIVERIES=places) as address, chromium() as browser:

        def let_in(name: str) -> Person:
            if name not in entered:
                entered[name] = person(browser, address, name, known)
            return entered[name]

        yield let_in
        for one in entered.values():
            one.page.context.close()
    assert [one.said for one in entered.values() if one.said] == []


def replace_run(run: RunRow) -> NewRun:
    """A run of the next night, made like another."""
    known = {one.name: getattr(run, one.name) for one in fields(NewRun)}
    return NewRun(**known | {"run_id": "2022-12-29-nightly-held", "as_of_date": run.as_of_date + timedelta(days=1)})


def test_the_book_is_shown_by_what_is_chosen_and_says_what_waits(enter: Entering, ledger: Ledger) -> None:
    vic = enter("vic")
    vic.go("/queue")
    vic.page.get_by_role("link", name="Book", exact=True).click()
    expect(vic.page.get_by_role("heading", name="The whole book")).to_be_visible()
    waits = vic.page.get_by_label("What waits")
    expect(waits.get_by_role("link", name="an approval", exact=True).first).to_be_visible()
    custodians = set(ledger.proposals.list_proposals()["custodian"])
    vic.page.get_by_label("Groups").click()
    vic.page.get_by_role("option", name="by custodian").click()
    vic.page.wait_for_url("**/book?by=custodian&nights=10")
    figures = vic.page.get_by_label("Figures of every night")
    for custodian in custodians:
        expect(figures.get_by_role("link", name=custodian, exact=True)).to_be_visible()
    assert vic.page.locator("main canvas, main svg").count() >= CHARTS
    vic.shot("book")
    waits.get_by_role("link", name="an approval", exact=True).first.click()
    expect(vic.page.locator(".queue tbody tr").first).to_be_visible()


def test_a_model_is_found_in_the_list_and_leads_to_who_trades(enter: Entering, scene: tuple[Path, Names]) -> None:
    vic, name = enter("vic"), scene[1].model_id
    vic.go("/")
    vic.page.get_by_role("link", name="Models", exact=True).click()
    vic.page.get_by_label("Models", exact=True).get_by_role("link", name=name, exact=True).click()
    expect(vic.page.get_by_role("heading", name=f"Model {name}")).to_be_visible()
    expect(vic.page.get_by_label("Targets").get_by_role("cell", name="cash")).to_be_visible()
    accounts = vic.page.get_by_label("Accounts of the model")
    expect(accounts.get_by_role("link").first).to_be_visible()
    vic.shot("model")
    accounts.locator("tbody tr").first.get_by_role("link").last.click()
    vic.page.wait_for_url("**/proposals/*")
    vic.go(f"/models/{name}")
    vic.page.get_by_role("link", name="Performance of its accounts").click()
    vic.page.wait_for_url("**/performance")
    vic.go("/models/zebra")
    expect(vic.page.get_by_text("has no model zebra.")).to_be_visible()


def test_an_admin_adds_somebody_who_signs_in_and_is_out_once_the_role_is_gone(enter: Entering, ledger: Ledger) -> None:
    rex = enter("rex")
    rex.go("/people")
    people = rex.page.get_by_label("People", exact=True)
    expect(people.get_by_role("cell", name="vic", exact=True)).to_be_visible()
    rex.page.get_by_role("button", name="Add a person").click()
    dialog = rex.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("zoe")
    dialog.get_by_label("Password").fill("short")
    dialog.get_by_role("checkbox", name="viewer: may look").click()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(rex.page.get_by_text("at least 12 characters").first).to_be_visible()
    assert "zoe" not in {user.name for user in ledger.users.list_users()}
    rex.page.get_by_role("button", name="Add a person").click()
    dialog.get_by_label("Name").fill("zoe")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("checkbox", name="viewer: may look").click()
    dialog.get_by_role("button", name="Add", exact=True).click()
    row = people.get_by_role("row", name="zoe")
    expect(row.get_by_role("cell", name="with a password", exact=True)).to_be_visible()
    zoe = enter("zoe")
    zoe.go("/book")
    expect(zoe.page.get_by_role("heading", name="The whole book")).to_be_visible()
    rex.page.get_by_label("Who", exact=True).click()
    rex.page.get_by_role("option", name="zoe").click()
    rex.page.get_by_role("button", name="Roles").click()
    dialog.get_by_role("checkbox", name="viewer: may look").click()
    rex.shot("people")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(row.get_by_text("nothing")).to_be_visible()
    zoe.go("/book")
    zoe.page.wait_for_url("**/sign-in**")
    said = [(row.actor, row.event) for row in ledger.audit.audit_rows() if '"zoe"' in row.detail]
    assert said == [("rex", "user_added"), ("rex", "password_set"), ("rex", "roles_set")]


def test_a_token_is_shown_once_works_and_is_revoked(enter: Entering, ledger: Ledger) -> None:
    rex = enter("rex")
    rex.go("/people")
    rex.page.get_by_label("Who", exact=True).click()
    rex.page.get_by_role("option", name="vic").click()
    rex.page.get_by_role("button", name="New token").click()
    dialog = rex.page.get_by_role("dialog")
    dialog.get_by_label("What it is for").fill("the desk's sheet")
    dialog.get_by_role("checkbox", name=str(Scope.RUNS_READ), exact=True).click()
    dialog.get_by_role("button", name="Make", exact=True).click()
    secret = dialog.get_by_label("Token", exact=True).input_value()
    with httpx.Client(base_url=rex.address, headers={"authorization": f"Bearer {secret}"}) as machine:
        assert machine.get("/api/me").json()["name"] == "vic"
        dialog.get_by_role("button", name="Close", exact=True).click()
        expect(rex.page.get_by_role("dialog")).to_have_count(0)
        assert secret not in rex.page.content()
        rex.page.get_by_label("Which", exact=True).click()
        rex.page.get_by_role("option", name="the desk's sheet of vic").click()
        rex.page.get_by_role("button", name="Revoke").click()
        dialog.get_by_role("button", name="Revoke", exact=True).click()
        expect(rex.page.get_by_label("Tokens").get_by_text("revoked")).to_be_visible()
        assert machine.get("/api/me").status_code == 401
    assert [row.actor for row in ledger.audit.audit_rows() if row.event.startswith("token_")] == ["rex", "rex"]


def test_who_is_no_admin_neither_sees_people_nor_settings(enter: Entering) -> None:
    vic, rex = enter("vic"), enter("rex")
    for path, sentence in {
        "/people": "Only an admin",
        "/settings": "Settings are shown to people with the role",
    }.items():
        vic.go(path)
        expect(vic.page.get_by_text(sentence)).to_be_visible()
        expect(vic.page.locator("main").get_by_role("button")).to_have_count(0)
        expect(vic.page.locator("main").get_by_role("table")).to_have_count(0)
    rex.go("/settings")
    table = rex.page.get_by_label("Settings", exact=True)
    expect(table.get_by_role("row", name="console_undo_seconds").get_by_text("environment")).to_be_visible()
    rex.shot("settings")


def test_the_bell_counts_what_somebody_can_do_and_tells_the_desktop_once(enter: Entering, ledger: Ledger) -> None:
    rex, vic = enter("rex"), enter("vic")
    rex.page.context.add_init_script(
        "window.shown = []; window.Notification = class { static permission = 'granted';"
        " constructor(title, options) { window.shown.push(options.body) } }"
    )
    run = ledger.runs.newest_run()
    assert run is not None
    rex.go("/breaks")
    rex.page.evaluate("localStorage.clear()")  # what was told before the person allowed it
    rex.go("/breaks")
    bell = rex.page.get_by_role("button", name="notices")
    expect(bell).to_have_accessible_name("3 notices")  # approvals, breaks, changes of model
    assert any("break" in text for text in rex.page.evaluate("window.shown"))
    ledger.runs.start_run(replace_run(run), utc_now())
    ledger.runs.hold_run("2022-12-29-nightly-held", "prices are stale", utc_now())
    expect(bell).to_have_accessible_name("4 notices")  # by itself
    assert "Run 2022-12-29-nightly-held is held." in rex.page.evaluate("window.shown")
    bell.click()
    rex.shot("bell")
    rex.page.get_by_text("Run 2022-12-29-nightly-held is held.").click()
    rex.page.wait_for_url("**/?run=2022-12-29-nightly-held")
    expect(rex.page.get_by_role("button", name="notices")).to_have_accessible_name("4 notices")
    assert rex.page.evaluate("window.shown") == []  # told before, on the other page
    vic.go("/breaks")
    expect(vic.page.get_by_role("button", name="notices")).to_have_accessible_name("0 notices")
    vic.page.get_by_role("button", name="notices").click()
    expect(vic.page.get_by_text("Nothing to know of.")).to_be_visible()


def test_orders_without_an_answer_are_not_yet_due_right_after_the_export(enter: Entering, ledger: Ledger) -> None:
    silent = ledger.answers.break_counts("code", SentFilter()).get(Break.NOT_ACKNOWLEDGED, 0)
    assert silent > 0
    vic = enter("vic")
    vic.go("/breaks")
    expect(vic.page.get_by_text("Not yet due:")).to_contain_text(f"{silent} order")
    expect(vic.page.get_by_text("Nobody has said anything of it.")).to_have_count(0)
    vic.shot("breaks")


def approved(ledger: Ledger) -> str:
    """A proposal that a person approved just now."""
    waiting = ledger.proposals.list_proposals(states=[ProposalState.PENDING_REVIEW]).filter(
        pl.col("approvals_needed") == 1, pl.col("household_id").is_null()
    )
    name = str(waiting.sort("order_count", "proposal_id")["proposal_id"][0])
    ledger.decisions.decide([name], decision="approve", actor="cat", now=utc_now())
    return name


def test_what_places_lack_is_delivered_by_the_button(
    enter: Entering, scene: tuple[Path, Names], ledger: Ledger
) -> None:
    home = scene[0]
    approved(ledger)
    places = tuple(Delivery(name=name, url=str(home / name)) for name in PLACES)
    export_approved(Settings(home=home, deliveries=places))
    export = max(ledger.exports.exports_of(scene[1].run_id), key=lambda one: one.started_at)
    rex, vic = enter("rex"), enter("vic")
    for one in (vic, rex):
        one.go(f"/exports/{export.export_id}")
        expect(one.page.get_by_label("Deliveries").get_by_text("waiting")).to_have_count(len(PLACES))
    expect(vic.page.get_by_role("button", name="Deliver", exact=True)).to_have_count(0)
    assert not (home / "second").exists()
    rex.page.get_by_role("button", name="Deliver", exact=True).click()
    done = rex.page.get_by_label("Deliveries").get_by_role("cell", name="delivered", exact=True)
    expect(done).to_have_count(len(PLACES), timeout=ENDING_MS)
    expect(rex.page.get_by_role("button", name="Deliver", exact=True)).to_have_count(0)
    sent = {file.name for file in (home / "second").rglob("*.csv")}
    assert "blocks.csv" in sent
    rex.shot("delivered")


def test_an_export_that_has_not_left_is_given_up_with_a_note(
    enter: Entering, scene: tuple[Path, Names], ledger: Ledger
) -> None:
    name, run_id = approved(ledger), scene[1].run_id
    orders = pl.DataFrame({"order_id": [f"{name}#1"], "proposal_id": [name]})
    export = ledger.exports.claim_export(
        run_id, [ExportPart(orders=orders)], actor="rex", folder=str(scene[0] / "exports" / "2022-12-28"), now=utc_now()
    )
    rex, vic = enter("rex"), enter("vic")
    vic.go(f"/exports/{export.export_id}")
    expect(vic.page.get_by_text("writing").first).to_be_visible()
    expect(vic.page.get_by_role("button", name="Give it up")).to_have_count(0)
    rex.go(f"/exports/{export.export_id}")
    rex.page.get_by_role("button", name="Give it up").click()
    expect(rex.page.get_by_role("dialog")).to_be_visible()
    rex.page.keyboard.press("Escape")
    expect(rex.page.get_by_role("dialog")).to_have_count(0)
    assert ledger.deliveries.export_named(export.export_id).state is ExportState.WRITING  # type: ignore[union-attr]
    rex.page.get_by_role("button", name="Give it up").click()
    expect(rex.page.get_by_role("dialog").get_by_role("button", name="Give up", exact=True)).to_be_disabled()
    rex.page.get_by_label("Why (recorded)").fill("the disk was lost")
    rex.page.get_by_role("dialog").get_by_role("button", name="Give up", exact=True).click()
    expect(rex.page.get_by_text("Given up by rex: the disk was lost")).to_be_visible()
    expect(rex.page.get_by_role("button", name="Give it up")).to_have_count(0)
    rex.shot("given-up")
    known = ledger.proposals.get_proposal(name)
    assert known is not None
    assert known["state"] == ProposalState.WITHDRAWN


def test_the_preview_draws_the_dots_after_the_trades(
    enter: Entering, scene: tuple[Path, Names], ledger: Ledger
) -> None:
    waiting = ledger.proposals.list_proposals(states=[ProposalState.PENDING_REVIEW]).filter(
        pl.col("household_id").is_null()
    )
    row = waiting.sort("turnover").row(-1, named=True)
    lake = open_lake(Settings(home=scene[0]))
    orders = lake.read_account("orders", row["run_id"], row["account_id"])
    expected = {word(one["asset_class"]): one["weight_after"] for one in weights_with(lake, row, orders)}
    bob = enter("bob")
    bob.go(f"/queue?filter=account%3D{row['account_id']}")
    expect(bob.page.locator("aside canvas, aside svg").first).to_be_visible()
    bob.page.wait_for_function(f"() => ({OPTIONS})()?.yAxis[0].data.length > 0")
    drawn = bob.page.evaluate(OPTIONS)
    series = {one["name"]: one["data"] for one in drawn["series"]}
    after = dict(zip(drawn["yAxis"][0]["data"], series["after"], strict=True))
    assert set(series) >= {"band", "target", "now", "after"}
    assert {name: round(100 * weight, 3) for name, weight in expected.items()} == pytest.approx(after)
    assert series["after"] != series["now"]
    bob.shot("preview")
