"""The record of accounts in the lake: of a night that several runs have said, the newest counts.

``runs`` are the runs to look into, the newest last.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from schemas.stored import TABLES
from schemas.tables import RUN_COLUMNS
from warehouse.lake.lake import Lake


def last_performance(lake: Lake, runs: Sequence[str], accounts: pl.Series, before: date) -> pl.DataFrame:
    """Where the newest rows of some accounts are: ``account_id, run_id, shard, night_date``; of nights before a date.

    An account of which none of the runs has a row has none here.
    """
    return lake.rows_found("last_performance", _frames(runs, accounts), night=before.isoformat())


def flows_before(lake: Lake, runs: Sequence[str], accounts: pl.Series, before: date) -> pl.DataFrame:
    """``account_id, night_date, flow_date, flow_usd`` that count for some accounts, of nights before a date."""
    return lake.rows_found("flows_before", _frames(runs, accounts), night=before.isoformat())


def record_rows(
    lake: Lake, table: str, runs: Sequence[str], accounts: pl.Series, nights: tuple[date, date]
) -> pl.DataFrame:
    """Rows of ``performance``, ``attribution`` or ``twins`` of some accounts, of nights from the first date to the last; without the run columns."""
    first, last = (night.isoformat() for night in nights)
    rows = lake.rows_found(f"{table}_rows", _frames(runs, accounts), first=first, last=last)
    return rows.select(pl.col(name).cast(dtype) for name, dtype in TABLES[table].items() if name not in RUN_COLUMNS)


def accounts_of(
    lake: Lake, runs: Sequence[str], *, model_id: str | None = None, household_id: str | None = None
) -> pl.Series:
    """Accounts that have been of a model, or of a household, on any night."""
    frames = {"runs": _frames(runs, pl.Series([], dtype=pl.String))["runs"]}
    return lake.rows_found("accounts_of", frames, model_id=model_id, household_id=household_id)["account_id"]


def _frames(runs: Sequence[str], accounts: pl.Series) -> dict[str, pl.DataFrame]:
    places = pl.DataFrame({"run_id": runs, "place": range(len(runs))}, schema={"run_id": pl.String, "place": pl.Int64})
    return {"runs": places, "wanted": accounts.to_frame("account_id")}
