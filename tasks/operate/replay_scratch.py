"""A home beside the real one, with what a run knew: for computing it again by the same steps, and nothing else.

1. The ledger receives the run with its inputs, the runs that it compared its accounts with, and rows released by then.
2. The lake receives what the run pulled, shard by shard, and what it read of those earlier runs, for its accounts alone.

What came later is left out: runs that were done, and rows that were released, after the run began to validate.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import Role, RunKind, RunState, Step
from schemas.errors import InputRefused
from schemas.lab_tables import LAB, LAB_INTERNAL
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from schemas.stored import TABLES
from schemas.tables import RUN_COLUMNS
from tasks.core.guards import WATCHED
from tasks.known import last_night, runs_from
from tasks.performance import RECORD
from tasks.pull import run_ref
from tasks.runtime import Stores, current_actor
from warehouse.lake import LakeAt, flows_before, lake_of_its_own, last_performance
from warehouse.ledger import Ledger, NewRun, RunRow, Runs

MEASURED: Final = ("drift", "account_drift", "household_drift", "tilted_targets", "index_baskets")
PROFILED: Final = ("model_changes", "profile_findings")
COMPUTED: Final = {
    Step.VALIDATE: (
        "quarantine",
        "released_rows",
        "gate",
        "vouched",
        *("carried", "carried_lots", "carried_cash", "carried_rules"),
        "vanished_rows",
        "late_prices",
        "anomalies",
    ),
    Step.MEASURE: (
        "drift",
        "account_drift",
        "household_drift",
        "tilted_targets",
        "index_baskets",
        "unshown_fills",
        "open_orders",
    ),
    Step.PROPOSE: ("proposals", "orders", "lot_relief", "class_reasons", "account_outcomes", "frontier", *PROFILED),
    Step.PERFORMANCE: RECORD,
}
"""What each step writes that the inputs decide."""
NOT_PULLED: Final = frozenset(
    {"made_with", *LAB, *LAB_INTERNAL, *(table for tables in COMPUTED.values() for table in tables)}
)
PULLED: Final = tuple(table for table in TABLES if table not in NOT_PULLED)
"""What a run begins with."""
OF_ACCOUNTS_BEFORE: Final = (
    "scope",
    "gate",
    *("carried", "carried_lots", "carried_cash", "carried_rules"),
    *("landed_accounts", "landed_restrictions", "landed_tilts", "landed_direct_indexes"),
    *("landed_lots", "landed_cash"),
    "anomalies",
)
"""What is read of earlier runs' accounts."""
COMMON_BEFORE: Final = (
    "landed_prices",
    "landed_corporate_actions",
    "remembered_actions",
    "late_prices",
    "quarantine",
    *(f"landed_{table}" for table in WATCHED),
)
"""What is read of the night before that belongs to no account."""
HOUSEHOLDS_BEFORE: Final = ("landed_households",)
"""What of that is read of the runs since."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run as the real home knows it: ``lake`` is as it was when the run ended."""

    row: RunRow
    ledger: Ledger
    lake: LakeAt

    @property
    def ref(self) -> RunRef:
        """For the steps."""
        return run_ref(self.row)

    @property
    def shards(self) -> tuple[int, ...]:
        """Every shard, and that of what belongs to no account."""
        return (GLOBAL_SHARD, *self.ref.shards)

    def validating(self) -> tuple[datetime, datetime]:
        """When the first shard of accounts began to be validated, and the last was done; what was known then counts."""
        steps = [one for one in self.ledger.runs.step_rows(self.row.run_id) if one.step is Step.VALIDATE]
        if not steps:
            return self.row.started_at, self.row.started_at
        began = min(one.finished_at - timedelta(seconds=one.seconds) for one in steps)
        return began, max(one.finished_at for one in steps)


