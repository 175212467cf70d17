"""Where the rows of a landed table stand: which file, and which row of it.

A table's files are laid end to end: row ``n`` of the table stands in the last place with ``first_row <= n``, at row
``n - first_row + 1`` of that file. A table without places stands in one that is called after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file and the landed row that is its first."""

    file_name: str
    first_row: int


Places: TypeAlias = Mapping[str, Sequence[FilePlace]]
"""The places of each landing table, by ``first_row``."""


def whole_files(files: Mapping[str, str]) -> dict[str, tuple[FilePlace, ...]]:
    """The places of tables that stand in one file each."""
    return {table: (FilePlace(name, 1),) for table, name in files.items()}


def with_places(rows: pl.DataFrame, table: str, places: Places) -> pl.DataFrame:
    """``file_name`` and ``row_number`` in that file of each ``landed_row``; sorted by it."""
    known = places.get(table) or (FilePlace(table, 1),)
    starts = pl.DataFrame(
        {"first_row": [place.first_row for place in known], "file_name": [place.file_name for place in known]},
        schema={"first_row": pl.Int64, "file_name": pl.String},
    )
    placed = rows.sort("landed_row").join_asof(
        starts.sort("first_row"), left_on="landed_row", right_on="first_row", coalesce=False
    )
    return placed.with_columns(row_number=pl.col("landed_row") - pl.col("first_row") + 1).drop("first_row")
