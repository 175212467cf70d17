"""The console's studies, in a real browser: stamped, with their pictures, and noise called noise."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from schemas.enums import Role
from schemas.lab import parse_study
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.lab.simulate import shard_frames
from tasks.lab.study import enter_study
from tasks.lab.summary import summary_frames
from tasks.review import access
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.browser import SIZE, Person, chromium, console_on, person
from tests.support.console_scene import PASSWORD
from tests.support.reviewed_scene import STUDY
from warehouse.lake import open_lake

pytestmark = pytest.mark.system

TEXT = STUDY.replace("which band", "which <b>band</b>")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("studies") / "home"
    home.mkdir()
    settings = Settings(home=home)
    with closing(open_ledger(settings)) as ledger:
        ledger.users.add_user("vic", [Role.VIEWER], actor=current_actor(), now=utc_now())
        ledger.access.set_password_hash("vic", access._hasher().hash(PASSWORD), actor=current_actor(), now=utc_now())
    plan = enter_study(settings, parse_study(TEXT.encode(), source="band.toml"))
    lake = open_lake(settings)
    for shard in plan.run.shards:
        lake.replace(plan.run, shard, shard_frames(plan, shard))
    lake.replace(plan.run, GLOBAL_SHARD, summary_frames(lake, plan))
    return home, plan.study.study_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def vic(browser: Browser, home: tuple[Path, str]) -> Iterator[Person]:
    with console_on(home[0]) as address:
        one = person(browser, address, "vic", {})
        yield one
        one.page.context.close()
    assert one.said == []


def test_a_study_is_found_in_the_list_and_shown_with_its_stamp_and_pictures(vic: Person) -> None:
    vic.page.get_by_role("link", name="Studies").click()
    vic.page.get_by_role("link", name="which <b>band</b>").click()
    expect(vic.page.get_by_text("Hypothetical performance: no account has had these results")).to_be_visible()
    expect(vic.page.locator(".picture svg")).to_have_count(5)
    expect(vic.page.locator("td", has_text="not distinguishable").first).to_be_visible()
    expect(vic.page.get_by_text("Dashed: the least turnover that any band needs")).to_be_visible()
    assert vic.page.locator("b").count() == 0
    vic.page.get_by_text("Criteria, assumptions and risks").click()
    expect(vic.page.get_by_text("lognormal").first).to_be_visible()
    vic.shot("study")
    vic.page.emulate_media(color_scheme="dark")
    vic.shot("study-dark")
    for width in (1280, 820):
        vic.page.set_viewport_size({"width": width, "height": 1100})
        assert vic.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    vic.page.set_viewport_size(SIZE)
    vic.go("/studies/nothing")
    expect(vic.page.get_by_text("There is nothing to show here.")).to_be_visible()
