"""Pull: name the run after its inputs and land them in the lake, shard by shard."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import RunKind, Step
from schemas.errors import WrongUsage
from schemas.landing import CONTRACTS, SHARDED_TABLES, dtypes
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.stored import LANDED_COLUMNS
from tasks.core.parse import parse
from tasks.core.shards import in_scope, shard_accounts, shard_count_for
from tasks.notices import give_notice
from tasks.pending import pending_orders
from tasks.retries import retry_quietly
from tasks.source import find_tables, hash_tables, input_hash, read_batches
from tasks.steps import Stores, failure_noted, open_stores, timed_step
from tasks.stores import utc_now
from warehouse.ledger import NewRun


@dataclass(frozen=True)
class Request:
    """What was asked for. ``scope`` empty: every account of the source."""

    source: Path
    as_of_date: date
    kind: RunKind
    submitter: str
    scope: tuple[str, ...] = ()


@task(cache_policy=NO_CACHE, **retry_quietly)
def pull(request: Request) -> RunRef:
    """Land the source's tables and start, or find again, the run that is named after them.

    Raises
    ------
    InputRefused
        The source as a whole cannot be used.
    WrongUsage
        An account asked for is not in the source.
    """
    paths = find_tables(request.source)
    inputs = input_hash(hash_tables(paths))
    new = NewRun(
        run_id=run_name(request, inputs),
        as_of_date=request.as_of_date,
        kind=request.kind,
        submitter=request.submitter,
        input_hash=inputs,
        code_version=version("trimtab"),
        source=str(request.source),
        scope=json.dumps(request.scope) if request.scope else None,
    )
    with open_stores() as at:
        found = at.ledger.get_run(new.run_id)
        if found is not None and (Step.PULL, GLOBAL_SHARD) in at.ledger.finished_steps(new.run_id):
            at.ledger.start_run(new, utc_now())
            return RunRef(new.run_id, request.as_of_date, request.kind, found.shard_count)
        return _land(request, new, paths, at)


def run_name(request: Request, inputs: str) -> str:
    """``<as_of>-<kind>-<12 hex>``: the same night on the same inputs has the same name. Policy is part of the inputs."""
    parts = [request.as_of_date.isoformat(), request.kind, inputs, *sorted(request.scope)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    return f"{request.as_of_date.isoformat()}-{request.kind}-{digest}"


def _land(request: Request, new: NewRun, paths: dict[str, Path], at: Stores) -> RunRef:
    parsed = {table: _whole(table, paths) for table in ("accounts", "households")}
    managed = parsed["households"]["household_id"].drop_nulls()
    landed, scope = in_scope(parsed["accounts"], pl.Series(request.scope) if request.scope else None, managed)
    parsed["accounts"] = landed
    missing = sorted(set(request.scope) - set(scope))
    if missing:
        raise WrongUsage(f"the source has no account {', '.join(missing)}\n\nHint: look at {paths['accounts'].name}.")
    started = at.ledger.start_run(new, utc_now())
    count = started.shard_count or shard_count_for(landed.height, at.settings.accounts_per_shard)
    at.ledger.set_run_shape(new.run_id, count, len(scope))
    run = RunRef(new.run_id, request.as_of_date, request.kind, count)
    shards = shard_accounts(landed, count)
    exports = at.ledger.last_exports().join(shards, on="account_id")
    pending = pending_orders(
        at, run, landed=shards["account_id"], scope=scope, trades=_unnoticed("trades", paths), now=utc_now()
    ).join(shards, on="account_id")
    with failure_noted(at.ledger, run), timed_step(at.ledger, run, Step.PULL, GLOBAL_SHARD) as step:
        pulled = scope.to_frame("account_id").join(shards, on="account_id", how="left")
        own = {
            "scope": pulled.with_columns(pl.col("shard").fill_null(0)),
            "last_exports": exports,
            "pending_orders": pending,
        }
        batches = _batches(paths, parsed, shards, is_scoped=bool(request.scope))
        step.rows = at.lake.load(run, [*(f"landed_{table}" for table in CONTRACTS), *own], chain(own.items(), batches))
    return run


def _whole(table: str, paths: dict[str, Path]) -> pl.DataFrame:
    """Every row of a table, parsed; none of one that is not delivered."""
    nothing = pl.DataFrame(schema={**dtypes(table), **LANDED_COLUMNS})
    return pl.concat(_parsed(table, paths)) if table in paths else nothing


def _parsed(table: str, paths: dict[str, Path]) -> Iterator[pl.DataFrame]:
    for raw in read_batches(table, paths[table]):
        if raw.first_row == 1:
            for notice in raw.notices:
                give_notice(notice)
        yield parse(table, raw.frame, is_text=raw.is_text, first_row=raw.first_row)


def _unnoticed(table: str, paths: dict[str, Path]) -> Iterator[pl.DataFrame]:
    """The table once more, typed, without its notices; one frame without rows where it is not delivered."""
    yield pl.DataFrame(schema=dtypes(table))
    if table in paths:
        for raw in read_batches(table, paths[table]):
            yield parse(table, raw.frame, is_text=raw.is_text).select(dtypes(table).keys())


def _batches(
    paths: dict[str, Path], parsed: dict[str, pl.DataFrame], shards: pl.DataFrame, *, is_scoped: bool
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every table's rows with their shard. Rows of accounts nobody delivered go to shard 0, or nowhere in a scoped run.

    ``parsed``: tables that were read already.
    """
    for table in paths:
        for frame in [parsed[table]] if table in parsed else _parsed(table, paths):
            yield f"landed_{table}", _with_shard(table, frame, shards, is_scoped=is_scoped)


def _with_shard(table: str, frame: pl.DataFrame, shards: pl.DataFrame, *, is_scoped: bool) -> pl.DataFrame:
    if table not in SHARDED_TABLES:
        return frame.with_columns(shard=pl.lit(GLOBAL_SHARD, pl.Int32))
    placed = frame.join(shards, on="account_id", how="left", maintain_order="left")
    is_global = pl.col("account_id").is_null() & (table == "restrictions")
    if is_scoped:
        placed = placed.filter(pl.col("shard").is_not_null() | is_global)
    elsewhere = pl.when(is_global).then(GLOBAL_SHARD).otherwise(0)
    return placed.with_columns(shard=pl.coalesce("shard", elsewhere).cast(pl.Int32))
