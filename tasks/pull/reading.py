"""Read the rows of a file that was taken, as text or typed, batch by batch."""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime, time
from functools import partial

import polars as pl

from schemas.errors import InputRefused, SourceUnreachable
from schemas.sources import Source
from tasks.core.gate import parse
from tasks.formats import RawTable, read_batches, read_format
from tasks.pull.inputs import Input
from tasks.pull.residues import without_residues
from tasks.runtime import current_settings, previous_session


def raw_tables(each: Input, tables: Collection[str]) -> Iterator[RawTable]:
    """The rows of some of the file's tables as read, batch by batch.

    Raises
    ------
    InputRefused
        The file as a whole cannot be used.
    SourceUnreachable
        It is no longer the file that was taken.
    """
    if each.format is not None:
        for raw in read_format(each.format, each.file, each.source.day, tables=tables, day_of=_day_of(each.source)):
            yield without_residues(raw, each.file.name)
    else:
        try:
            for table in tables:
                for raw in read_batches(table, each.file.path):
                    yield without_residues(raw, each.file.name)
        except InputRefused as error:  # a database's table is read from a file of ours, which nobody knows by its name
            raise InputRefused(str(error).replace(each.file.path.name, each.file.name)) from error
    _refuse_changed(each)


def parse_raw(raw: RawTable) -> pl.DataFrame:
    """The rows with the types of their table."""
    return parse(
        raw.table, raw.frame, is_text=raw.is_text, first_row=raw.first_row, numbers=raw.numbers, as_read=raw.as_read
    )


def _day_of(source: Source) -> Callable[[datetime], date] | None:
    """Which day a moment means that a file of the source says; null: the day that it writes."""
    until = source.morning_until
    return None if until is None else partial(day_of_statement, until=until, exchange=current_settings().exchange)


def day_of_statement(moment: datetime, *, until: time, exchange: str) -> date:
    """The day itself, or the trading day before where it is earlier than ``until``. Midnight is a day without a time."""
    if moment.time() == time.min or moment.time() >= until:
        return moment.date()
    _, before = previous_session(moment.date(), exchange)
    return before or moment.date()


def _refuse_changed(each: Input) -> None:
    """Refuse a file of a folder that changed after it was hashed: it is read in place, and the run is named after its content."""
    if each.source.scheme != "file":
        return
    now = each.file.path.stat()
    if (now.st_size, datetime.fromtimestamp(now.st_mtime, UTC)) != (each.file.size_bytes, each.file.modified_at):
        raise SourceUnreachable(
            f"{each.file.name} of {each.source.name} was replaced while it was read; needed a file that no longer changes"
            "\n\nHint: deliver under a name that ends in .part, then rename."
        )
