"""What has come since a night: fresh prices, and cash, models or a custodian's file that differ from what the night took.

1. Prices come from ``prices_url``, or where it is empty from the night's own sources. They are read at each look.
2. Cash and models are looked for where the night found them, and read where their content is another than the night's.
3. A source that cannot be read costs a notice: what the night took stands in for it.
4. Files that the night waited for, and nothing but these, are late files: its own logic looks at their accounts (``tasks.pull.late_files``).

Known limits: a source whose address holds ``{as_of}`` is looked at on the night's date.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Final

import polars as pl

from schemas.enums import LandingTable
from schemas.errors import InputRefused, SourceUnreachable
from schemas.landing_columns import LANDING
from schemas.sources import DatedSource, fill_date
from tasks.core.gate import parse
from tasks.formats import ENDINGS, PACKED, load_format
from tasks.pull import Input, LateFiles, compare_with_earlier_runs, raw_tables, take
from tasks.runtime import Stores
from tasks.sources import fetch_files
from warehouse.ledger import InputRow, InputState, RunRow

PRICES: Final = LandingTable.PRICES
WATCHED: Final = (LandingTable.CASH, LandingTable.MODEL_TARGETS)
MISSED: Final = (InputState.AWAITED, InputState.REFUSED)
STAGING: Final = ".monitor"
"""Folder beside those of the sources, none of whose names starts with a dot."""


@dataclass(frozen=True, slots=True)
class BaseNight:
    """A night that is done: its run over all accounts, and those that added late files to it, the newest last."""

    runs: tuple[RunRow, ...]

    @property
    def base(self) -> RunRow:
        """The run over all accounts."""
        return self.runs[0]


@dataclass(frozen=True, slots=True)
class FreshInputs:
    """Parsed rows of the tables that are fresh, what could not be read, and what names the late files that have come."""

    tables: Mapping[str, pl.DataFrame]
    notices: tuple[str, ...]
    late: tuple[str, ...]


def newest_night(at: Stores, day: date) -> BaseNight | None:
    """The newest night that is done, of the day or before; null: none."""
    base = at.ledger.runs.latest_full_run(day + timedelta(days=1))
    if base is None:
        return None
    since = at.ledger.runs.done_runs_since(base, base.as_of_date + timedelta(days=1))
    return BaseNight((base, *(run for run in since if run.base_run_id == base.run_id)))


def fresh_inputs(at: Stores, night: BaseNight, day: date) -> FreshInputs:
    """What is there on ``day`` that the night did not have."""
    notices: list[str] = []
    took = {run.run_id: at.ledger.inputs.inputs_of(run.run_id) for run in night.runs}
    rows = [row for each in took.values() for row in each]
    found: list[Input] = []
    for source in _sources_to_read(at, night, rows, day):
        try:
            found += _files(source, at)
        except (InputRefused, SourceUnreachable) as error:
            notices.append(f"{source.name}: {str(error).partition(chr(10))[0]}")
    tables: dict[str, pl.DataFrame] = {}
    for table in (PRICES, *WATCHED):
        inputs = [each for each in found if table in each.tables and (table == PRICES or _is_new(each, table, rows))]
        try:
            if inputs:
                tables[table] = _parse_files(table, inputs)
        except (InputRefused, SourceUnreachable) as error:
            notices.append(str(error).partition("\n")[0])
    if PRICES not in tables:
        notices.append(f"no fresh prices: those of the night of {night.base.as_of_date} stand")
    return FreshInputs(tables, tuple(notices), _late(at, night, took[night.runs[-1].run_id]))


def _sources_to_read(at: Stores, night: BaseNight, rows: Sequence[InputRow], day: date) -> Iterator[DatedSource]:
    """Sources cut down to the tables that are looked for."""
    prices = at.settings.prices_source(day)
    if prices is not None:
        yield prices
    wanted = WATCHED if prices is not None else (PRICES, *WATCHED)
    for source in at.settings.sources_of(night.base.as_of_date):
        delivers = {row.table_name for row in rows if row.source == source.name and row.sha256}
        tables = tuple(table for table in LANDING if table in wanted and table in delivers)
        if tables:
            yield source.model_copy(update={"tables": tables})


def _files(source: DatedSource, at: Stores) -> list[Input]:
    """What a source has of its tables; less than all of them is no reason to refuse."""
    staging = at.settings.staging_folder / STAGING / source.name / source.day.isoformat()
    if not source.format:
        names = {f"{table}{ending}": table for table in source.tables for ending in ENDINGS}
        files = fetch_files(source, is_wanted=names.__contains__, staging=staging)
        return [Input(source, file, (names[file.path.name],)) for file in files]
    read_by = load_format(source.format)
    pattern = source.files or fill_date(read_by.files, source.day)
    patterns = [f"{pattern}{ending}" for ending in ("", *PACKED)]
    files = fetch_files(source, is_wanted=lambda name: any(fnmatchcase(name, one) for one in patterns), staging=staging)
    tables = tuple(table for table in source.tables or LANDING if table in read_by.tables)
    return [Input(source, file, tables, read_by) for file in files]


def _is_new(each: Input, table: str, rows: Sequence[InputRow]) -> bool:
    """Whether the night, or a run that added to it, took no such content from there."""
    sign = (each.source.name, table, each.reader, each.file.sha256)
    return sign not in {(row.source, row.table_name, row.reader, row.sha256) for row in rows}


def _parse_files(table: str, inputs: Sequence[Input]) -> pl.DataFrame:
    """The parsed rows of files laid end to end, numbered anew."""
    parts: list[pl.DataFrame] = []
    for each in inputs:
        for raw in raw_tables(each, (table,)):
            rows = parse(table, raw.frame, is_text=raw.is_text, numbers=raw.numbers, as_read=raw.as_read)
            parts.append(rows)
    return pl.concat(parts).with_columns(row_number=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))


def _late(at: Stores, night: BaseNight, newest: Sequence[InputRow]) -> tuple[str, ...]:
    """What names the files that the night's newest run missed and that are there now; empty: none, or they have a scope."""
    missed = {row.source for row in newest if row.state in MISSED}
    as_of = night.base.as_of_date
    sources = at.settings.sources_of(as_of)
    there: list[str] = []
    for source in (each for each in sources if each.name in missed):
        try:
            there += [f"{source.name} {each.file.sha256}" for each in _files(source, at)]
        except (InputRefused, SourceUnreachable):
            continue
    contents = (night.runs[-1].run_id, *sorted(there))
    if not there or at.ledger.breaches.has_late_files(contents, as_of):
        return ()
    try:
        taken = take(sources, at.settings.staging_folder)
    except (InputRefused, SourceUnreachable):
        return ()
    return (
        contents
        if isinstance(
            compare_with_earlier_runs(at.ledger.runs, at.ledger.inputs, at.ledger.readmissions, as_of, taken), LateFiles
        )
        else ()
    )
