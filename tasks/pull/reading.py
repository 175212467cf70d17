"""Read the rows of a file that was taken, as text or typed, batch by batch."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import polars as pl

from schemas.errors import InputRefused, SourceUnreachable
from tasks.core.gate import parse
from tasks.formats import RawTable, read_batches, read_format
from tasks.pull.inputs import Input
from tasks.pull.residues import without_residues


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
        for raw in read_format(each.format, each.file, each.source.day, tables=tables):
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
