"""Executions in a security that has another name since it was ordered: the newest night is asked what it is called."""

from collections.abc import Callable
from datetime import date

import polars as pl

from schemas.enums import Break
from schemas.run import GLOBAL_SHARD
from tasks.core.reconcile import NO_NAMES, known_names, match_executions
from warehouse.lake import Lake
from warehouse.ledger import Runs


def match_under_all_names(
    executions: pl.DataFrame,
    source: str,
    names: Callable[[], pl.DataFrame],
    orders: pl.DataFrame,
    known: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As ``match_executions``, under all names that securities have where one that orders left with will not do."""
    accepted, aside = match_executions(executions, source, orders, known)
    if aside.filter(code=Break.WRONG_SECURITY).is_empty():
        return accepted, aside
    return match_executions(executions, source, orders, known, names())


def security_names(lake: Lake, runs: Runs) -> pl.DataFrame:
    """What securities are called beside the names that they left with: ``KNOWN_NAMES`` of the newest night over all accounts."""
    last = runs.latest_full_run(date.max)
    if last is None:
        return NO_NAMES
    listed = lake.read("landed_securities", last.run_id, GLOBAL_SHARD, ("security_id", "symbol"))
    return known_names(lake.read("renamed_securities", last.run_id, GLOBAL_SHARD), listed)
