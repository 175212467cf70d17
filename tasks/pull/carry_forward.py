"""Accounts whose custodian's file has not come: what stands of them is what the newest run that looked at them knew.

Runs of the night itself count too: late files may have been there before they were taken away, or broken.
"""

from datetime import timedelta
from typing import Final

import polars as pl

from schemas.landing import dtypes
from schemas.sources import Source
from schemas.stored import LANDED_COLUMNS
from tasks.formats import load_format
from tasks.known import runs_from
from tasks.pull.land import Landing
from tasks.runtime import Stores
from warehouse.ledger import NewRun, RunRow

REMEMBERED: Final = ("accounts", "trades", "restrictions")
"""What stands of an account while its custodian's file has not come."""


def tables_of(source: Source) -> tuple[str, ...]:
    """Tables that a source of custodians is to deliver: those it names, or else all of its format."""
    return source.tables or (tuple(load_format(source.format).tables) if source.format else ())


def remembered(landing: Landing, accounts: pl.DataFrame, run: NewRun, at: Stores) -> list[tuple[str, pl.DataFrame]]:
    """Landed rows of accounts that wait, by table.

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
    runs = {row.run_id: row for row in _runs_before(run, at)}
    if not runs or not custodians:
        return []
    tables = {table for each in landing.taken.absent for table in tables_of(each.source)}
    known = at.lake.last_known(list(runs))
    strangers = known.join(accounts, on="account_id", how="anti").filter(
        pl.col("custodian").is_in(custodians) & pl.lit("accounts" in tables)
    )
    delivered = accounts.filter(pl.col("custodian").is_in(custodians))
    waiting = known.join(delivered, on="account_id", how="semi")
    found: list[tuple[str, pl.DataFrame]] = []
    for table in (name for name in REMEMBERED if name in tables):
        whose = strangers if table == "accounts" else pl.concat([waiting, strangers])
        for (run_id,), some in whose.sort("run_id").group_by("run_id", maintain_order=True):
            rows = _rows(table, str(run_id), some, at)
            if rows.height:
                found.append((table, landing.remembered(table, rows, runs[str(run_id)].as_of_date)))
    return found


def _runs_before(run: NewRun, at: Stores) -> list[RunRow]:
    """Those done since the last night over all accounts; on the first night, since that of the night itself."""
    first = at.ledger.latest_full_run(run.as_of_date) or at.ledger.full_run_of(run.as_of_date)
    if first is None:
        return []
    return [row for row in runs_from(at, first, run.as_of_date + timedelta(days=1)) if row.run_id != run.run_id]


def _rows(table: str, run_id: str, whose: pl.DataFrame, at: Stores) -> pl.DataFrame:
    shards = whose["shard"].unique().sort().to_list()
    columns = (*dtypes(table), *LANDED_COLUMNS)
    rows = at.lake.rows_of(f"landed_{table}", run_id, shards, whose["account_id"], columns).sort("row_number")
    return rows.unique("account_id", keep="first", maintain_order=True) if table == "accounts" else rows
