"""What a pull lands beside the tables themselves: who is looked at, and what other runs have under way."""

from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tasks.pull.pull import pull_task
from tasks.pull.request import Request
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import open_ledger, utc_now
from tests.support.landing_book import rows_of, sound_book, write_book
from tests.support.ledger_book import proposed
from warehouse.lake.lake import open_lake

AS_OF = date(2026, 1, 5)
NEXT_SESSION = date(2026, 1, 6)
ORDERS = """
    order_id | account_id | security_id | side | quantity
    1        | A1         | STK         | sell | 2
    2        | A2         | STK         | sell | 3
    3        | A2         | BND         | buy  | 1.5
    4        | A3         | BND         | sell | 1
"""
Pull = Callable[..., RunRef]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def pulled(settings: Settings, tmp_path: Path) -> Pull:
    """Lands the sound book, for some accounts or all; A1 and A2 share the household H1, managed together or not."""

    def run(*scope: str, is_managed: bool = False, day: int = 5) -> RunRef:
        book = sound_book()
        if not is_managed:
            del book["households"]
        source = tmp_path / ("together" if is_managed else "apart")
        source.mkdir(exist_ok=True)
        write_book(source, book, "csv")
        with use_settings(settings):
            night = date(2026, 1, day)
            return pull_task.fn(
                Request(settings.sources_of(night, [str(source)]), night, RunKind.MANUAL, "prefect", scope)
            )

    return run


def proposals_made(settings: Settings, run: RunRef) -> None:
    """The run's proposals of A1, A2 and A3, routed; the sale of A2 is at a loss."""
    orders = rows_of(ORDERS).with_columns(
        pl.col("quantity").cast(pl.Decimal(18, 6)), proposal_id=run.run_id + "." + pl.col("account_id")
    )
    relief = pl.DataFrame({"order_id": ["1", "2"], "gain_usd": [5.0, -5.0]}).cast({"gain_usd": pl.Decimal(38, 6)})
    frames = {
        name: pl.concat([pl.DataFrame(schema=PUBLIC[name]), rows], how="diagonal")
        for name, rows in {"orders": orders, "lot_relief": relief}.items()
    }
    open_lake(settings).replace(run, 0, frames)
    accounts = ["A1", "A2", "A3"]
    with closing(open_ledger(settings)) as ledger:
        ledger.proposals.route_proposals(run.run_id, proposed(run.run_id, accounts), pl.Series(accounts), utc_now())


def read(settings: Settings, run: RunRef, table: str) -> pl.DataFrame:
    found = open_lake(settings).read(table, run.run_id)
    return found.sort(found.columns)


def test_the_rest_of_a_household_is_looked_at_only_where_it_is_managed_together(
    settings: Settings, pulled: Pull
) -> None:
    for is_managed, scope in ((False, ["A1"]), (True, ["A1", "A2"])):
        run = pulled("A1", is_managed=is_managed)
        assert read(settings, run, "scope")["account_id"].to_list() == scope
        assert set(read(settings, run, "landed_accounts")["account_id"]) == {"A1", "A2"}


def test_orders_of_other_runs_for_the_rest_of_a_household_are_pending(settings: Settings, pulled: Pull) -> None:
    first = pulled()
    assert read(settings, first, "pending_orders").is_empty()
    proposals_made(settings, first)
    run = pulled("A1", day=7)
    found = read(settings, run, "pending_orders")
    assert found.select("account_id", "security_id", "side", "trade_date", "is_loss").rows() == [
        ("A2", "BND", "buy", NEXT_SESSION, False),
        ("A2", "STK", "sell", NEXT_SESSION, True),
    ]


def test_orders_that_a_run_replaces_its_own_and_old_ones_are_not_pending(settings: Settings, pulled: Pull) -> None:
    first = pulled("A1")
    proposals_made(settings, first)
    assert read(settings, pulled("A1", "A2"), "pending_orders").is_empty()
    with use_settings(settings):
        night, folder = date(2026, 3, 7), settings.home.parent / "apart"
        late = Request(settings.sources_of(night, [str(folder)]), night, RunKind.MANUAL, "prefect", ("A1",))
        assert read(settings, pull_task.fn(late), "pending_orders").is_empty()


def test_what_was_pending_when_a_run_was_pulled_stays_as_it_was(settings: Settings, pulled: Pull) -> None:
    proposals_made(settings, pulled())
    run = pulled("A1", day=7)
    before = read(settings, run, "pending_orders")
    with closing(open_ledger(settings)) as ledger:
        assert ledger.proposals.expire(utc_now() + timedelta(days=2)) == 3
    assert pulled("A1", day=7) == run
    assert read(settings, run, "pending_orders").equals(before)