@contextmanager
def scratch_stores(settings: Settings, folder: Path) -> Iterator[Stores]:
    """Empty stores in a folder, with the settings' limits."""
    own = {"home": folder, "lake_url": "", "lake_data_url": "", "ledger_url": "", "export_url": ""}
    elsewhere = settings.model_copy(update=own)
    actor = current_actor()
    with (
        closing(Ledger.open(elsewhere.ledger_address, owner=actor, now=_EPOCH)) as ledger,
        lake_of_its_own(elsewhere) as lake,
    ):
        yield Stores(elsewhere, lake, ledger)


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def fill(at: Stores, known: RecordedRun) -> int:
    """Put into the scratch stores what the run knew; the rows pulled.

    Raises
    ------
    InputRefused
        The lake does not have all of it any more.
    """
    began, _ = known.validating()
    _fill_ledger(at.ledger, known, began)
    accounts, rows = _copy_pulled(at, known)
    if (last := last_night(at, known.ref)) is not None:
        _copy_common(at, known.lake, last, COMMON_BEFORE)
        for before in _runs_before(at, known):
            _copy_common(at, known.lake, before, HOUSEHOLDS_BEFORE)
            _copy_before(at, known.lake, before, accounts)
    if (Step.PERFORMANCE, 0) in known.ledger.runs.finished_steps(known.row.run_id):
        _copy_record(at, known, accounts)
    return rows


def _copy_record(at: Stores, known: RecordedRun, accounts: pl.Series) -> None:
    """What was known of the accounts' performance, and of the nights that it stands on."""
    runs = {row.run_id: row for row in known.ledger.runs.list_runs(None) if row.run_id != known.row.run_id}
    names = [row.run_id for row in sorted(runs.values(), key=lambda row: row.started_at)]
    for row in runs.values():  # a night that was said before says of every account whether it has a flow
        if (row.as_of_date, row.kind) == (known.row.as_of_date, known.row.kind) and _is_done(row, known.row.started_at):
            _enter_run(at.ledger, row)
    where = last_performance(known.lake, names, accounts, known.row.as_of_date)
    stood_on: set[str] = set()
    for (name,), some in where.sort("run_id", "shard").group_by("run_id", maintain_order=True):
        writer = runs[str(name)]
        _enter_run(at.ledger, writer)
        for (shard,), mine in some.group_by("shard", maintain_order=True):
            number = int(str(shard))
            frames = {
                table: known.lake.rows_of(
                    table, writer.run_id, [number], mine["account_id"], tuple(_own_columns(table))
                )
                for table in RECORD
            }
            stood_on |= set(frames["performance"]["night_run_id"])
            at.lake.replace(run_ref(writer), number, {table: frames[table] for table in RECORD[:-1]})
    if where.height:
        flows = flows_before(known.lake, names, where["account_id"], known.row.as_of_date)
        at.lake.replace(run_ref(runs[where["run_id"][0]]), GLOBAL_SHARD, {"performance_flows": flows})
    for name in sorted(stood_on - {row.run_id for row in _runs_before(at, known)}):
        _enter_run(at.ledger, runs[name])
        _copy_common(at, known.lake, runs[name], COMMON_BEFORE)
        _copy_before(at, known.lake, runs[name], accounts)


def _own_columns(table: str) -> list[str]:
    return [name for name in TABLES[table] if name not in RUN_COLUMNS]


def _runs_before(at: Stores, known: RecordedRun) -> list[RunRow]:
    last = last_night(at, known.ref)
    return [] if last is None else runs_from(at, last, known.row.as_of_date)


def _enter_run(ledger: Ledger, row: RunRow) -> None:
    """Let the scratch ledger know an earlier run that was done."""
    if ledger.runs.get_run(row.run_id) is None:
        ledger.runs.start_run(NewRun(**{each.name: getattr(row, each.name) for each in fields(NewRun)}), row.started_at)
        ledger.runs.finish_run(row.run_id, row.counts, row.finished_at or row.started_at)


def known_runs(runs: Runs, run: RunRow, by: datetime) -> list[RunRow]:
    """Runs of earlier dates, done by then, since the newest night over all accounts among them; in order of their start."""
    done = [row for row in runs.list_runs(None) if _is_done(row, by) and row.as_of_date < run.as_of_date]
    full: list[date] = [row.as_of_date for row in done if _is_full(row)]
    return sorted((row for row in done if full and row.as_of_date >= max(full)), key=lambda row: row.started_at)


def _is_done(row: RunRow, by: datetime) -> bool:
    return row.state is RunState.DONE and row.finished_at is not None and row.finished_at <= by


def _is_full(row: RunRow) -> bool:
    return row.kind is RunKind.NIGHTLY and row.scope is None and row.base_run_id is None


