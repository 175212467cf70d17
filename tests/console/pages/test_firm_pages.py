"""Pages about the firm as a whole, as an admin and as somebody who may only look use them."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from schemas.settings import Settings
from tasks.runtime.stores import open_ledger
from tests.support.browser import Person, chromium, console_on, person
from tests.support.home_copy import copy_home
from tests.support.reviewed_scene import Names, review_all
from warehouse.ledger import Ledger

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]
CHARTS = 5
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
    with console_on(scene[0]) as address, chromium() as browser:

        def let_in(name: str) -> Person:
            if name not in entered:
                entered[name] = person(browser, address, name, known)
            return entered[name]

        yield let_in
        for one in entered.values():
            one.page.context.close()
    assert [one.said for one in entered.values() if one.said] == []


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
