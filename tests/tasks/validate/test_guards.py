"""Guards of a run in its stores: what holds it, what a release covers, and that it goes on with what it pulled."""

from collections.abc import Callable
from contextlib import closing, suppress
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from flows.commands.run import resume_night
from schemas.enums import Guard, RunState
from schemas.errors import ConservationBroken, RunHeld, WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.propose.solving import need_none
from tasks.pull.pull import find_pulled_run
from tasks.runtime.run_settings import use_settings
from tasks.runtime.steps import note_failure, open_stores
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tasks.validate.guards import LOOK, guard_inputs_task, guard_trades_task, held_page
from tests.support.home_copy import copy_home
from tests.support.landing_book import sound_book, spoilt, write_book
from tests.support.night_driver import run_night
from warehouse.ledger import RunRow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

AS_OF = date(2026, 1, 5)
NEXT = date(2026, 1, 6)
Night = Callable[..., RunRow]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def settings_in(folder: Path) -> Settings:
    return Settings(home=folder / "home", guard_min_accounts=0, max_run_turnover=None)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return nights_in(tmp_path)


def nights_in(folder: Path) -> Night:
    """A night on a book, and how its run stands afterwards."""

    def run(settings: Settings, book: dict[str, pl.DataFrame], day: date = AS_OF) -> RunRow:
        source = folder / f"source-{day}"
        source.mkdir(exist_ok=True)
        write_book(source, book, "csv")
        with suppress(RunHeld):
            run_night(settings, source, day)
        return newest(settings)

    return run


@pytest.fixture(scope="module")
def sound_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home after a night on the sound book."""
    folder = tmp_path_factory.mktemp("sound")
    settings = settings_in(folder)
    nights_in(folder)(settings, sound_book())
    return settings


@pytest.fixture(scope="module")
def home_of_a_held_run(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose night on the sound book is held: no order is allowed."""
    folder = tmp_path_factory.mktemp("held")
    settings = settings_in(folder)
    nights_in(folder)(settings.model_copy(update={"max_run_orders": 0}), sound_book())
    return settings


