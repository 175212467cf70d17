"""The corporate actions of a night: those that it was told of, those that it remembers, and splits that its whole book shows."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import polars as pl

from schemas.landing import dtypes
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.stored import INTERNAL
from tasks.core.gate import (
    LAG_DAYS,
    Actions,
    History,
    carry_history,
    check_actions,
    holdings_of_both,
    in_current_terms,
    infer_splits,
    known_actions,
    remembered,
)
from tasks.runtime import Stores
from warehouse.lake import Lake
from warehouse.ledger import RunRow

_TABLE: Final = "landed_corporate_actions"
_LOT: Final = tuple(INTERNAL["carried_lots"])
_TRADE: Final = ("account_id", "security_id", "trade_date", "side", "quantity", "price_usd")


def actions_of(lake: Lake, run: RunRef | RunRow) -> Actions:
    """The actions that a run knows of."""
    told, before = _told(lake, run.run_id), lake.read("remembered_actions", run.run_id, GLOBAL_SHARD)
    none = pl.Series("security_id", [], dtype=pl.String)
    securities = (
        lake.read("landed_securities", run.run_id, GLOBAL_SHARD, ("security_id",))["security_id"].drop_nulls()
        if told.height or before.height
        else none
    )
    return known_actions(told, before, securities, run.as_of_date)


def remembered_actions(lake: Lake, last: RunRow | None) -> pl.DataFrame:
    """The table of that name of the night after ``last``."""
    if last is None:
        return pl.DataFrame(schema=INTERNAL["remembered_actions"])
    return remembered(_told(lake, last.run_id), lake.read("remembered_actions", last.run_id, GLOBAL_SHARD))


def agreed_splits(at: Stores, run: RunRef, last: RunRow, history: History, prices: pl.DataFrame) -> pl.DataFrame:
    """``SPLITS`` that nobody told of, as every holder of the run's book shows them.

    Parameters
    ----------
    at, run
        Stores, and the run of the book.
    last
        The night before.
    history
        Its prices, in tonight's terms.
    prices
        ``security_id, price_usd`` of tonight, of the securities in question.
    """
    actions = actions_of(at.lake, run)
    sought = prices["security_id"]
    old = actions.effective.filter(pl.col("new_security_id").is_in(sought.implode()))["security_id"]
    then = at.lake.rows_of_securities("landed_lots", last.run_id, pl.concat([sought, old]), _LOT)
    since = history_at(then, last)
    now = in_current_terms(
        {
            "lots": at.lake.rows_of_securities("landed_lots", run.run_id, pl.concat([sought, old]), _LOT),
            "trades": at.lake.rows_of_securities("landed_trades", run.run_id, pl.concat([sought, old]), _TRADE),
        },
        actions,
    )
    first = last.as_of_date - timedelta(days=LAG_DAYS)
    trades = now["trades"].filter(pl.col("trade_date").is_between(first, run.as_of_date))
    held = holdings_of_both(now["lots"], carry_history(since, actions).lots, trades)
    both = prices.join(history.prices.rename({"price_usd": "price_then_usd"}), on="security_id")
    return infer_splits(held.join(both, on="security_id", how="semi"), both)


def prices_then(at: Stores, run: RunRef, last: RunRow) -> History:
    """The prices of the night before, in tonight's identifiers and shares; a history of no account."""
    empty = history_at(pl.DataFrame(schema={name: dtypes("lots")[name] for name in _LOT}), last)
    history = replace(empty, prices=prices_of(at.lake, last.run_id))
    return carry_history(history, actions_of(at.lake, run))


def prices_of(lake: Lake, run_id: str) -> pl.DataFrame:
    """``security_id, price_usd`` that a night's gate accepted."""
    prices = lake.read("landed_prices", run_id, GLOBAL_SHARD, ("security_id", "price_usd", "row_number"))
    broken = lake.read("quarantine", run_id, GLOBAL_SHARD, ("table_name", "landed_row"))
    lost = broken.filter(pl.col("table_name") == "prices")
    good = prices.join(lost, left_on="row_number", right_on="landed_row", how="anti")
    return good.select("security_id", "price_usd")


def history_at(lots: pl.DataFrame, last: RunRow) -> History:
    """Some lots of a night, as if each account had been accepted on it."""
    accounts = lots.select("account_id").drop_nulls().unique()
    return History(
        lots=lots,
        cash=pl.DataFrame(schema=dtypes("cash")),
        accepted=accounts.with_columns(accepted_date=pl.lit(last.as_of_date)),
        prices=pl.DataFrame(schema={name: dtypes("prices")[name] for name in ("security_id", "price_usd")}),
        priced_date=last.as_of_date,
    )


def _told(lake: Lake, run_id: str) -> pl.DataFrame:
    rows = lake.read(_TABLE, run_id, GLOBAL_SHARD)
    good = check_actions(rows).good if rows.height else rows
    return good.select(dtypes("corporate_actions").keys())
