"""The corporate actions of a night: those that it was told of, those that it remembers, and splits that its whole book shows."""

from dataclasses import replace
from datetime import timedelta
from typing import Final
from weakref import WeakKeyDictionary

import polars as pl

from schemas.landing_columns import dtypes
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
    is_price_late,
    known_actions,
    remembered,
)
from tasks.runtime import Stores
from warehouse.lake import Lake
from warehouse.ledger import RunRow

_TABLE: Final = "landed_corporate_actions"
_KEY: Final = ("security_id", "effective_date")
_LOT: Final = tuple(INTERNAL["carried_lots"])
_TRADE: Final = ("account_id", "security_id", "trade_date", "side", "quantity", "price_usd")


_asked: Final[WeakKeyDictionary[Lake, dict[str, Actions]]] = WeakKeyDictionary()


def actions_of(lake: Lake, run: RunRef | RunRow) -> Actions:
    """The actions that a run knows of. Read once by each ``lake``: a step opens one, and what its run landed stays as it is."""
    known = _asked.setdefault(lake, {})
    if run.run_id not in known:
        known[run.run_id] = _read_actions(lake, run)
    return known[run.run_id]


def _read_actions(lake: Lake, run: RunRef | RunRow) -> Actions:
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
    both = prices.join(history.prices.select("security_id", price_then_usd="price_usd"), on="security_id")
    return infer_splits(held.join(both, on="security_id", how="semi"), both)


def prices_then(at: Stores, run: RunRef, last: RunRow) -> History:
    """The prices of the night before, in tonight's identifiers and shares; a history of no account."""
    actions = actions_of(at.lake, run)
    empty = history_at(pl.DataFrame(schema={name: dtypes("lots")[name] for name in _LOT}), last)
    history = replace(empty, prices=prices_of(at.lake, last.run_id), late=late_before(at.lake, run, last, actions))
    return carry_history(history, actions)


def late_prices(at: Stores, run: RunRef, last: RunRow) -> pl.DataFrame:
    """The table of that name: securities whose price tonight is still in shares of before a split."""
    now = _prices_landed(at.lake, run)
    both = now.join(prices_then(at, run, last).prices.rename({"price_usd": "then_usd"}), on="security_id")
    late = both.filter(is_price_late(pl.col("price_usd"), pl.col("then_usd"), pl.col("unsplit_usd")))
    splits = _splits_told(actions_of(at.lake, run))
    before = late_before(at.lake, run, last, actions_of(at.lake, run))
    is_open = (pl.col("effective_date") > last.as_of_date) | pl.col("is_late")
    known = splits.join(before.with_columns(is_late=pl.lit(value=True)), on=_KEY, how="left")
    return known.filter(is_open).join(late, on="security_id", how="semi").select(_KEY).sort(_KEY)


def late_before(lake: Lake, run: RunRef, last: RunRow, actions: Actions) -> pl.DataFrame:
    """Prices of the last night in shares of before a split, as ``History.late``.

    It knew that of splits that it was told of. Of one that was told since, tonight's price says it.
    """
    stored = lake.read("late_prices", last.run_id, GLOBAL_SHARD).with_columns(is_told_since=pl.lit(value=False))
    known = pl.concat([lake.read(table, last.run_id, GLOBAL_SHARD, _KEY) for table in (_TABLE, "remembered_actions")])
    fresh = _splits_told(actions).filter(pl.col("effective_date") <= last.as_of_date).join(known, on=_KEY, how="anti")
    if fresh.is_empty():
        return stored
    then = prices_of(lake, last.run_id).rename({"price_usd": "then_usd"})
    both = fresh.join(then, on="security_id").join(_prices_landed(lake, run), on="security_id")
    unsplit = pl.col("price_usd").cast(pl.Float64) * pl.col("ratio")
    late = both.filter(is_price_late(pl.col("then_usd"), pl.col("price_usd"), unsplit))
    return pl.concat([stored, late.select(*_KEY, is_told_since=pl.lit(value=True))]).sort(_KEY)


def _splits_told(actions: Actions) -> pl.DataFrame:
    """``security_id, effective_date, ratio`` of splits of tonight and before."""
    is_split = pl.col("new_security_id").is_null() & (pl.col("ratio") > 0)
    return actions.effective.filter(is_split).select(*_KEY, "ratio")


def _prices_landed(lake: Lake, run: RunRef) -> pl.DataFrame:
    prices = lake.read("landed_prices", run.run_id, GLOBAL_SHARD, ("security_id", "price_usd"))
    return prices.drop_nulls().unique("security_id", keep="none")


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
