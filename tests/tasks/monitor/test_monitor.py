"""Looks between the nights, on real stores: what starts a run, what does not, and that nothing starts twice."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.errors import WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.demo.sample import make_book, read_market
from tasks.monitor.breach_batches import RunInstruction, claim_batch, enter_look, instruction_for, sources_of_batch
from tasks.monitor.look import look
from tasks.runtime.run_settings import use_settings
from tasks.runtime.steps import Stores
from tasks.runtime.stores import open_ledger, utc_now
from tests.support.ledger_book import new_run
from tests.support.monitor_scene import NIGHT, TODAY, Scene
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake
from warehouse.ledger import ScopeRow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """After a night for which everything came."""
    scene = Scene(tmp_path_factory.mktemp("evening")).delivered("acme", "other")
    scene.night()
    return scene


@pytest.fixture(scope="module")
def evening_without_other(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """After a night that waited for one custodian."""
    scene = Scene(tmp_path_factory.mktemp("without")).delivered("acme")
    scene.night()
    return scene


@pytest.fixture
def scene(evening: Scene, tmp_path: Path) -> Scene:
    there = evening.again(tmp_path)
    there.quote(100)
    return there


@pytest.fixture
def waiting(evening_without_other: Scene, tmp_path: Path) -> Scene:
    there = evening_without_other.again(tmp_path)
    there.quote(100)
    return there


def scopes(scene: Scene) -> dict[tuple[str, ...], ScopeRow]:
    """Every scope that waits for a run, by its accounts."""
    with scene.stores() as at:
        rows = at.ledger.breaches.scopes_to_announce(utc_now())
        return {at.ledger.breaches.accounts_of_scope(row.scope_id): row for row in rows}


def worked(scene: Scene, scope: str) -> RunInstruction:
    """What is to be done for a scope, asked as the flow does: by the settings of its environment."""
    with use_settings(scene.settings):
        return instruction_for(scope, "somebody")


def test_a_look_at_the_nights_own_prices_finds_what_the_night_found(tmp_path: Path) -> None:
    make_book(tmp_path / "landing", account_count=300)
    settings = Settings(home=tmp_path, accounts_per_shard=100)
    day = read_market().as_of_date
    run_id = run_night(settings, None, day).run_id
    at = Stores(settings, open_lake(settings), open_ledger(settings))
    found = look(at, day, utc_now())
    night = at.lake.read("account_drift", run_id)
    at.ledger.close()
    assert (found.looked_at, found.skipped) == (night.height, 0)
    assert found.out_of_band == night.filter(pl.col("triggers").str.contains("drift|cash")).height
    assert found.out_of_band > 0
    assert found.verdict.new.is_empty()


def test_in_band_a_look_starts_nothing(scene: Scene) -> None:
    told = scene.look()
    assert (told.looked_at, told.out_of_band, told.newly, told.breach_batch_ids, told.notices) == (4, 0, 0, (), ())


def test_prices_that_break_bands_make_one_scope_of_the_accounts_that_may_be_traded(scene: Scene) -> None:
    scene.quote(60)
    told = scene.look()
    assert (told.out_of_band, told.newly, len(told.breach_batch_ids)) == (
        3,
        2,
        1,
    )  # the frozen account is out of band too
    ((accounts, row),) = scopes(scene).items()
    assert accounts == ("A1", "A3")
    assert (row.cause, row.as_of_date, row.account_count, row.scope_id) == ("drift", TODAY, 2, told.breach_batch_ids[0])


def test_however_many_looks_one_breach_makes_one_scope(scene: Scene) -> None:
    made = []
    for price in (60, 83, 60, 83, 60):
        scene.quote(price)
        made += scene.look().breach_batch_ids
    assert len(made) == 1
    scene.quote(100)
    assert scene.look().armed_again == 2
    scene.quote(60)
    assert len(scene.look().breach_batch_ids) == 1


def test_a_dry_look_writes_nothing(scene: Scene) -> None:
    scene.quote(60)
    told = scene.look(is_dry=True)
    assert (told.newly, told.breach_batch_ids) == (2, ())
    assert scopes(scene) == {}


def test_a_look_that_breaks_off_before_the_event_leaves_its_scope_for_the_next(scene: Scene) -> None:
    scene.quote(60)
    with scene.stores() as at:
        (scope,) = enter_look(at, look(at, TODAY, utc_now()), utc_now())
        assert look(at, TODAY, utc_now()).verdict.new.is_empty()
        assert [row.scope_id for row in at.ledger.breaches.scopes_to_announce(utc_now())] == [scope]


def test_two_looks_that_saw_the_same_make_one_scope(scene: Scene) -> None:
    scene.quote(60)
    with scene.stores() as at:
        one, other = look(at, TODAY, utc_now()), look(at, TODAY, utc_now())
        assert len(enter_look(at, one, utc_now())) == 1
        assert enter_look(at, other, utc_now()) == ()


def test_a_deposit_that_the_night_did_not_have_is_seen_as_cash(scene: Scene) -> None:
    scene.send("acme", deposit=700)
    told = scene.look()
    ((accounts, row),) = scopes(scene).items()
    assert (accounts, row.cause, told.notices) == (("A1",), "cash", ())
    assert scene.look().breach_batch_ids == ()


def test_a_withdrawal_that_overdraws_is_seen_as_cash(scene: Scene) -> None:
    scene.send("acme", deposit=-206)
    scene.look()
    assert [row.cause for row in scopes(scene).values()] == ["cash"]


def test_a_model_that_changed_is_looked_at_once_in_band_or_not(scene: Scene) -> None:
    scene.target(stocks=0.61)
    scene.look()
    ((accounts, row),) = scopes(scene).items()
    assert (accounts, row.cause) == (("A1", "A3"), "model_change")
    assert [scene.look().breach_batch_ids for _ in range(3)] == [()] * 3
    scene.target(stocks=0.6)
    assert len(scene.look().breach_batch_ids) == 1


def test_a_late_custodians_file_starts_the_night_again(waiting: Scene) -> None:
    assert waiting.look().looked_at == 2
    waiting.send("other")
    (scope,) = waiting.look().breach_batch_ids
    assert waiting.look().breach_batch_ids == ()
    assert [(row.scope_id, row.cause) for row in scopes(waiting).values()] == [(scope, "late_file")]
    with waiting.stores() as at:
        night = at.ledger.runs.full_run_of(NIGHT)
        assert night is not None
        assert at.ledger.breaches.get_scope(scope).as_of_date == NIGHT


def test_accounts_whose_file_came_late_are_looked_at_as_it_had_them(waiting: Scene) -> None:
    waiting.send("other")
    waiting.night()
    waiting.quote(60)
    told = waiting.look()
    assert (told.looked_at, told.newly) == (4, 2)
    assert list(scopes(waiting)) == [("A1", "A3")]


def test_an_account_that_two_runs_of_the_night_accepted_is_looked_at_once_as_the_newer_had_it(scene: Scene) -> None:
    scene.send("other", deposit=700)
    scene.night()
    scene.send("other")
    (scene.folder / "other" / "cash.csv").unlink()  # what the newer run landed stands
    told = scene.look(is_dry=True)
    assert (told.looked_at, told.out_of_band, told.newly) == (4, 1, 0)


def test_without_fresh_prices_those_of_the_night_stand_and_cash_is_still_seen(scene: Scene) -> None:
    (scene.folder / "fresh" / "prices.csv").write_text("nonsense")
    scene.send("acme", deposit=700)
    told = scene.look()
    assert len(told.breach_batch_ids) == 1
    assert any("prices.csv has no column" in line for line in told.notices)
    assert any("no fresh prices" in line for line in told.notices)


def test_a_source_that_is_gone_costs_nothing_but_its_news(scene: Scene) -> None:
    (scene.folder / "acme" / "cash.csv").unlink()
    scene.quote(60)
    assert scene.look().newly == 2


def test_an_account_that_holds_what_the_fresh_prices_lack_is_not_looked_at(scene: Scene) -> None:
    (scene.folder / "fresh" / "prices.csv").write_text(
        f"security_id,price_usd,price_date\nBND,100,{TODAY}\nSTK,-1,{TODAY}\n"
    )
    told = scene.look()
    assert (told.looked_at, told.skipped, told.newly) == (0, 4, 0)


def test_prices_of_a_day_to_come_are_no_prices(scene: Scene) -> None:
    scene.quote(60, day=TODAY + timedelta(days=1))
    assert scene.look().skipped == 4


def test_a_scope_is_run_on_the_nights_files_with_fresh_prices(scene: Scene) -> None:
    scene.quote(60)
    (scope,) = scene.look().breach_batch_ids
    with scene.stores() as at:
        sources = sources_of_batch(at, at.ledger.breaches.get_scope(scope))
    assert [source.name for source in sources] == ["book", "acme", "other", "fresh-prices"]
    work = worked(scene, scope)
    assert work.request is not None
    assert (work.request.kind, work.request.as_of_date, work.request.scope) == (RunKind.THRESHOLD, TODAY, ("A1", "A3"))


def test_a_source_that_has_prices_among_others_keeps_the_others(scene: Scene) -> None:
    (scene.folder / "quotes" / "prices.csv").rename(scene.folder / "book" / "prices.csv")
    with scene.stores() as at:
        settings = at.settings.model_copy(
            update={"sources": tuple(each for each in at.settings.sources if each.name != "quotes")}
        )
        scene.quote(60)
        (scope,) = scene.look().breach_batch_ids
        book, *_ = sources_of_batch(Stores(settings, at.lake, at.ledger), at.ledger.breaches.get_scope(scope))
    assert book.name == "book"
    assert set(book.tables) == {"accounts", "securities", "model_targets", "policies", "buy_list"}


def test_what_a_night_has_looked_at_since_is_not_run(scene: Scene) -> None:
    scene.quote(60)
    (scope,) = scene.look().breach_batch_ids
    night = run_night(scene.settings.model_copy(update={"prices_url": ""}), None, TODAY)
    assert worked(scene, scope).skipped == f"{night.run_id} has looked at the accounts of {scope} since"
    assert scopes(scene) == {}


def test_a_run_that_comes_second_goes_no_further(scene: Scene) -> None:
    scene.quote(60)
    (scope,) = scene.look().breach_batch_ids
    with scene.stores() as at:
        night = at.ledger.runs.list_runs()[0]
        second = replace(new_run("second"), as_of_date=TODAY, kind=RunKind.THRESHOLD)
        at.ledger.runs.start_run(second, utc_now())
        at.ledger.breaches.take_scope(scope, night.run_id, utc_now())
    with use_settings(scene.settings):
        told = claim_batch(scope, RunRef("second", TODAY, RunKind.THRESHOLD, 1))
    assert told == f"{scope} is run as {night.run_id}"
    with scene.stores() as at:
        assert str(at.ledger.runs.list_runs()[0].state) == "failed"


def test_a_scope_that_nobody_made_is_refused(scene: Scene) -> None:
    with pytest.raises(WrongUsage, match="there is no scope nothing"):
        worked(scene, "nothing")


def test_before_the_first_night_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="no night up to 2026-01-06 is done yet"):
        Scene(tmp_path).delivered("acme").look()
