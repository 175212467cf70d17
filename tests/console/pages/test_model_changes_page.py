"""Model changes and the goal behind an account, as pages."""

from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from console.shared.formatting import percent
from tasks.review.goals import goal_of_account
from tasks.runtime.stores import open_ledger
from tests.support.browser import chromium, console_on, person
from tests.support.profile_scene import profiled_home
from warehouse.lake.lake import open_lake

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]


def test_a_reviewer_approves_and_rejects_and_a_goal_is_shown_on_its_accounts_page(tmp_path: Path) -> None:
    settings = profiled_home(tmp_path)
    with closing(open_ledger(settings)) as ledger:
        goal = goal_of_account(open_lake(settings), ledger.runs, "A2").outlook
    assert goal is not None
    with chromium() as browser, console_on(settings.home) as address:
        vic = person(browser, address, "vic", {})
        vic.go("/model-changes")
        expect(vic.page.get_by_text("growth → income")).to_be_visible()
        expect(vic.page.get_by_role("button", name="Approve selected…")).to_have_count(0)
        bob = person(browser, address, "bob", {})
        bob.go("/model-changes")
        waiting = bob.page.get_by_label("Models that wait for a person")
        expect(waiting.get_by_text("The most averse counts")).to_have_count(2)
        bob.shot("model-changes")
        waiting.get_by_role("row", name="A3").get_by_role("checkbox").click()
        bob.page.get_by_role("button", name="Approve selected…").click()
        bob.page.get_by_role("button", name="Approve", exact=True).click()
        in_force = bob.page.get_by_label("Changes in force")
        expect(in_force.get_by_text("income → growth")).to_be_visible()
        expect(waiting.get_by_text("income → growth")).to_have_count(0)
        expect(vic.page.get_by_label("Changes in force").get_by_text("income → growth")).to_be_visible()
        waiting.get_by_role("row", name="H1").get_by_role("checkbox").click()
        bob.page.get_by_role("button", name="Reject selected…").click()
        expect(bob.page.get_by_role("button", name="Reject", exact=True)).to_be_disabled()
        bob.page.get_by_label("Why (recorded)").fill("the client is moving house")
        bob.page.get_by_role("button", name="Reject", exact=True).click()
        expect(waiting.get_by_text("growth → income")).to_have_count(0)
        bob.go("/accounts/A2")
        expect(bob.page.get_by_role("heading", name="Goal")).to_be_visible()
        expect(bob.page.get_by_text(percent(goal.chance_within_profile), exact=True).first).to_be_visible()
        expect(bob.page.get_by_text(f"today rung {goal.best_rung}")).to_be_visible()
        bob.shot("goal")
        bob.go("/accounts/A3")  # its investor named no goal
        expect(bob.page.get_by_text("Nights", exact=True)).to_be_visible()
        expect(bob.page.get_by_role("heading", name="Goal")).to_have_count(0)
        assert (vic.said, bob.said) == ([], [])
    with closing(open_ledger(settings)) as ledger:
        states = dict(ledger.model_changes.model_changes().select("subject_id", "state").iter_rows())
    assert states == {"A3": "approved", "H1": "rejected"}
