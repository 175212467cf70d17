"""Read, parse and gate a night's files alone: what would be refused, set aside, missing, or held; nothing is kept.

The files are landed and validated in a home that is thrown away, by the night's own steps. Earlier nights are not known there, so that
what only differs from them is not seen.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from schemas.enums import Outcome, RunKind
from schemas.errors import RunHeld, WrongUsage
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.core.gate import causes_in_words, trace
from tasks.pull import Request, pull_task
from tasks.runtime import current_actor, open_stores, use_settings
from tasks.validate import guard_inputs_task, validate_task


@dataclass(frozen=True, slots=True)
class FilesCheck:
    """What a check found. ``held``: why a night would be held, null: it would not be; ``files``: table, name, rows and state of each."""

    as_of_date: date
    account_count: int
    quarantined_count: int
    row_count: int
    causes: tuple[dict[str, Any], ...]
    files: tuple[dict[str, Any], ...]
    held: str | None


def scratch_settings(settings: Settings, home: str) -> Settings:
    """The settings with all stores in a home that is thrown away."""
    elsewhere = {"home": Path(home), "lake_url": "", "lake_data_url": "", "ledger_url": "", "export_url": ""}
    return settings.model_copy(update={**elsewhere, "dask": "" if "://" in settings.dask else settings.dask})


def check_files(settings: Settings, as_of: date, given: Sequence[str] = ()) -> FilesCheck:
    """Check the files of a night.

    Raises
    ------
    InputRefused
        A source cannot be used; says which file and why.
    SourceUnreachable
        A source does not answer.
    """
    wanted = given or ([] if settings.sources else [settings.sources_of(as_of)[0].url])
    with tempfile.TemporaryDirectory(prefix="trimtab-check-") as home:
        scratch = scratch_settings(settings, home)
        with use_settings(scratch), open_stores() as at:
            sources = scratch.sources_of(as_of, tuple(wanted))
            run = pull_task.fn(Request(sources, as_of, RunKind.NIGHTLY, current_actor()))
            for shard in (GLOBAL_SHARD, *run.shards):
                validate_task.fn(run, shard)
            try:
                guard_inputs_task.fn(run)
            except RunHeld as error:
                held: str | None = str(error)
            else:
                held = None
            row = at.ledger.runs.get_run(run.run_id)
            if row is None:
                raise WrongUsage(f"there is no run {run.run_id}")
            quarantine, gate = at.lake.read("quarantine", run.run_id), at.lake.read("gate", run.run_id)
            stopped = gate.filter(outcome=str(Outcome.QUARANTINED))
            causes = causes_in_words(trace(quarantine, stopped).causes)
            inputs = at.ledger.inputs.inputs_of(run.run_id)
    return FilesCheck(
        as_of_date=as_of,
        account_count=row.accounts_pulled,
        quarantined_count=stopped.select(pl.col("account_id").n_unique()).item(),
        row_count=quarantine.height,
        causes=tuple(causes),
        files=tuple(
            {
                "table": one.table_name,
                "file": one.name,
                "rows": one.row_count,
                "state": str(one.state),
                "note": one.note,
            }
            for one in inputs
        ),
        held=held,
    )
