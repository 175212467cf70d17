"""Every page for those who see little, use the keyboard alone, or have a small or a very large screen; axe-core judges."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from console.pages.records.performance import KINDS
from tests.support.accessibility import mouse_only, too_wide, unseen_focus, violations
from tests.support.browser import SIZE, Person, chromium, console_on, person
from tests.support.home_copy import copy_home
from tests.support.reviewed_scene import Names, review_all

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]
CONSOLE: Final = Path(__file__).parents[3] / "console"
SOLVING_MS: Final = 180_000
"""Until an account is solved again by a process that may have to compile the solver first."""
QUIET_MS: Final = 600
"""Until colours have changed and frames that are cut are marked."""
PAGES: Final = {
    "/": "/",
    "/queue": "/queue",
    "/breaks": "/breaks",
    "/quarantine": "/quarantine",
    "/runs": "/runs",
    "/monitor": "/monitor",
    "/studies": "/studies",
    "/models": "/models",
    "/models/{model_id}": "/models/{model_id}",
    "/people": "/people",
    "/settings": "/settings",
    "/book": "/book?by=custodian&nights=10",
    "/audit": "/audit",
    "/model-changes": "/model-changes",
    "/find": "/find?text=A0000",
    "/accounts/{account_id}": "/accounts/{account_id}",
    "/households/{household_id}": "/households/{household_id}",
    "/securities/{security_id}": "/securities/{security_id}",
    "/proposals/{proposal_id}": "/proposals/{proposal_id}",
    "/exports/{export_id}": "/exports/{export_id}",
    "/studies/{study_id}": "/studies/{study_id}",
    "/accounts/{subject}/performance": "/accounts/{account_id}/performance",
    "/models/{subject}/performance": "/models/{model_id}/performance",
    "/households/{subject}/performance": "/households/{household_id}/performance",
    "nothing": "/accounts/zebra",
    "/sign-in": "/sign-in",
}
"""A path as the console registers it, and one that leads there."""


@pytest.fixture(scope="module")
def names(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Names]:
    home = copy_home(night_home, tmp_path_factory.mktemp("accessible") / "home")
    return home, review_all(home)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def rex(names: tuple[Path, Names], browser: Browser) -> Iterator[Person]:
    """Somebody who may do everything, and so sees every button; what any page complained of fails the test."""
    with console_on(names[0]) as address:
        one = person(browser, address, "rex", {})
        yield one
        one.page.context.close()
    assert one.said == []


def test_every_page_that_is_registered_is_looked_at() -> None:
    found: set[str] = set()
    for path in CONSOLE.rglob("*.py"):
        for written in re.findall(r'@ui\.page\(f?"([^"]+)"\)', path.read_text()):
            plain = written.replace("{{", "{").replace("}}", "}")
            found |= {plain.replace("{kind}", kind) for kind in KINDS} if "{kind}" in plain else {plain}
    assert found == PAGES.keys() - {"nothing", "/sign-in"}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(rex: Person, names: tuple[Path, Names], name: str) -> None:
    page = rex.page
    page.set_viewport_size(SIZE)
    wrong: dict[str, Any] = {}
    page.emulate_media(color_scheme="light")
    rex.go(PAGES[name].format(**vars(names[1])))
    settle(page)
    wrong["light"] = violations(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(QUIET_MS)
    wrong["dark"] = violations(page)
    wrong |= {"by mouse alone": mouse_only(page), "focus": unseen_focus(page), "too wide": too_wide(page)}
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_timeout(QUIET_MS)
    wrong["on a phone"] = violations(page)
    assert {what: said for what, said in wrong.items() if said} == {}


def settle(page: Page) -> None:
    """Wait until a page has all that it waits for."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("main .q-spinner")).to_have_count(0, timeout=SOLVING_MS)
    page.wait_for_timeout(QUIET_MS)
