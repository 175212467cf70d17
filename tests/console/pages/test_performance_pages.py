"""What an account, a model and a household have earned, as pages."""

from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from schemas.settings import Settings
from tasks.runtime.stores import open_ledger
from tests.support.browser import chromium, console_on, person
from tests.support.console_scene import copied

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]


def test_what_was_earned_is_shown_and_a_first_night_earns_nothing_yet(night_home: Path, tmp_path: Path) -> None:
    scene = copied(night_home, tmp_path / "home")
    with closing(open_ledger(Settings(home=scene))) as ledger:
        one = ledger.proposals.list_proposals().drop_nulls("household_id").sort("account_id").row(0, named=True)
    nothing = "There is nothing to show here."
    with chromium() as browser, console_on(scene) as address:
        vic = person(browser, address, "vic", {})
        vic.go(f"/accounts/{one['account_id']}/performance")
        growth = vic.page.get_by_role("heading", name="Growth beside the model, before tax")
        expect(growth).to_be_visible()
        expect(vic.page.get_by_text(nothing)).to_have_count(0)
        expect(vic.page.get_by_text("±")).to_have_count(0)
        for path in (f"/households/{one['household_id']}", "/models/conservative_income", "/accounts/nobody"):
            vic.go(f"{path}/performance")
            expect(vic.page.get_by_text(nothing)).to_be_visible()
            expect(vic.page.get_by_text("has no performance")).to_be_visible()
        assert vic.said == []
