"""The night before of some accounts, as the lake has it: their record, what they held, and the prices of then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from schemas.run import RunRef
from schemas.stored import INTERNAL
from schemas.tables import PUBLIC
from tasks.core.gate import History, carry_history, in_current_terms
from tasks.core.performance import Before, Night
from tasks.known import actions_of, history_at, late_before, prices_of
from tasks.performance.nights import RecordedNights
from tasks.pull import run_ref
from tasks.runtime import Stores, sessions_between
from warehouse.lake import flows_before, last_performance
from warehouse.ledger import RunRow

_LOTS: Final = tuple(INTERNAL["carried_lots"])
RECORD: Final = (
    "performance",
    "performance_state",
    "attribution",
    "twins",
    "twin_state",
    "twin_lots",
    "performance_flows",
)
"""The tables of the record."""


@dataclass
class NightRecord:
    """The record of a shard's accounts: what the lake has of nights before, and what this run has computed since."""

    at: Stores
    known: RecordedNights
    run: RunRef
    made: dict[str, list[pl.DataFrame]]

    def add(self, tables: dict[str, pl.DataFrame]) -> None:
        """A night that has been computed."""
        for name, rows in tables.items():
            self.made.setdefault(name, []).append(rows)

    def tables(self) -> dict[str, pl.DataFrame]:
        """All that has been computed, a frame a table."""
        return {name: pl.concat(parts) for name, parts in self.made.items()}

    def rows_before(self, night: Night) -> dict[str, pl.DataFrame]:
        """``RECORD`` of the newest night before of each account of the night; ``performance_flows`` of all nights before."""
        accounts = night.accounts["account_id"]
        stored = self._stored(night, accounts)
        mine = {name: self._own(name, night, accounts) for name in RECORD}
        is_own = mine["performance"].select("account_id")
        newest = {
            name: pl.concat([mine[name], stored[name].join(is_own, on="account_id", how="anti")])
            for name in RECORD[:-1]
        }
        again = mine["performance_flows"].select("account_id", "night_date").unique()
        older = stored["performance_flows"].join(again, on=["account_id", "night_date"], how="anti")
        return newest | {"performance_flows": pl.concat([older, mine["performance_flows"]])}

    def _own(self, name: str, night: Night, accounts: pl.Series) -> pl.DataFrame:
        rows = pl.concat([pl.DataFrame(schema=table_columns(name)), *self.made.get(name, [])]).filter(
            pl.col("account_id").is_in(accounts.implode()), pl.col("night_date") < night.day
        )
        return (
            rows
            if name == RECORD[-1]
            else rows.filter(pl.col("night_date") == pl.col("night_date").max().over("account_id"))
        )

    def _stored(self, night: Night, accounts: pl.Series) -> dict[str, pl.DataFrame]:
        names = [name for name in self.known.names if name != self.run.run_id]
        where = self._where(names, night, accounts)
        found = {name: [pl.DataFrame(schema=table_columns(name))] for name in RECORD}
        for (run_id, shard), some in where.sort("run_id", "shard").group_by("run_id", "shard", maintain_order=True):
            for name in RECORD[:-1]:
                rows = self.at.lake.rows_of(
                    name, str(run_id), [int(str(shard))], some["account_id"], tuple(table_columns(name))
                )
                found[name].append(rows.join(some, on=["account_id", "night_date"], how="semi"))
        flows = flows_before(self.at.lake, names, where["account_id"], night.day) if where.height else None
        if flows is not None:
            found["performance_flows"].append(flows.select(table_columns("performance_flows").keys()))
        return {name: pl.concat(parts) for name, parts in found.items()}

    def _where(self, names: Sequence[str], night: Night, accounts: pl.Series) -> pl.DataFrame:
        """Where each account's newest rows are: looked up in the last runs, and only for those that they do not have in all."""
        last = max((row.as_of_date for row in self.known.rows if row.as_of_date < night.day), default=None)
        recent = [
            row.run_id
            for row in self.known.rows
            if last is not None and row.as_of_date >= last and row.run_id in set(names)
        ]
        found = last_performance(self.at.lake, recent, accounts, night.day)
        left = accounts.filter(~accounts.is_in(found["account_id"].implode()))
        older = [name for name in names if name not in set(recent)]
        if not older or left.is_empty():
            return found
        return pl.concat([found, last_performance(self.at.lake, older, left, night.day)])


def table_columns(name: str) -> dict[str, pl.DataType]:
    """Columns of a table, without the run columns."""
    return {**PUBLIC, **INTERNAL}[name]


def nights_before(record: NightRecord, night: Night, run: RunRow, rows: Mapping[str, pl.DataFrame]) -> Iterator[Before]:
    """The nights before of the accounts of a night, one for each run that some of them stand on; ``run``: the night's, ``rows``: ``rows_before`` of it."""
    joined = rows["performance"].join(rows["performance_state"], on=["account_id", "night_date"])
    for (run_id, _), some in joined.sort("night_run_id", "account_id").group_by(
        "night_run_id", "night_date", maintain_order=True
    ):
        then = next((row for row in record.known.rows if row.run_id == run_id), None)
        if then is None:
            continue
        carried = _holdings_then(record, then, run, some)
        yield Before(
            rows=some,
            classes=rows["attribution"].join(some, on="account_id", how="semi"),
            holdings=carried.lots.group_by("account_id", "security_id")
            .agg(pl.col("quantity").cast(pl.Decimal(38, 6)).sum())
            .join(_units(carried.prices, night.factors), on="security_id", how="left")
            .rename({"unit_usd": "unit_then_usd"}),
            due=carried.due,
            prices=_units(carried.prices, night.factors),
            flows=rows["performance_flows"]
            .join(some, on="account_id", how="semi")
            .select("account_id", "flow_date", "flow_usd"),
            sessions=max(1, sessions_between(then.as_of_date, night.day, record.at.settings.exchange)),
        )


def _holdings_then(record: NightRecord, then: RunRow, run: RunRow, accounts: pl.DataFrame) -> History:
    """What the accounts held on a night, and its prices, in the identifiers and shares of another night."""
    lake, names = record.at.lake, accounts["account_id"]
    shards = lake.last_accepted([then.run_id], names)["shard"].unique().sort().to_list()
    lots = lake.rows_of("landed_lots", then.run_id, shards, names, _LOTS).filter(pl.col("quantity") > 0)
    return carried_lots(record, then, run, in_current_terms({"lots": lots}, actions_of(lake, then))["lots"])


def carried_lots(record: NightRecord, then: RunRow, run: RunRow, lots: pl.DataFrame) -> History:
    """Lots of a night, which are in its own terms, and its prices, in the terms of another night."""
    lake = record.at.lake
    actions, late = actions_of(lake, run), late_before(lake, run_ref(run), then, actions_of(lake, run))
    return carry_history(replace(history_at(lots, then), prices=prices_of(lake, then.run_id), late=late), actions)


def _units(prices: pl.DataFrame, factors: pl.DataFrame) -> pl.DataFrame:
    """``security_id, unit_usd``: what one unit is worth."""
    unit = pl.col("price_usd").cast(pl.Float64) * pl.col("price_factor").cast(pl.Float64).fill_null(1.0)
    return prices.join(factors, on="security_id", how="left").select("security_id", unit_usd=unit).drop_nulls()