def _fill_ledger(ledger: Ledger, known: RecordedRun, by: datetime) -> None:
    for row in known_runs(known.ledger.runs, known.row, by):
        _enter_run(ledger, row)
    new = NewRun(**{each.name: getattr(known.row, each.name) for each in fields(NewRun)})
    ledger.runs.start_run(new, known.row.started_at)
    ledger.inputs.record_inputs(known.row.run_id, known.ledger.inputs.inputs_of(known.row.run_id))
    released = known.ledger.readmissions.released_rows(known.row.as_of_date).filter(pl.col("released_at") <= by)
    for (actor, note, moment), rows in released.group_by("actor", "note", "released_at", maintain_order=True):
        name = str(actor)
        if not ledger.users.roles_of(name):
            ledger.users.add_user(name, {Role.REVIEWER}, actor=current_actor(), now=_EPOCH)
        if isinstance(moment, datetime):
            ledger.readmissions.release_rows(known.row.run_id, rows, actor=name, note=str(note), now=moment)


def _copy_pulled(at: Stores, known: RecordedRun) -> tuple[pl.Series, int]:
    """Accounts landed, and rows copied."""
    found: dict[str, int] = dict.fromkeys(PULLED, 0)
    accounts = [pl.Series("account_id", [], pl.String)]
    for shard in known.shards:
        frames = known.lake.read_tables(dict.fromkeys(PULLED, ()), known.row.run_id, shard)
        at.lake.replace(known.ref, shard, frames)
        accounts.append(frames["landed_accounts"]["account_id"])
        found = {table: count + frames[table].height for table, count in found.items()}
    _need_all(known, found)
    return pl.concat(accounts).drop_nulls().unique(), sum(found.values())


def _need_all(known: RecordedRun, found: dict[str, int]) -> None:
    """Refuse what was not kept.

    Raises
    ------
    InputRefused
        Rows that the run pulled are gone.
    """
    run_id = known.row.run_id
    pulled = next(one.rows for one in known.ledger.runs.step_rows(run_id) if one.step is Step.PULL)
    lacking = pulled - sum(found.values())
    if lacking <= 0:
        return
    delivered: dict[str, int] = {}
    for each in known.ledger.inputs.inputs_of(run_id):
        delivered[each.table_name] = delivered.get(each.table_name, 0) + each.row_count
    empty = [table for table, count in delivered.items() if count and not found.get(f"landed_{table}")]
    empty += [] if found["scope"] or not known.row.accounts_pulled else ["scope"]
    where = f": nothing is left of {', '.join(sorted(empty))}" if empty else ""
    raise InputRefused(
        f"run {run_id} cannot be replayed: of the {pulled:,} rows that it pulled the lake has {pulled - lacking:,}{where}\n\n"
        "Hint: they were expired, or removed by hand; a lake restored from before that can replay it."
    )


def _copy_common(at: Stores, lake: LakeAt, before: RunRow, tables: tuple[str, ...]) -> None:
    frames = lake.read_tables(dict.fromkeys(tables, ()), before.run_id, GLOBAL_SHARD)
    at.lake.replace(run_ref(before), GLOBAL_SHARD, frames)


def _copy_before(at: Stores, lake: LakeAt, before: RunRow, accounts: pl.Series) -> None:
    """What an earlier run tells of some accounts; the rows as they were read, which nobody compares, are left out."""
    columns = {
        table: tuple(name for name in TABLES[table] if name not in {*RUN_COLUMNS, "raw"})
        for table in OF_ACCOUNTS_BEFORE
    }
    scope = 0
    for shard in run_ref(before).shards:
        frames = lake.read_tables(columns, before.run_id, shard)
        scope += frames["scope"].height
        mine = accounts.to_frame("account_id")
        at.lake.replace(
            run_ref(before),
            shard,
            {
                name: _with_raw_column(name, rows.join(mine, on="account_id", how="semi"))
                for name, rows in frames.items()
            },
        )
    if scope < before.accounts_pulled:
        raise InputRefused(
            f"it cannot be replayed: its accounts were compared with those of run {before.run_id}, of whose "
            f"{before.accounts_pulled:,} accounts the lake has {scope:,}\n\n"
            "Hint: they were expired, or removed by hand; a lake restored from before that can replay it."
        )


def _with_raw_column(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    return (
        rows if "raw" in rows.columns or "raw" not in TABLES[table] else rows.with_columns(raw=pl.lit(None, pl.String))
    )
