"""Whatever is there is found from every page, by keyboard alone, and an account, a household and a security are shown whole."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from schemas.settings import Settings
from tasks.runtime.stores import open_ledger
from tests.support.browser import Person, chromium, console_on, person
from tests.support.console_scene import copied
from warehouse.lake.lake import open_lake

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]
SOLVING_MS = 180_000
"""Until an account is solved again by a process that may have to compile the solver first."""


@pytest.fixture(scope="module")
def scene(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(night_home, tmp_path_factory.mktemp("find") / "home")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def vic(scene: Path, browser: Browser) -> Iterator[Person]:
    """Somebody who may only look; what any page complained of fails the test."""
    known: dict[str, Any] = {}
    with console_on(scene) as address:
        one = person(browser, address, "vic", known)
        yield one
        one.page.context.close()
    assert one.said == []


def proposed(scene: Path) -> dict[str, Any]:
    """An account of a household that is managed together, with its proposal."""
    with closing(open_ledger(Settings(home=scene))) as ledger:
        rows = ledger.proposals.list_proposals()
    return rows.drop_nulls("household_id").sort("account_id").row(0, named=True)


def test_an_account_is_found_from_any_page_by_keyboard_and_shown_whole(vic: Person, scene: Path) -> None:
    name = proposed(scene)["account_id"]
    vic.go("/runs")
    expect(vic.page.get_by_role("heading", name="Runs", level=2)).to_be_visible()
    vic.page.keyboard.press("/")
    vic.page.keyboard.type(name[-4:])
    found = vic.page.locator(".found a")
    expect(found.first).to_be_visible()
    vic.page.get_by_label("Find anything").fill(name.lower())
    expect(found.first).to_contain_text(name)
    vic.page.keyboard.press("Enter")
    expect(vic.page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    for title in ("Nights", "Holdings", "Proposals"):
        expect(vic.page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    why = vic.page.get_by_role("heading", name="Weights by class", exact=True)
    expect(why).to_be_visible(timeout=SOLVING_MS)
    holdings = vic.page.get_by_label("Holdings")
    lots = open_lake(Settings(home=scene, lake_data_url=str(_data(scene)))).read_account(
        "landed_lots", proposed(scene)["run_id"], name
    )
    expect(holdings.locator("tbody tr a")).to_have_count(lots["security_id"].n_unique())
    holdings.locator("summary").first.press("Enter")
    expect(holdings.get_by_text(str(lots.sort("security_id")["lot_id"][0])).first).to_be_visible()
    vic.shot("account")


def _data(scene: Path) -> Path:
    text = (scene / "trimtab.toml").read_text()
    return Path(text.split("'")[1])


def test_arrows_go_through_what_was_found_and_escape_closes_it(vic: Person, scene: Path) -> None:
    household = proposed(scene)["household_id"]
    vic.go("/audit")
    box = vic.page.get_by_label("Find anything")
    box.fill("H0000")
    expect(vic.page.locator(".found a").first).to_be_visible()
    vic.page.keyboard.press("Escape")
    expect(vic.page.locator(".found")).to_be_hidden()
    box.fill(household)
    expect(vic.page.locator(".found a").first).to_contain_text(household)
    vic.page.keyboard.press("ArrowDown")
    expect(vic.page.locator(".found a").first).to_be_focused()
    vic.page.keyboard.press("Enter")
    expect(vic.page.get_by_role("heading", name=f"Household {household}")).to_be_visible()
    expect(vic.page.get_by_text("one-way drift of the household")).to_be_visible()
    vic.shot("household")


def test_several_are_listed_on_a_page_and_what_is_not_there_is_a_sentence(vic: Person) -> None:
    vic.go("/queue")
    box = vic.page.get_by_label("Find anything")
    box.fill("A0000")
    expect(vic.page.locator(".found a").first).to_be_visible()
    box.press("Enter")
    expect(vic.page.get_by_text("With A0000 in its name")).to_be_visible()
    vic.go("/find?text=zebra")
    expect(vic.page.get_by_text("Nothing of the newest nights is called zebra.")).to_be_visible()
    for path, sentence in {
        "/accounts/zebra": "No run has an account zebra.",
        "/households/zebra": "No run has a household zebra.",
        "/securities/zebra": "has no security zebra.",
    }.items():
        vic.go(path)
        expect(vic.page.get_by_text(sentence)).to_be_visible()
        expect(vic.page.get_by_text("select ")).to_have_count(0)
