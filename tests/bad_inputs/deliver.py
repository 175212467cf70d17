"""Deliver a landing folder with something wrong in it, and see what becomes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from schemas.errors import InputRefused
from schemas.landing_columns import dtypes
from tasks.core.gate import accepted_rows, gate_accounts, whole_files
from tasks.core.gate.parsing import parse
from tasks.formats.contract_file import RawTable, read_batches
from tests.support.landing_book import (
    ACCOUNT_TABLES,
    AS_OF,
    gated_commons,
    landing_paths,
    sound_book,
    spoilt,
    write_book,
)

Spoil = Callable[[Path], object]
"""Does something to a landing folder that has the sound book as CSV."""


@dataclass(frozen=True)
class Judged:
    """What became of a folder: a refusal and nothing else, or what was quarantined and what was not."""

    refusal: str = ""
    verdicts: Mapping[str, str] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    parsed: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    quarantine: pl.DataFrame = field(default_factory=pl.DataFrame)

    def accepted(self, table: str) -> pl.DataFrame:
        """Rows of a table that were not quarantined."""
        return accepted_rows(table, self.parsed[table], self.quarantine)

    def column(self, table: str, column: str) -> list[object]:
        """Cells of the accepted rows of a table."""
        return self.accepted(table)[column].to_list()


def judged(folder: Path, as_of: date = AS_OF) -> Judged:
    """The folder found, read, parsed and gated, as the night does it."""
    try:
        paths = landing_paths(folder)
        raw = {table: list(read_batches(table, path)) for table, path in paths.items()}
        tables = {table: pl.concat(map(_parsed, batches)) for table, batches in raw.items()}
        places = whole_files({table: path.name for table, path in paths.items()})
        common = gated_commons(tables, places, as_of)
        own = gate_accounts(
            {
                name: tables[name]
                for name in (*ACCOUNT_TABLES, "account_totals", "flows", "tilts", "direct_indexes")
                if name in tables
            },
            common,
            places,
            as_of,
        )
    except InputRefused as refused:
        return Judged(str(refused))
    quarantine = pl.concat([common.quarantine, own.quarantine])
    return Judged(
        verdicts=dict(own.accounts.rows()),
        messages=tuple(quarantine["message"]),
        notices=tuple(notice for batches in raw.values() for notice in batches[0].notices),
        parsed=tables,
        quarantine=quarantine,
    )


def _parsed(batch: RawTable) -> pl.DataFrame:
    return parse(batch.table, batch.frame, is_text=batch.is_text, first_row=batch.first_row)


def delivered(folder: Path, *spoils: Spoil) -> Judged:
    """The sound book as CSV, spoilt, and judged."""
    write_book(folder, sound_book(), "csv")
    for spoil in spoils:
        spoil(folder)
    return judged(folder)


def cell(table: str, row: int, **cells: str | None) -> Spoil:
    """Other cells in one row (1 = first)."""
    return lambda folder: write_book(folder, {table: spoilt(table, row, **cells)[table]}, "csv")


def rows(table: str, row: int, column: str, texts: Sequence[str], **keys: str) -> Spoil:
    """One more row for each text, like ``row`` (1 = first) but for the text and ``keys``, in which ``{}`` is its number."""

    def spoil(folder: Path) -> None:
        book = sound_book()[table]
        like = book.row(row - 1, named=True)
        made = [
            {**like, **{key: pattern.format(number) for key, pattern in keys.items()}, column: text}
            for number, text in enumerate(texts, 1)
        ]
        write_book(folder, {table: pl.concat([book, pl.DataFrame(made, schema=book.schema)])}, "csv")

    return spoil


def edit(name: str, change: Callable[[str], str]) -> Spoil:
    """Other text in a file."""
    return lambda folder: (folder / name).write_text(change((folder / name).read_text()), newline="")


def replace(name: str, old: str, new: str) -> Spoil:
    """Other text in one place of a file."""

    def change(text: str) -> str:
        assert text.count(old) == 1
        return text.replace(old, new)

    return edit(name, change)


def add(name: str, *lines: str) -> Spoil:
    """More lines at the end of a file."""
    return edit(name, lambda text: text + "".join(f"{line}\n" for line in lines))


def content(name: str, data: bytes, *, instead_of: str | None = None) -> Spoil:
    """A file of those bytes in the place of another."""

    def spoil(folder: Path) -> None:
        if instead_of is not None:
            (folder / instead_of).unlink()
        (folder / name).write_bytes(data)

    return spoil


def columns_of(table: str) -> str:
    """What a message says about the columns of a table."""
    return f"needed the table {table}: columns {', '.join(dtypes(table))}"
