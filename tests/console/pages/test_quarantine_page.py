"""The console's quarantine, in a real browser: causes before what they cost, and one event let through at once."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, expect

from schemas.enums import Role
from schemas.settings import Settings
from tasks.review import access
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.browser import Person, chromium, console_on, person
from tests.support.console_scene import PASSWORD
from tests.support.landing_book import AS_OF, spoilt, write_book
from tests.support.night_driver import run_night

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

HOLDERS, DEAR = 12, 4
"""Accounts that hold what has no price, and accounts of which a unit cost is out of all proportion."""


def book() -> dict[str, pl.DataFrame]:
    """One bad price, a lot of nobody's that could be account d3's, and costs that only a person can confirm."""
    found = spoilt("prices", 1, price_usd="n/a")
    holders = [f"H{number}" for number in range(HOLDERS)]
    dear = [f"D{number}" for number in range(DEAR)]
    one = {table: found[table].row(2, named=True) for table in ("accounts", "cash")}
    lot = found["lots"].row(3, named=True)

    def made(table: str, rows: list[dict[str, str | None]]) -> None:
        found[table] = pl.DataFrame(rows, schema=found[table].schema)

    made("accounts", [{**one["accounts"], "account_id": name, "status": "active"} for name in (*holders, *dear, "Z1")])
    made("cash", [{**one["cash"], "account_id": name} for name in (*holders, *dear, "Z1")])
    made(
        "lots",
        [
            *({**lot, "account_id": name, "security_id": "STK"} for name in holders),
            *({**lot, "account_id": name, "unit_cost_usd": "50000"} for name in dear),
            {**lot, "account_id": "z1"},
        ],
    )
    for table in ("restrictions", "trades"):
        found[table] = found[table].clear()
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("quarantine") / "home"
    settings = Settings(home=home, guard_min_accounts=100)
    (home / "landing").mkdir(parents=True)
    write_book(home / "landing", book(), "csv")
    with closing(open_ledger(settings)) as ledger:
        ledger.users.add_user("bob", [Role.REVIEWER], actor=current_actor(), now=utc_now())
        ledger.access.set_password_hash("bob", access._hasher().hash(PASSWORD), actor=current_actor(), now=utc_now())
    run_night(settings, home / "landing", AS_OF)
    return home


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def bob(home: Path, browser: Browser) -> Iterator[Person]:
    with console_on(home) as address:
        found = person(browser, address, "bob", {})
        yield found
        found.page.context.close()
    assert found.said == []


def test_causes_come_first_and_one_event_is_let_through_at_once(bob: Person) -> None:
    page = bob.page
    bob.go("/quarantine")
    causes = page.locator("section.panel", has_text="What it comes from")
    expect(causes.get_by_text("prices.csv row 1 (price_usd_readable)")).to_be_visible()
    assert re.findall(r"\d+", causes.locator("tbody tr").first.locator("td").nth(2).inner_text()) == [str(HOLDERS)]
    rows = page.locator("section.panel", has_text="Rows set aside")
    expect(rows.get_by_text(f"{HOLDERS} only consequences")).to_be_visible()
    expect(rows.get_by_text(f"cost {HOLDERS + DEAR + 1} accounts the night of")).to_be_visible()
    bob.shot("quarantine-causes")

    causes.get_by_text("lots.csv row 17").click()
    expect(page.get_by_text("Account Z1 is not traded in this run because of it.")).to_be_visible()
    causes.get_by_text("prices.csv row 1").click()
    expect(page.get_by_text(f"{HOLDERS} accounts are not traded in this run because of it: H0, H1,")).to_be_visible()
    bob.shot("quarantine-cause")

    rows.get_by_label("account").fill("H3")
    expect(rows.get_by_text("security has price").first).to_be_visible()
    expect(causes.get_by_text("lots.csv row 17")).to_have_count(0)
    expect(rows.get_by_text("2 rows", exact=True)).to_be_visible()
    bob.shot("quarantine-account")
    page.get_by_role("button", name="Let all that match through").click()
    expect(page.get_by_text(re.compile("What stands behind: prices.csv row 1"))).to_be_visible()

    rows.get_by_label("account").fill("")
    rows.get_by_label("security").fill("BND")
    rows.get_by_label("rule").fill("cost_plausible")
    expect(rows.get_by_text(f"{DEAR} rows", exact=True)).to_be_visible()
    page.get_by_role("button", name="Let all that match through").click()
    expect(page.get_by_text(f"Let {DEAR} rows through from now on?")).to_be_visible()
    expect(page.get_by_text("Of 4 accounts: D0, D1, D2, D3.")).to_be_visible()
    bob.shot("quarantine-event")
    page.get_by_label("Why (recorded)").fill("costs of a gift, confirmed")
    page.get_by_role("button", name="Let through", exact=True).click()
    expect(page.get_by_text(re.compile(f"{DEAR} rows let through.*Run the night again"))).to_be_visible()
    expect(page.get_by_text("released by bob")).to_have_count(DEAR)
    bob.shot("quarantine-released")
