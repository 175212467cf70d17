"""Read a Parquet file's contract columns in batches, after its schema was judged: nothing that Polars cannot hold reaches it.

1. Columns that mean nothing are not read, whatever they are.
2. Each batch is checked for text that is not UTF-8 and the like, which would end the process later. Checksums of pages
   are checked where the writer left any.
3. Old time stamps of twelve bytes are read in microseconds: in nanoseconds the end of the year 9999 becomes 1816.

Known limits: memory is bounded by a batch of rows, whose cells may be long; a damaged page without a checksum may still
make sense.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from schemas.errors import InputRefused
from schemas.landing_columns import dtypes
from tasks.core.gate import CURRENCY_COLUMN, can_read, column_requirement

_OPTIONS: Final = {"page_checksum_verification": True, "coerce_int96_timestamp_unit": "us"}
_PLAIN_TYPES: Final = (
    pt.is_integer,
    pt.is_floating,
    pt.is_decimal128,
    pt.is_boolean,
    pt.is_date,
    pt.is_timestamp,
    pt.is_string,
    pt.is_large_string,
    pt.is_string_view,
    pt.is_null,
)


def parquet_header(path: Path) -> list[str]:
    """Names of the columns."""
    names: list[str] = pq.read_schema(path).names
    return names


def parquet_batches(table: str, path: Path, rows: int) -> Iterator[pl.DataFrame]:
    """The contract's columns and the currency in file order, about ``rows`` rows at a time; at least one frame.

    Raises
    ------
    InputRefused
        A column has a type that no cell of the contract's can come from.
    """
    with pq.ParquetFile(path, **_OPTIONS) as file:
        schema = file.schema_arrow
        columns = [name for name in schema.names if name in {*dtypes(table), CURRENCY_COLUMN}]
        for name in columns:
            _check_type(table, path, name, schema.field(name).type)
        if not file.metadata.num_rows:
            yield pl.DataFrame(pa.schema([schema.field(name) for name in columns]).empty_table())
        read = 0
        for batch in file.iter_batches(rows, columns=columns):
            batch.validate(full=True)
            read += batch.num_rows
            yield pl.DataFrame(batch)
        if read != file.metadata.num_rows:
            raise pa.ArrowInvalid(f"{read} rows were read of {file.metadata.num_rows}")


def _check_type(table: str, path: Path, name: str, found: Any) -> None:
    """Refuse a column whose every cell would be unreadable."""
    wanted = dtypes(table).get(name)
    held = _polars_type(found)
    if held is None or not can_read(held, wanted or pl.String()):
        needed = column_requirement(table, name) if wanted is not None else f"{name}: a text"
        raise InputRefused(f"{path.name}: the column {name} has the type {found}; needed {needed}")


def _polars_type(found: Any) -> pl.DataType | None:
    """What Polars makes of a type; null where it cannot hold it."""
    plain = found.value_type if pt.is_dictionary(found) else found
    if not any(is_kind(plain) for is_kind in _PLAIN_TYPES):
        return None
    try:
        return pl.Series(pa.array([], found)).dtype
    except pl.exceptions.PolarsError:  # a time zone it does not know
        return None
