"""Reviewers at work in a real browser, on a night of which everything waits for a person."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from playwright.sync_api import Browser, expect

from console.shared.formatting import shares
from schemas.exports import Delivery
from schemas.settings import Settings
from tasks.export.release import deliver_exported, export_approved
from tasks.reconcile.reconcile import reconcile
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.browser import SIZE, Person, chromium, console_on, person
from tests.support.console_scene import AS_OF, make_home
from tests.support.fill_scene import fill, write_fills
from tests.support.ledger_book import new_run, proposed
from warehouse.lake.lake import open_lake
from warehouse.ledger import Filter, Ledger, SentFilter

pytestmark = pytest.mark.system

MANY: Final = 500


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("browser") / "home"
    make_home(home)
    return home


@pytest.fixture(scope="module")
def ledger(home: Path) -> Iterator[Ledger]:
    with closing(open_ledger(Settings(home=home))) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with console_on(home) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


Entering = Callable[[str], Person]


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """Cookies of those who have signed in."""
    return {}


@pytest.fixture
def enter(browser: Browser, address: str, known: dict[str, Any]) -> Iterator[Entering]:
    """Signs somebody in; what any page complained of fails the test."""
    entered: list[Person] = []

    def let_in(name: str) -> Person:
        entered.append(person(browser, address, name, known))
        return entered[-1]

    yield let_in
    for one in entered:
        one.page.context.close()
    assert [one.said for one in entered if one.said] == []


def waiting(ledger: Ledger, **wanted: str) -> pl.DataFrame:
    return ledger.queue.page(Filter(**wanted), limit=100_000).rows  # type: ignore[arg-type]


def filtered(one: Person, text: str) -> None:
    field = one.page.get_by_label("Filter")
    field.fill(text)
    field.press("Enter")


def test_a_filter_is_decided_on_whole_and_not_only_the_page(enter: Entering, ledger: Ledger) -> None:
    bob = enter("bob")
    bob.go("/queue")
    before = waiting(ledger)
    easy = before.filter(pl.col("approvals_needed") == 1)
    limit = float(easy["gross_value_usd"].cast(pl.Float64).sort()[MANY + 20])
    filtered(bob, f"max_value={limit:.0f}")
    wanted = before.filter(pl.col("gross_value_usd").cast(pl.Float64) <= round(limit))
    assert wanted.height >= MANY
    meant = wanted.join(before, on="household_id", how="semi")["household_id"].implode()
    together = before.filter(
        pl.col("household_id").is_in(meant) | pl.col("proposal_id").is_in(wanted["proposal_id"].implode())
    )
    bob.page.get_by_role("button", name=f"Approve all {wanted.height:,}").click()
    dialog = bob.page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Approve {wanted.height:,} proposals matching max_value={limit:.0f}")
    dialog.get_by_label("Note").fill("small ones, looked through")
    bob.shot("bulk")
    dialog.get_by_role("button", name="Approve").click()
    number = together.filter(pl.col("approvals_needed") == 1).height
    expect(bob.page.get_by_text(f"{together.height:,} proposals approved.")).to_be_visible()
    assert together.height - number == waiting(ledger).join(together, on="proposal_id", how="semi").height
    left = set(waiting(ledger)["proposal_id"])
    done = {one for one in together["proposal_id"] if one not in left}
    assert done == set(together.filter(pl.col("approvals_needed") == 1)["proposal_id"])
    decided = [ledger.proposals.decisions_of(one) for one in wanted["proposal_id"][:5]]
    assert {(said.actor, said.note) for (said,) in decided} == {("bob", "small ones, looked through")}


def test_a_household_is_shown_and_decided_as_one(enter: Entering, ledger: Ledger) -> None:
    joint = waiting(ledger).drop_nulls("household_id")
    decided = [bool(ledger.proposals.decisions_of(one)) for one in joint["proposal_id"]]
    fresh = joint.filter(~pl.Series(decided))  # of some, bob may be the first of two already
    (name, count) = fresh.group_by("household_id").len().filter(pl.col("len") > 1).sort("len", "household_id").row(0)
    rows = joint.filter(household_id=name).sort("account_id")
    bob = enter("bob")
    bob.go(f"/proposals/{rows['proposal_id'][0]}")
    expect(bob.page.get_by_text("Decided as one, and leaves, with")).to_be_visible()
    expect(bob.page.get_by_role("link", name=rows["account_id"][1], exact=True).first).to_be_visible()
    expect(bob.page.get_by_role("button", name="Change orders")).to_have_count(0)

    bob.page.get_by_role("button", name="Approve").click()
    dialog = bob.page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Approve {count} proposals of household {name}?")
    dialog.get_by_role("button", name="Approve").click()

    expect(bob.page.get_by_text(f"{count} proposals of household {name} are one decision")).to_be_visible()
    said = [ledger.proposals.decisions_of(one)[-1] for one in rows["proposal_id"]]
    assert {(one.actor, str(one.decision)) for one in said} == {("bob", "approve")}


def test_four_eyes_are_two_people(enter: Entering, ledger: Ledger) -> None:
    row = waiting(ledger).filter(pl.col("approvals_needed") == 2, pl.col("household_id").is_null()).row(0, named=True)
    bob, cat = enter("bob"), enter("cat")
    for one in (bob, cat):
        one.go(f"/proposals/{row['proposal_id']}")
    bob.page.get_by_role("button", name="Approve").click()
    expect(bob.page.get_by_text("1 of them wait for a second person")).to_be_visible()
    expect(bob.page.get_by_role("cell", name="bob")).to_be_visible()
    expect(bob.page.get_by_text("you approved it, and another person must now")).to_be_visible()
    expect(bob.page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(cat.page.get_by_role("cell", name="bob")).to_be_visible()
    cat.page.reload()  # a click while the page redraws itself for bob's word may be lost
    cat.page.get_by_role("button", name="Approve").click()
    expect(cat.page.locator(".state.approved")).to_be_visible()
    expect(bob.page.locator(".state.approved")).to_be_visible()
    assert ledger.proposals.get_proposal(row["proposal_id"])["state"] == "approved"  # type: ignore[index]


def test_what_somebody_else_decides_arrives_by_itself(enter: Entering, ledger: Ledger) -> None:
    first, second = (row for row in waiting(ledger).head(2).iter_rows(named=True))
    bob, cat = enter("bob"), enter("cat")
    bob.go("/queue")
    expect(bob.page.get_by_role("link", name=first["account_id"]).first).to_be_visible()
    cat.go(f"/proposals/{first['proposal_id']}")
    cat.page.get_by_role("button", name="Reject").click()
    cat.page.get_by_label("Why (recorded)").fill("the client asked to wait")
    cat.page.get_by_role("dialog").get_by_role("button", name="Reject").click()
    expect(bob.page.locator("table.q-table").get_by_role("link", name=first["account_id"])).to_have_count(0)
    cat.go(f"/proposals/{second['proposal_id']}")
    cat.page.get_by_role("button", name="Hold").click()
    expect(bob.page.get_by_text("held by cat").first).to_be_visible()
    bob.go(f"/proposals/{second['proposal_id']}")
    bob.page.get_by_role("button", name="Approve").click()
    expect(bob.page.get_by_text("is held by cat; it must be released first")).to_be_visible()


def test_what_is_typed_outlives_a_browser_that_says_nothing_for_a_while(enter: Entering, ledger: Ledger) -> None:
    """The framework by itself gives a page up after 3 seconds of silence, and loads it again."""
    bob = enter("bob")
    bob.go(f"/proposals/{waiting(ledger)['proposal_id'][0]}")
    bob.page.get_by_role("button", name="Reject").click()
    bob.page.get_by_label("Why (recorded)").fill("half a sen")
    bob.page.evaluate("() => { const end = Date.now() + 12000; while (Date.now() < end); }")
    bob.page.wait_for_timeout(3_000)
    bob.page.get_by_label("Why (recorded)").press_sequentially("tence")
    expect(bob.page.get_by_label("Why (recorded)")).to_have_value("half a sentence")
    bob.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(bob.page.get_by_role("dialog")).to_have_count(0)


def test_the_queue_is_worked_with_the_keyboard_alone(enter: Entering, ledger: Ledger) -> None:
    sam = enter("sam")
    sam.go("/queue")
    rows = waiting(ledger, custodian="harbor").filter(pl.col("held_by").is_null())
    filtered(sam, "custodian=harbor, held=no")
    expect(sam.page.get_by_text(f"{rows.height:,} proposals")).to_be_visible()
    sam.page.locator("body").click(position={"x": 5, "y": 5})
    cursor = sam.page.locator("tr.cursor")
    expect(cursor).to_contain_text(rows["account_id"][0])
    sam.page.keyboard.press("j")
    expect(cursor).to_contain_text(rows["account_id"][1])
    sam.shot("queue")
    sam.page.keyboard.press("h")
    expect(sam.page.get_by_text("1 proposal held.")).to_be_visible()
    assert ledger.proposals.get_proposal(rows["proposal_id"][1])["held_by"] == "sam"  # type: ignore[index]
    sam.page.keyboard.press("?")
    expect(sam.page.get_by_text("approve the one under the cursor")).to_be_visible()


def test_an_order_is_dropped_and_the_rest_waits_for_another_person(enter: Entering, home: Path, ledger: Ledger) -> None:
    bob, cat = enter("bob"), enter("cat")
    row, left_out = with_two_buys(home, ledger)
    bob.go(f"/proposals/{row['proposal_id']}")
    bob.page.get_by_role("button", name="Change orders").click()
    dialog = bob.page.get_by_role("dialog")
    field = dialog.get_by_label(f"Shares to buy of {left_out['symbol']}", exact=True)
    dialog.get_by_role("row", name=left_out["symbol"]).get_by_role("button", name="Drop").first.click()
    expect(field).to_have_value("0")
    dialog.get_by_label("Why (recorded)").fill("the client wants none of it")
    bob.shot("change-orders")
    dialog.get_by_role("button", name="Make version").click()
    expect(bob.page.get_by_text("version 2, changed by bob")).to_be_visible()
    expect(bob.page.get_by_text("Against version 1")).to_be_visible()
    bob.shot("version")
    bob.page.get_by_role("button", name="Approve").click()
    expect(bob.page.get_by_text("was changed by bob; another person must approve it")).to_be_visible()
    cat.go(bob.page.url.removeprefix(bob.address))
    cat.page.get_by_role("button", name="Approve").click()
    expect(cat.page.get_by_text(re.compile("approved|wait for a second person")).first).to_be_visible()
    old = ledger.proposals.get_proposal(row["proposal_id"])
    assert old is not None
    assert old["state"] == "superseded"
    new = ledger.proposals.get_proposal(bob.page.url.rsplit("/", 1)[1])
    assert new is not None
    assert new["order_count"] == row["order_count"] - 1


def with_two_buys(home: Path, ledger: Ledger) -> tuple[dict[str, Any], dict[str, Any]]:
    """A waiting proposal of an account that is managed alone, and one of its buys of which it has no sell."""
    lake = open_lake(Settings(home=home))
    rows = waiting(ledger).filter(pl.col("held_by").is_null())
    run_id = rows["run_id"][0]
    managed = lake.read("household_drift", run_id)["household_id"].unique().to_list()
    landed = lake.read("landed_accounts", run_id).select("account_id", "household_id")
    alone = landed.filter(pl.col("household_id").is_null() | ~pl.col("household_id").is_in(managed))
    orders = lake.read("orders", run_id)
    buys = orders.filter(pl.col("side") == "buy").join(alone, on="account_id", how="semi")
    many = buys.group_by("proposal_id").len().filter(pl.col("len") > 1)["proposal_id"]
    row = rows.filter(pl.col("proposal_id").is_in(many.implode())).row(0, named=True)
    return row, buys.filter(pl.col("proposal_id") == row["proposal_id"]).sort("symbol").row(0, named=True)


def test_a_viewer_sees_everything_and_is_offered_nothing(enter: Entering, ledger: Ledger) -> None:
    row = waiting(ledger).row(0, named=True)
    vic = enter("vic")
    vic.go("/queue")
    expect(vic.page.get_by_role("link", name=row["account_id"]).first).to_be_visible()
    expect(vic.page.get_by_role("button", name=re.compile("Approve|Reject|Hold"))).to_have_count(0)
    vic.page.keyboard.press("a")
    vic.go(f"/proposals/{row['proposal_id']}")
    expect(vic.page.get_by_text("Weights by class")).to_be_visible()
    expect(vic.page.get_by_role("button", name=re.compile("Approve|Reject|Hold"))).to_have_count(0)
    assert ledger.proposals.get_proposal(row["proposal_id"])["state"] == "pending_review"  # type: ignore[index]


def test_a_role_taken_away_meanwhile_takes_its_buttons_along(enter: Entering, ledger: Ledger) -> None:
    row = waiting(ledger).filter(pl.col("held_by").is_null(), pl.col("household_id").is_null()).row(0, named=True)
    admin = next(user.name for user in ledger.users.list_users() if "admin" in user.roles)
    cat = enter("cat")
    cat.go(f"/proposals/{row['proposal_id']}")
    expect(cat.page.get_by_role("button", name="Approve")).to_be_visible()
    ledger.users.set_roles("cat", ["viewer"], actor=admin, now=row["created_at"])
    try:
        expect(cat.page.get_by_role("button", name="Approve")).to_have_count(0)
        expect(cat.page.get_by_text("Weights by class")).to_be_visible()
    finally:
        ledger.users.set_roles("cat", ["reviewer"], actor=admin, now=row["created_at"])
    assert ledger.proposals.get_proposal(row["proposal_id"])["state"] == "pending_review"  # type: ignore[index]


def test_signing_out_closes_every_page(enter: Entering, ledger: Ledger, known: dict[str, Any]) -> None:
    row = waiting(ledger).row(0, named=True)
    bob = enter("bob")
    bob.go("/queue")
    other = bob.page.context.new_page()
    other.goto(f"{bob.address}/proposals/{row['proposal_id']}")
    bob.page.get_by_role("button", name="bob").click()
    del known["bob"]
    bob.page.get_by_text("Sign out").click()
    bob.page.wait_for_url("**/sign-in**")  # by its own way, or as one whose session is seen to be over
    other.wait_for_url("**/sign-in?next=*")


def test_what_a_person_writes_is_text_and_never_markup(enter: Entering, ledger: Ledger) -> None:
    row = waiting(ledger).row(1, named=True)
    bob = enter("bob")
    bob.go(f"/proposals/{row['proposal_id']}")
    bob.page.get_by_role("button", name="Comment").click()
    evil = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>{{ 7*7 }}'
    bob.page.get_by_label("Why (recorded)").fill(evil)
    bob.page.get_by_role("dialog").get_by_role("button", name="Comment").click()
    expect(bob.page.get_by_text(evil)).to_be_visible()
    bob.go(f"/audit?proposal={row['proposal_id']}")
    expect(bob.page.get_by_text("window.taken=1").first).to_be_visible()
    bob.go("/queue?filter=%3Cimg%20src%3Dx%20onerror%3D%22window.taken%3D1%22%3E%3D1")
    expect(bob.page.get_by_text("A filter knows no")).to_be_visible()
    assert bob.page.evaluate("window.taken") is None


def test_names_from_files_are_text_and_never_markup(enter: Entering, ledger: Ledger) -> None:
    evil = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>{{ 7*7 }}${7*7}'
    frame = pl.concat(
        [proposed("evil", ["odd-1"], custodian=evil), proposed("evil", ["odd-2"], custodian="javascript:alert(1)")]
    )
    now = utc_now()
    ledger.runs.start_run(replace(new_run("evil"), as_of_date=AS_OF - timedelta(days=1)), now)
    ledger.proposals.route_proposals("evil", frame, frame["account_id"], now)
    try:
        bob = enter("bob")
        bob.go("/queue?filter=run%3Devil")
        expect(bob.page.get_by_text("2 proposals")).to_be_visible()
        expect(bob.page.locator("table.q-table").get_by_text(evil)).to_be_visible()
        expect(bob.page.locator("aside").get_by_text("0 orders")).to_be_visible()
        bob.page.get_by_role("button", name="Add").click()
        expect(bob.page.locator(".q-menu").get_by_text(evil)).to_be_visible()
        bob.page.keyboard.press("Escape")
        bob.go("/proposals/evil.odd-1")
        expect(bob.page.get_by_text("has no outcome for an account odd-1")).to_be_visible()
        bob.go("/runs")
        expect(bob.page.get_by_role("cell", name="2022-12-27")).to_be_visible()
        assert bob.page.evaluate("window.taken") is None
    finally:
        admin = next(user.name for user in ledger.users.list_users() if "admin" in user.roles)
        ledger.decisions.decide(
            ["evil.odd-1", "evil.odd-2"], decision="reject", actor=admin, note="a test", now=utc_now()
        )


def test_what_came_back_is_seen_on_the_proposal_and_among_the_breaks(
    enter: Entering, home: Path, ledger: Ledger
) -> None:
    alone = waiting(ledger).filter((pl.col("approvals_needed") == 1) & pl.col("held_by").is_null())
    row = alone.sort("order_count", "proposal_id").row(-1, named=True)
    orders = left(home, ledger, row["proposal_id"])
    one, other = orders.head(2).iter_rows(named=True)
    vic = enter("vic")
    vic.go(f"/proposals/{row['proposal_id']}")
    answers = vic.page.locator("section", has_text="After the export").first
    expect(answers.get_by_text("Nobody has said anything of it")).to_have_count(orders.height)
    expect(answers.get_by_role("row", name="archive")).to_contain_text("delivered")
    filled = fill("f1", one["order_id"], str(one["quantity"] + 1), str(one["price_usd"]), side=one["side"])
    rejected = {"execution_id": "f2", "kind": "rejected", "client_order_id": other["order_id"]}
    lost = fill("f3", "gone", "1")
    reconcile(
        write_fills(home / "f.csv", filled, rejected, lost),
        executions=ledger.executions,
        answers=ledger.answers,
        actor=current_actor(),
        now=utc_now(),
    )
    first = answers.get_by_role("row", name="alarm")
    expect(first).to_contain_text(re.compile(f"filled.*alarm *Filled {shares(one['quantity'] + 1)} of"))
    expect(answers.get_by_text("Turned down with 0 of")).to_be_visible()
    seen_everywhere(vic, "after-export")
    vic.go("/breaks")
    rows = vic.page.get_by_label("Open breaks").locator("tbody tr")
    expect(rows.first).to_contain_text("overfilled")
    unasked = rows.filter(has_text="unknown order")
    expect(unasked).to_contain_text("It was filled, and no order that left asked for it.")
    expect(unasked).to_contain_text("f3 of csv, for gone")
    expect(vic.page.get_by_label("Executions set aside")).to_contain_text("f.csv row 3")
    seen_everywhere(vic, "breaks")
    vic.page.get_by_label("Code").click()
    vic.page.get_by_role("option", name="overfilled (1)").click()
    expect(rows).to_have_count(1)
    vic.page.wait_for_url("**/breaks?code=overfilled")
    rows.get_by_role("link", name=row["account_id"]).click()
    expect(first).to_be_visible()
    vic.go("/runs")
    expect(vic.page.get_by_text("archive delivered").first).to_be_visible()


def left(home: Path, ledger: Ledger, proposal_id: str) -> pl.DataFrame:
    """Let a proposal leave with all that is approved, to one place; its orders."""
    ledger.decisions.decide([proposal_id], decision="approve", actor="cat", now=utc_now())
    settings = Settings(home=home, deliveries=(Delivery(name="archive", url=str(home / "archive")),))
    export_approved(settings)
    deliver_exported(settings)
    return ledger.answers.answers(SentFilter(proposal=proposal_id), limit=99).rows


def seen_everywhere(one: Person, name: str) -> None:
    """Pictures of a page light and dark, and that it fits a screen and a tablet."""
    one.shot(name)
    one.page.emulate_media(color_scheme="dark")
    expect(one.page.locator("body.body--dark")).to_be_visible()
    one.shot(f"{name}-dark")
    for width in (1280, 820):
        one.page.set_viewport_size({"width": width, "height": 1100})
        assert one.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    one.shot(f"{name}-tablet")
    one.page.set_viewport_size(SIZE)
    one.page.emulate_media(color_scheme="light")


PAGES: Final = {
    "queue-viewer": ("/queue", "why look"),
    "tonight": ("/", "How far accounts came"),
    "proposal": ("/proposals/{proposal}", "Weights by class"),
    "account": ("/accounts/{account}", "Proposals"),
    "quarantine": ("/quarantine", "Rows set aside"),
    "runs": ("/runs", "nightly"),
    "audit": ("/audit", "Verify the chain"),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_light_and_dark_and_on_a_tablet(enter: Entering, ledger: Ledger, name: str) -> None:
    row = waiting(ledger).row(2, named=True)
    path, text = PAGES[name]
    vic = enter("vic")
    vic.go(path.format(proposal=row["proposal_id"], account=row["account_id"]))
    expect(vic.page.get_by_text(text).first).to_be_visible()
    expect(vic.page.get_by_role("navigation", name="Pages")).to_be_visible()
    seen_everywhere(vic, name)


def test_the_solution_is_explained_and_its_gap_drawn(enter: Entering, ledger: Ledger) -> None:
    row = waiting(ledger).row(2, named=True)
    vic = enter("vic")
    for path in (f"/proposals/{row['proposal_id']}", f"/accounts/{row['account_id']}"):
        vic.go(path)
        for title in ("Tax", "Limits", "Proof"):
            expect(vic.page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        drawing = vic.page.locator("svg.gap")
        expect(drawing).to_be_visible()
        expect(drawing).to_have_attribute("aria-label", re.compile("(gap of|no gap)"))
    assert vic.said == []


def test_a_chain_that_was_tampered_with_is_said_to_be(enter: Entering, home: Path) -> None:

    bob = enter("bob")
    bob.go("/audit")
    bob.page.get_by_role("button", name="Verify the chain").click()
    expect(bob.page.get_by_text("The chain is whole")).to_be_visible()
    with closing(sqlite3.connect(home / "ledger.sqlite")) as connection, connection:
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE tbl_name = 'audit' AND type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE audit SET detail = detail || ' ' WHERE seq = 40")
    bob.page.get_by_role("button", name="Verify the chain").click()
    expect(bob.page.get_by_text(re.compile("row 40", re.IGNORECASE)).first).to_be_visible()
