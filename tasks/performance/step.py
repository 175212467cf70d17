"""Performance: what every account of a shard has earned, what its model would have, and why they differ.

A step of its own, after the run is closed: nothing of it decides a trade, and where it fails the night's proposals stand. It is done again, or caught up by the
next night.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, TypeAlias

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import LandingTable, Step
from schemas.landing_columns import dtypes
from schemas.run import RunRef
from schemas.tables import USD
from tasks.core.facts import Facts
from tasks.core.gate import accepted_rows
from tasks.core.performance import Night, NightTerms, first_rows, joined_nights, next_rows, night_of
from tasks.known import facts as read_facts
from tasks.performance.before import RECORD, NightRecord, nights_before, table_columns
from tasks.performance.nights import nights_to_do, recorded_nights
from tasks.performance.twins import TWINS, TwinNight, twin_tables
from tasks.pull import run_ref
from tasks.runtime import Stores, open_stores, retry_quietly, timed_step
from warehouse.ledger import InputState, RunRow

FoundNight: TypeAlias = tuple[RunRow, Night, list[Facts]]
"""A run, its night, and the facts of its shards."""
MOVED: Final = pl.DataFrame(
    schema={"account_id": pl.String, "moved_usd": USD, "own_tax_usd": pl.Float64, "own_cost_usd": pl.Float64}
)
SPLITS: Final = pl.DataFrame(schema={"account_id": pl.String, "security_id": pl.String, "ratio": pl.Float64})
_TAKEN: Final = {InputState.READ, InputState.COPIED}


@task(name="performance", cache_policy=NO_CACHE, task_run_name="performance-{shard}", **retry_quietly)
def performance_task(run: RunRef, shard: int) -> None:
    """Write ``performance`` and ``attribution`` of one shard, and what the next night needs of it."""
    with open_stores() as at, timed_step(at.ledger.locks, at.ledger.runs, run, Step.PERFORMANCE, shard) as step:
        step.rows = performance_shard(at, run, shard)


def performance_shard(at: Stores, run: RunRef, shard: int) -> int:
    """What ``performance_task`` does, on stores that are open; the rows written of accounts and nights."""
    known = recorded_nights(at.ledger.runs, run)
    record = NightRecord(at, known, run, {})
    accounts = at.lake.read("scope", run.run_id, shard)["account_id"]
    for day in nights_to_do(at.ledger.runs, known, run):
        for night_run, night, facts in nights_on(record, day, shard, accounts):
            record.add(night_rows(record, night_run, night, facts))
    empty = {name: pl.DataFrame(schema=table_columns(name)) for name in RECORD}
    tables = empty | record.tables()
    at.lake.replace(run, shard, tables)
    return tables["performance"].height


def nights_on(record: NightRecord, day: date, shard: int, accounts: pl.Series) -> Iterator[FoundNight]:
    """The night of a date for the accounts of a shard: by the run itself where it is its own, else by the runs that accepted them then."""
    run, lake = record.run, record.at.lake
    if day == run.as_of_date:
        own = next(row for row in record.known.rows if row.run_id == run.run_id)
        yield own, *_night(record, own, [shard])
        return
    runs = {row.run_id: row for row in record.known.on(day) if row.run_id != run.run_id}
    where = lake.last_accepted(list(runs), accounts).filter(~pl.col("is_carried"))
    for (run_id,), some in where.sort("run_id").group_by("run_id", maintain_order=True):
        row = runs[str(run_id)]
        yield row, *_night(record, row, some["shard"].unique().sort().to_list(), some["account_id"])


def _night(
    record: NightRecord, row: RunRow, shards: list[int], accounts: pl.Series | None = None
) -> tuple[Night, list[Facts]]:
    """A run's night, of some of the accounts of some of its shards."""
    parts, every = [], []
    for shard in shards:
        facts = read_facts(record.at.lake, run_ref(row), shard)
        if accounts is not None:
            facts = replace(facts, accounts=facts.accounts.filter(pl.col("account_id").is_in(accounts.implode())))
        nav = record.at.lake.read("account_drift", row.run_id, shard, ("account_id", "nav_usd"))
        parts.append(night_of(facts, nav))
        every.append(facts)
    return joined_nights(parts), every


def night_rows(record: NightRecord, row: RunRow, night: Night, facts: Sequence[Facts]) -> dict[str, pl.DataFrame]:
    """The tables of a night: of accounts that have a record, and of those that begin."""
    reported, unread = _reported_flows(record.at, row, night)
    parts = []
    was = record.rows_before(night)
    for before in nights_before(record, night, row, was):
        for is_read in (True, False):
            is_lost = pl.col("account_id").is_in(unread.implode())
            some = replace(before, rows=before.rows.filter(~is_lost if is_read else is_lost))
            if some.rows.height:
                terms = NightTerms(row.run_id, reported if is_read else None, record.at.settings.risk_free_rate)
                parts.append(next_rows(some, night, terms))
    known = pl.concat([pl.Series("account_id", [], pl.String), *(part["performance"]["account_id"] for part in parts)])
    new = replace(night, accounts=night.accounts.filter(~pl.col("account_id").is_in(known.implode())))
    parts.append(first_rows(new, row.run_id))
    rows = {name: pl.concat([part[name] for part in parts]) for name in RECORD if name not in TWINS}
    moved = pl.concat([MOVED, *(part["moved"] for part in parts if "moved" in part)])
    splits = pl.concat([SPLITS, *(part["splits"] for part in parts if "splits" in part)])
    rows |= twin_tables(TwinNight(record, row, night, facts, was, rows["performance"], moved, splits))
    return rows if row.run_id == record.run.run_id and _is_newest(record, row) else _with_every_flow(rows)


def _is_newest(record: NightRecord, row: RunRow) -> bool:
    """Whether nobody can have said the night of these accounts before."""
    return record.known.rows[-1].run_id == row.run_id and len(record.known.on(row.as_of_date)) == 1


def _with_every_flow(rows: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """A night that may have been said before says of every account that has no flow that it has none."""
    flows = rows["performance_flows"]
    none = rows["performance"].join(flows, on="account_id", how="anti")
    zeros = none.select("account_id", "night_date", flow_date="night_date", flow_usd=pl.lit(0.0))
    return rows | {"performance_flows": pl.concat([flows, zeros])}


def _reported_flows(at: Stores, row: RunRow, night: Night) -> tuple[pl.DataFrame | None, pl.Series]:
    """The landing table ``flows`` of a night, null where it has none; and accounts of which a row of it could not be read."""
    nobody = pl.Series("account_id", [], pl.String)
    inputs = at.ledger.inputs.inputs_of(row.run_id)
    if not any(each.table_name == LandingTable.FLOWS and each.state in _TAKEN for each in inputs):
        return None, nobody
    names = (*dtypes(LandingTable.FLOWS), "row_number")
    broken = at.lake.read("quarantine", row.run_id, None, ("table_name", "landed_row", "account_id"))
    lost = broken.filter(pl.col("table_name") == LandingTable.FLOWS)
    landed = at.lake.rows_of("landed_flows", row.run_id, range(row.shard_count), night.accounts["account_id"], names)
    good = accepted_rows(LandingTable.FLOWS, landed, broken.select("table_name", "landed_row"))
    return good.select(dtypes(LandingTable.FLOWS).keys()), lost["account_id"].drop_nulls().unique()
