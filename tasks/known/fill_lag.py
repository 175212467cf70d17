"""Which fills the holdings of a run do not show: of its orders, and of others, there may be news since it was pulled."""

from collections.abc import Collection
from datetime import timedelta

import polars as pl

from schemas.stored import INTERNAL
from tasks.core.gate import in_current_terms
from tasks.core.reconcile import DAYS, missing, to_show, unshown, waiting
from tasks.known.corporate_actions import actions_of
from tasks.known.open_orders import known_orders
from tasks.runtime import Stores
from warehouse.lake import Lake
from warehouse.ledger import Ledger, RunRow, Runs

LOTS = ("account_id", "security_id", "quantity")
TRADES = ("account_id", "security_id", "side", "trade_date", "quantity", "price_usd")


def unshown_fills(at: Stores, run: RunRow, accounts: pl.Series) -> pl.DataFrame:
    """What holdings lack of what is known now to be filled: ``tasks.core.reconcile.unshown_fills.MISSING``; ``accounts`` as of ``fills_behind``."""
    told = at.ledger.fills.orders_told_since(run.started_at)
    before = at.lake.read("unshown_fills", run.run_id)["order_id"]
    return missing(fills_behind(at.lake, at.ledger, run, accounts, {*told, *before}))


def behind_since(lake: Lake, ledger: Ledger, run: RunRow, accounts: pl.Series) -> pl.DataFrame:
    """``account_id, waiting_reason`` of accounts of which a fill was told since the run was pulled that its holdings do not show.

    What it proposed for them is drift of before that fill. Arguments as of ``fills_behind``.
    """
    return waiting(fills_behind(lake, ledger, run, accounts, ledger.fills.orders_told_since(run.started_at)))


def fills_behind(lake: Lake, ledger: Ledger, run: RunRow, accounts: pl.Series, sought: Collection[str]) -> pl.DataFrame:
    """Rows as of the table ``unshown_fills``: what is known now to be filled and the run's holdings do not show.

    Parameters
    ----------
    lake, ledger
        Where orders and holdings are, and what is known of orders.
    run
        The run that landed the holdings. Its own orders count too: they left after it was pulled.
    accounts
        Accounts that passed the run's gate; the others have no rows.
    sought
        Orders to be looked for; the others are known to be shown.
    """
    nothing = pl.DataFrame(schema=INTERNAL["unshown_fills"])
    if not sought:
        return nothing
    sent = ledger.answers.sent_orders(sought).filter(pl.col("account_id").is_in(accounts.implode()))
    span = timedelta(days=DAYS)
    live = ledger.exports.live_proposals("", run.as_of_date - span, run.as_of_date + span, run.started_at)
    theirs = live.filter(pl.col("export_id").is_not_null()).join(sent, on="account_id", how="semi")
    if theirs.is_empty():
        return nothing
    known = known_orders(lake, ledger.amendments, ledger.answers, theirs.with_columns(is_sent=pl.lit(value=True)))
    wanted = known.filter(pl.col("order_id").is_in(list(sought)))
    fills = to_show(known, holdings_then(lake, ledger.runs, wanted), wanted["order_id"])
    fills = in_current_terms({"fills_to_show": fills}, actions_of(lake, run))["fills_to_show"]
    owners = fills["account_id"].unique()
    lots = _landed_rows(lake, "lots", run, owners, LOTS)
    return unshown(fills, lots, _landed_rows(lake, "trades", run, owners, TRADES))


def holdings_then(lake: Lake, runs: Runs, orders: pl.DataFrame) -> pl.DataFrame:
    """What the accounts of filled orders held in the orders' own runs: ``run_id, account_id, security_id, quantity``, lot by lot."""
    parts = [pl.DataFrame(schema={"run_id": pl.String(), **{name: INTERNAL["landed_lots"][name] for name in LOTS}})]
    for (name,), some in orders.filter(pl.col("filled_quantity") > 0).sort("run_id").group_by("run_id"):
        run = runs.get_run(str(name))
        if run is not None:
            held = _landed_rows(lake, "lots", run, some["account_id"].unique(), LOTS)
            parts.append(held.select(pl.lit(name).alias("run_id"), *LOTS))
    return pl.concat(parts)


def _landed_rows(lake: Lake, table: str, run: RunRow, accounts: pl.Series, columns: tuple[str, ...]) -> pl.DataFrame:
    """Rows in the identifiers and shares of their own night."""
    read = (*columns, "acquired_date") if table == "lots" else columns
    rows = lake.rows_of(f"landed_{table}", run.run_id, range(run.shard_count or 0), accounts, read)
    return in_current_terms({table: rows}, actions_of(lake, run))[table].select(columns)
