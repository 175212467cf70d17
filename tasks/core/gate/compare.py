"""The rules that compare tonight's rows with the night before, and the rows that a person let through all the same."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import polars as pl

from schemas.landing_columns import dtypes
from tasks.core.gate.basis import changed_bases
from tasks.core.gate.cash import unexplained_cash
from tasks.core.gate.history import HOLDING, RELEASABLE, Comparison, History, compare
from tasks.core.gate.holdings import HoldingChange, changed_lots, holdings, unexplained_changes
from tasks.core.gate.rows import Checked
from tasks.core.gate.totals import valued_accounts

_COMPARED = ("accounts", "lots", "cash", "trades", "flows")


def with_history(
    checked: Mapping[str, Checked], accounts: pl.DataFrame, prices: pl.DataFrame, history: History, as_of: date
) -> tuple[dict[str, Checked], int]:
    """The tables with the rules broken against the night before; and how many holdings changed without a cause, too little to ask about.

    Parameters
    ----------
    checked
        Every table of the accounts; ``account_totals`` with what does not come to them.
    accounts
        ``account_id`` of those to be compared: delivered, with sound lots, cash and trades.
    prices
        ``security_id, price_usd, price_factor, is_cash`` that the gate accepted.
    history
        The night before.
    as_of
        The night's date.
    """
    tonight = {table: _rows(checked, table) for table in _COMPARED}
    comparison = compare(tonight, accounts, prices, history, as_of)
    lots = changed_lots(comparison)
    found = holdings(lots, comparison)
    of_lots, of_accounts = _rows_of(unexplained_changes(found), lots, comparison)
    broken = {
        "lots": [of_lots, changed_bases(lots, found, comparison)],
        "accounts": [of_accounts],
        "cash": [unexplained_cash(comparison, valued_accounts(checked))],
    }
    small = found.filter(pl.col("change") == HoldingChange.SMALL).height
    return {table: each.with_broken(*broken.get(table, [])) for table, each in checked.items()}, small


def _rows(checked: Mapping[str, Checked], table: str) -> pl.DataFrame:
    """The rows of a table that may be absent; of flows, which need not be sound, those that are."""
    if table not in checked:
        return pl.DataFrame(schema={**dtypes(table), "row_number": pl.Int64})
    return checked[table].good if table == "flows" else checked[table].rows


def _rows_of(rules: pl.DataFrame, lots: pl.DataFrame, comparison: Comparison) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rules of holdings as those of tonight's lots, and of the account where no lot is left."""
    rows = lots.filter(pl.col("row_number").is_not_null()).select(*HOLDING, "row_number")
    without_lots = rules.filter(pl.col("lot_count") == 0)
    accounts = comparison.tonight["accounts"].select("account_id", "row_number")
    of_lots, of_accounts = rules.join(rows, on=HOLDING), without_lots.join(accounts, on="account_id")
    columns = ("row_number", "rule", "sentence")
    return of_lots.select(columns), of_accounts.select(columns)


def is_let_through(released: pl.Series | frozenset[str]) -> pl.Expr:
    """Quarantine rows that a person released and that broke only rules that may be waved through."""
    named = pl.Series("released", list(released), dtype=pl.String)
    only_releasable = pl.col("broken_rules").str.split("|").list.set_difference(sorted(RELEASABLE)).list.len() == 0
    return pl.col("quarantine_id").is_in(named.implode()) & only_releasable


def without(checked: Checked, released: pl.DataFrame) -> Checked:
    """The rows without what those released had broken."""
    rows = released.filter(pl.col("table_name") == checked.table).select(row_number="landed_row")
    return replace(checked, broken=checked.broken.join(rows, on="row_number", how="anti"))
