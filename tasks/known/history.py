"""The night before, for the gate to compare with: what each account held when it was last accepted.

An account that was quarantined, or whose file had not come, is compared with the night before that: its change does not
become the norm by waiting a night. Each run carries the holdings of such accounts on (tables ``carried*``), so that the last
run over all accounts and those after it know every account.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from schemas.run import GLOBAL_SHARD, RunRef
from schemas.stored import INTERNAL
from tasks.core.gate import History, HistoryLimits
from tasks.known.corporate_actions import actions_of, late_before, prices_of
from tasks.runtime import Stores
from warehouse.lake import Lake
from warehouse.ledger import RunRow

LOTS: Final = tuple(INTERNAL["carried_lots"])
CASH: Final = tuple(INTERNAL["carried_cash"])
RULES: Final = tuple(INTERNAL["carried_rules"])
_RESTRICTION: Final = ("account_id", "security_id", "rule", "until_date")
_INDEX: Final = ("account_id", "asset_class", "index_id")
_TILT: Final = ("account_id", "asset_class", "delta_weight", "exclude")
CARRIED: Final = ("carried", "carried_lots", "carried_cash", "carried_rules")


def last_night(at: Stores, run: RunRef) -> RunRow | None:
    """The run over all accounts that tonight is compared with: the newest that was done, of an earlier date."""
    return at.ledger.runs.latest_full_run(run.as_of_date)


def trade_date_of(lake: Lake, run: RunRef) -> date:
    """The day on which the run's orders trade; runs that were pulled without one judge by the as-of date."""
    found: list[date] = lake.read("trade_date", run.run_id, GLOBAL_SHARD)["trade_date"].to_list()
    return found[0] if found else run.as_of_date


def runs_from(at: Stores, first: RunRow, before: date) -> list[RunRow]:
    """Finished runs since ``first``, of its date or later dates before ``before``; the newest last: by date, then by start.

    A run of an older night that was started later knows nothing newer.
    """
    runs = [row for row in at.ledger.runs.done_runs_since(first, before) if row.as_of_date >= first.as_of_date]
    return sorted(runs, key=lambda row: (row.as_of_date, row.started_at))


@dataclass(frozen=True, slots=True)
class NightBefore:
    """``history``: what accounts held when they were last accepted. ``recent``: ``account_id, recent_bps`` as ``anomalies`` had them.

    ``last``: the last night over all accounts.
    """

    history: History
    recent: pl.DataFrame
    last: RunRow


def read_before(at: Stores, run: RunRef, accounts: pl.Series) -> NightBefore | None:
    """The night before of some accounts; null on the first night."""
    last = last_night(at, run)
    if last is None:
        return None
    runs = [each.run_id for each in runs_from(at, last, run.as_of_date)]
    where = at.lake.last_accepted(runs, accounts)
    history = History(
        lots=_rows(at, where, "lots", LOTS),
        cash=_rows(at, where, "cash", CASH),
        accepted=where.select("account_id", "accepted_date"),
        prices=prices_of(at.lake, last.run_id),
        priced_date=last.as_of_date,
        late=late_before(at.lake, run, last, actions_of(at.lake, run)),
        rules=_rules(at, where, trade_date_of(at.lake, run)),
        limits=HistoryLimits(
            max_unexplained_fraction=at.settings.max_unexplained_fraction,
            max_unexplained_position_fraction=at.settings.max_unexplained_position_fraction,
            max_basis_change_fraction=at.settings.max_basis_change_fraction,
            max_unexplained_cash_fraction=at.settings.max_unexplained_cash_fraction,
        ),
    )
    return NightBefore(history, _recent(at, where), last)


def carried_tables(history: History | None, gate: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The tables ``carried*``: what accounts of the gate held when they were last accepted."""
    if history is None:
        return {name: pl.DataFrame(schema=INTERNAL[name]) for name in CARRIED}
    stopped = gate.select("account_id")
    return {
        "carried": history.accepted.join(stopped, on="account_id", how="semi"),
        "carried_lots": history.lots.join(stopped, on="account_id", how="semi"),
        "carried_cash": history.cash.join(stopped, on="account_id", how="semi"),
        "carried_rules": history.rules.join(stopped, on="account_id", how="semi"),
    }


def _rules(at: Stores, where: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """``RULES`` of the runs that accepted the accounts, as far as they are to hold on the trade date."""
    parts = [pl.DataFrame(schema=INTERNAL["carried_rules"])]
    for (run_id, is_carried), some in where.sort("run_id", "is_carried").group_by(
        "run_id", "is_carried", maintain_order=True
    ):
        name, shards, accounts = str(run_id), some["shard"].unique().sort().to_list(), some["account_id"]
        if is_carried:
            parts.append(at.lake.rows_of("carried_rules", name, shards, accounts, RULES))
            continue
        parts.append(at.lake.rows_of("landed_restrictions", name, shards, accounts, _RESTRICTION))
        tilts = at.lake.rows_of("landed_tilts", name, shards, accounts, _TILT)
        parts.append(tilts.filter((pl.col("delta_weight") != 0) | pl.col("exclude").is_not_null()).select(_TILT[:2]))
        indexes = at.lake.rows_of("landed_direct_indexes", name, shards, accounts, _INDEX)
        parts.append(indexes.drop_nulls("index_id"))
        managed = at.lake.read("landed_households", name, GLOBAL_SHARD, ("household_id",)).drop_nulls()
        if managed.height:
            members = at.lake.rows_of("landed_accounts", name, shards, accounts, ("account_id", "household_id"))
            parts.append(members.join(managed, on="household_id", how="semi"))
    rules = pl.concat(parts, how="diagonal").unique()
    return rules.filter(pl.col("until_date").is_null() | (pl.col("until_date") >= trade_date)).sort(pl.all())


def _rows(at: Stores, where: pl.DataFrame, table: str, columns: tuple[str, ...]) -> pl.DataFrame:
    parts = [pl.DataFrame(schema={name: INTERNAL[f"carried_{table}"][name] for name in columns})]
    for (run_id, is_carried), some in where.sort("run_id", "is_carried").group_by(
        "run_id", "is_carried", maintain_order=True
    ):
        name = f"carried_{table}" if is_carried else f"landed_{table}"
        shards = some["shard"].unique().sort().to_list()
        parts.append(at.lake.rows_of(name, str(run_id), shards, some["account_id"], columns))
    return pl.concat(parts)


def _recent(at: Stores, where: pl.DataFrame) -> pl.DataFrame:
    parts = [pl.DataFrame(schema={"account_id": pl.String(), "recent_bps": pl.String()})]
    for (run_id,), some in where.sort("run_id").group_by("run_id", maintain_order=True):
        shards = some["shard"].unique().sort().to_list()
        parts.append(
            at.lake.rows_of("anomalies", str(run_id), shards, some["account_id"], ("account_id", "recent_bps"))
        )
    return pl.concat(parts)
