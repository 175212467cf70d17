"""Accounts whose custodian's file has not come, or could not be used.

1. What stands of such an account is carried forward from the newest run that looked at it. Runs of the night itself count too:
   late files may have been there before they were taken away, or broken.
2. Such an account waits: it is landed, and not traded.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import polars as pl

from schemas.enums import Reason
from schemas.landing_columns import dtypes
from schemas.sources import Source
from schemas.stored import LANDED_COLUMNS
from tasks.formats import load_format
from tasks.known import runs_from
from tasks.pull.inputs import TakenFiles
from tasks.pull.landing import Landing
from tasks.runtime import Stores
from warehouse.ledger import NewRun, RunRow

CARRIED_TABLES: Final = ("accounts", "trades", "restrictions")
"""What stands of an account while its custodian's file has not come."""
HOLDINGS: Final = ("lots", "cash")
"""Tables without which an account's value is not known."""


def tables_due(source: Source) -> tuple[str, ...]:
    """Tables that a source of custodians is to deliver: those it names, or else all of its format."""
    return source.tables or (tuple(load_format(source.format).tables) if source.format else ())


def carry_forward(landing: Landing, accounts: pl.DataFrame, run: NewRun, at: Stores) -> list[tuple[str, pl.DataFrame]]:
    """Rows that earlier runs landed of accounts that wait, by table.

    Parameters
    ----------
    landing
        Numbers the rows, and notes where they are from.
    accounts
        Tonight's, as far as they were delivered.
    run
        The run that is pulled.
    at
        Ledger and lake.
    """
    custodians = list(landing.taken.waiting)
    runs = {row.run_id: row for row in _earlier_runs(run, at)}
    if not runs or not custodians:
        return []
    tables = {table for each in landing.taken.absent for table in tables_due(each.source)}
    known = at.lake.last_known(list(runs))
    absent = known.join(accounts, on="account_id", how="anti").filter(
        pl.col("custodian").is_in(custodians) & pl.lit("accounts" in tables)
    )
    delivered = accounts.filter(pl.col("custodian").is_in(custodians))
    waiting = known.join(delivered, on="account_id", how="semi")
    found: list[tuple[str, pl.DataFrame]] = []
    for table in (name for name in CARRIED_TABLES if name in tables):
        whose = absent if table == "accounts" else pl.concat([waiting, absent])
        for (run_id,), some in whose.sort("run_id").group_by("run_id", maintain_order=True):
            rows = _rows_of(table, str(run_id), some, at)
            if rows.height:
                found.append((table, landing.carry_forward(table, rows, runs[str(run_id)].as_of_date)))
    return found


def _earlier_runs(run: NewRun, at: Stores) -> list[RunRow]:
    """Those done since the last night over all accounts; on the first night, since that of the night itself."""
    first = at.ledger.runs.latest_full_run(run.as_of_date) or at.ledger.runs.full_run_of(run.as_of_date)
    if first is None:
        return []
    return [row for row in runs_from(at, first, run.as_of_date + timedelta(days=1)) if row.run_id != run.run_id]


def _rows_of(table: str, run_id: str, whose: pl.DataFrame, at: Stores) -> pl.DataFrame:
    shards = whose["shard"].unique().sort().to_list()
    columns = (*dtypes(table), *LANDED_COLUMNS)
    rows = at.lake.rows_of(f"landed_{table}", run_id, shards, whose["account_id"], columns).sort("row_number")
    return rows.unique("account_id", keep="first", maintain_order=True) if table == "accounts" else rows


def waiting_accounts(taken: TakenFiles, accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id, reason`` of each account whose custodian's file has not come or could not be used.

    Where one has not, an account waits too whose lots or cash only custodians' sources deliver, none of them for its own.
    """
    reasons = {
        custodian: str(Reason.FILE_REFUSED if each.is_refused else Reason.AWAITING_FILE)
        for custodian, each in taken.waiting.items()
    }
    is_unserved = [~pl.col("custodian").is_in(served) for served in _custodians_served(taken)]
    is_waiting = pl.any_horizontal(pl.col("custodian").is_in(list(reasons)), *is_unserved)
    waiting = accounts.drop_nulls("account_id").filter(is_waiting)
    reason = pl.col("custodian").replace_strict(reasons, default=str(Reason.AWAITING_FILE), return_dtype=pl.String)
    return waiting.select("account_id", reason=reason).unique("account_id", keep="first", maintain_order=True)


def _custodians_served(taken: TakenFiles) -> Iterator[list[str]]:
    """Of lots and cash, where custodians' sources alone deliver them and one did not: the custodians that have such a source."""
    late = {table for each in taken.absent for table in tables_due(each.source)}
    for table in HOLDINGS:
        if table in late and all(each.source.custodians for each in taken.of(table)):
            yield [name for source in taken.sources if table in tables_due(source) for name in source.custodians]