@pytest.fixture(scope="module")
def home_with_old_prices(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose night on the sound book, a day later, is held: only that day's own prices are allowed."""
    folder = tmp_path_factory.mktemp("old")
    settings = settings_in(folder)
    nights_in(folder)(settings.model_copy(update={"max_price_age_sessions": 0}), sound_book(), NEXT)
    return settings


@pytest.fixture
def after_a_sound_night(settings: Settings, sound_home: Settings) -> Settings:
    copy_home(sound_home.home, settings.home)
    return settings


@pytest.fixture
def with_a_held_run(settings: Settings, home_of_a_held_run: Settings) -> Settings:
    copy_home(home_of_a_held_run.home, settings.home)
    return settings


@pytest.fixture
def with_old_prices(settings: Settings, home_with_old_prices: Settings) -> Settings:
    copy_home(home_with_old_prices.home, settings.home)
    return settings


def newest(settings: Settings) -> RunRow:
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.newest_run()
    assert row is not None
    return row


def dated(book: dict[str, pl.DataFrame], day: date) -> dict[str, pl.DataFrame]:
    book["prices"] = book["prices"].with_columns(price_date=pl.lit(day.isoformat()))
    return book


def release(settings: Settings, row: RunRow) -> None:
    with closing(open_ledger(settings)) as ledger:
        ledger.runs.release_run(row.run_id, actor=current_actor(), note="looked", now=utc_now())


def held(row: RunRow) -> set[str]:
    assert row.state is RunState.HELD
    return set(row.held_guards)


def test_a_sound_night_is_not_held(sound_home: Settings) -> None:
    assert newest(sound_home).state is RunState.DONE


def test_stale_prices_hold_the_run(settings: Settings, night: Night) -> None:
    row = night(settings, sound_book(), date(2026, 1, 8))
    assert held(row) == {Guard.STALE_PRICES}
    assert (
        row.held_reason == "the newest price is dated 2026-01-05; needed 2026-01-07 or later. Yesterday's file again?"
    )


def test_the_close_before_is_admitted_unless_settings_say_otherwise(
    with_old_prices: Settings, night: Night, tmp_path: Path
) -> None:
    assert held(newest(with_old_prices)) == {Guard.STALE_PRICES}
    assert night(with_old_prices, sound_book(), NEXT).state is RunState.HELD  # the same run, still held
    other = with_old_prices.model_copy(update={"home": tmp_path / "other"})
    assert night(other, sound_book(), NEXT).state is RunState.DONE


def test_a_price_that_jumped_holds_the_run(after_a_sound_night: Settings, night: Night) -> None:
    row = night(after_a_sound_night, dated(spoilt("prices", 1, price_usd="145"), NEXT), NEXT)
    assert held(row) == {Guard.PRICE_MOVE}
    assert row.held_reason == "1 security held moved by more than 40%: STK from 101.25 to 145.00"


def test_the_price_of_what_nobody_holds_may_jump(after_a_sound_night: Settings, night: Night) -> None:
    assert night(after_a_sound_night, dated(spoilt("prices", 3, price_usd="900"), NEXT), NEXT).state is RunState.DONE


def test_accounts_and_lots_that_are_gone_hold_the_run(after_a_sound_night: Settings, night: Night) -> None:
    book = dated(sound_book(), NEXT)
    book = {
        table: rows.filter(pl.col("account_id").is_null() | (pl.col("account_id") != "A3"))
        if "account_id" in rows.columns
        else rows
        for table, rows in book.items()
    }
    row = night(after_a_sound_night, book, NEXT)
    assert held(row) == {Guard.MISSING_ACCOUNTS, Guard.SMALL_SNAPSHOT}
    assert row.held_reason == (
        "1 of the last night's 3 accounts are missing (33.3%); the limit is 5.0%\n"
        "3 lots came, 4 the last night (25.0% fewer); the limit is 20.0%"
    )


def test_too_many_orders_and_too_much_turnover_hold_the_run_before_anything_is_routed(
    settings: Settings, night: Night
) -> None:
    strict = settings.model_copy(update={"max_run_orders": 0, "max_run_turnover": 0.0})
    row = night(strict, sound_book())
    assert held(row) == {Guard.TURNOVER, Guard.ORDER_COUNT}
    with closing(open_ledger(strict)) as ledger:
        assert ledger.proposals.list_proposals(run_id=row.run_id).is_empty()


def test_a_release_covers_what_was_seen_and_not_what_comes_later(settings: Settings, night: Night) -> None:
    strict = settings.model_copy(update={"max_quarantined_fraction": 0.0, "max_run_orders": 0})
    broken = spoilt("lots", 4, quantity="1O0")
    row = night(strict, broken)
    assert held(row) == {Guard.QUARANTINE}
    release(strict, row)
    row = night(strict, broken)
    assert held(row) == {Guard.QUARANTINE, Guard.ORDER_COUNT}
    assert str(row.held_reason).startswith("the run would send ")
    release(strict, row)
    assert night(strict, broken).state is RunState.DONE


def test_the_kill_switch_holds_a_run_that_nobody_can_release_until_it_is_lifted(
    settings: Settings, night: Night
) -> None:
    with closing(open_ledger(settings)) as ledger:
        ledger.halts.halt(actor=current_actor(), note="market data looks wrong", now=utc_now())
    row = night(settings, sound_book())
    assert held(row) == {Guard.HALT}
    assert row.held_reason == f"{current_actor()} halted everything: market data looks wrong"
    with pytest.raises(RunHeld, match="market data looks wrong"):
        release(settings, row)
    with closing(open_ledger(settings)) as ledger:
        ledger.halts.lift_halt(actor=current_actor(), note="it was the screen", now=utc_now())
    release(settings, row)
    assert night(settings, sound_book()).state is RunState.DONE


def test_what_does_not_add_up_holds_the_run(with_old_prices: Settings) -> None:
    row = newest(with_old_prices)
    release(with_old_prices, row)
    with use_settings(with_old_prices), open_stores() as at:
        run = find_pulled_run(row.run_id)
        assert run is not None
        offenders = pl.DataFrame({"account_id": ["A0000017"], "order_id": ["o1"]})
        with pytest.raises(ConservationBroken), note_failure(at.ledger.runs, run):
            need_none("sell orders whose lots do not sum to them", offenders)
        told = [event.detail for event in at.ledger.audit.audit_rows(run_id=row.run_id) if event.event == "run_held"]
    row = newest(with_old_prices)
    assert row.state is RunState.HELD
    assert Guard.CONSERVATION in row.held_guards
    assert "A0000017" in told[-1]
    assert str(row.held_reason).startswith("1 sell orders whose lots do not sum to them")
    assert "A0000017" not in held_page(row), "Prefect's database holds no account"


def test_a_run_that_is_carried_on_is_the_one_that_was_pulled(with_a_held_run: Settings) -> None:
    row = newest(with_a_held_run)
    assert held(row) == {Guard.ORDER_COUNT}
    with use_settings(with_a_held_run):
        assert find_pulled_run(row.run_id) == RunRef(row.run_id, AS_OF, row.kind, row.shard_count)
        assert find_pulled_run("2026-01-05-nightly-000000000000") is None


def test_a_held_run_whose_night_was_run_again_is_not_carried_on(with_a_held_run: Settings, night: Night) -> None:
    row = newest(with_a_held_run)
    newer = night(with_a_held_run, spoilt("prices", 1, price_usd="103"))
    assert newer.state is RunState.DONE
    with pytest.raises(WrongUsage, match=f"run {row.run_id} is replaced by {newer.run_id}"):
        resume_night(with_a_held_run, row.run_id, actor=current_actor(), note="looked")
    with closing(open_ledger(with_a_held_run)) as ledger:
        assert getattr(ledger.runs.get_run(row.run_id), "state", None) is RunState.HELD


def test_every_guard_says_where_to_look(home_of_a_held_run: Settings) -> None:
    assert set(LOOK) == set(Guard)
    row = newest(home_of_a_held_run)
    page = held_page(row)
    assert f"# {row.run_id} is held" in page
    assert str(row.held_reason) in page
    assert f"trimtab resume {row.run_id} --note WHY" in page


def test_guards_are_tasks_of_the_night() -> None:
    assert {guard_inputs_task.name, guard_trades_task.name} == {"guard_inputs", "guard_trades"}


def test_lots_that_are_nobodys_hold_the_run(settings: Settings, night: Night) -> None:
    book = sound_book()
    book["lots"] = book["lots"].with_columns(account_id=pl.lit("GHOST"))
    row = night(settings, book)
    assert held(row) == {Guard.QUARANTINE}
    assert row.held_reason == "4 of 4 lots name no account that was delivered (100.0%); the limit is 5.0%"


def test_what_caused_it_is_said_before_what_it_cost(settings: Settings, night: Night) -> None:
    book = spoilt("lots", 4, quantity="-5")
    book["prices"] = spoilt("prices", 1, price_usd="x")["prices"]
    row = night(settings, book)
    assert held(row) == {Guard.QUARANTINE}
    assert str(row.held_reason).splitlines() == [
        (
            "prices.csv row 1 (price_usd_readable) cost 2 accounts; "
            "rows of their own cost 1 account (quantity_not_negative 1)."
        ),
        "3 of 3 accounts are quarantined (100.0%); the limit is 5.0%",
    ]
    page = held_page(row)
    assert page.index("prices.csv row 1") < page.index("3 of 3 accounts")
    assert not {"A1", "A2", "A3"} & set(page.split()), "Prefect's database holds no account"


def test_a_small_book_is_not_held_for_one_account_however_many_lots_it_has(settings: Settings, night: Night) -> None:
    lenient = settings.model_copy(update={"guard_min_accounts": 1})
    assert night(lenient, spoilt("lots", 1, quantity="1O0")).state is RunState.DONE
