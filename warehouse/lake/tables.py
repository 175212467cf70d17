"""The lake's tables as this version wants them: what is missing is added, and nothing else is touched.

A lake of an earlier version lacks tables, or columns that came since. Rows that are there have nulls in those.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import duckdb
import polars as pl

from schemas.run import RunRef
from schemas.stored import TABLES
from schemas.tables import RUN_COLUMNS
from warehouse.lake.attach import transaction

Tables: TypeAlias = Mapping[str, Mapping[str, pl.DataType]]
"""Types of columns by table and name."""


def absent(connection: duckdb.DuckDBPyConnection, tables: Tables) -> dict[str, dict[str, pl.DataType]]:
    """Columns that the attached lake lacks, by table; of a table that it lacks, all."""
    query = "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake'"
    found = set(connection.execute(query).fetchall())
    lacking = {
        table: {name: dtype for name, dtype in columns.items() if (table, name) not in found}
        for table, columns in tables.items()
    }
    return {table: columns for table, columns in sorted(lacking.items()) if columns}


def bring_up_to_date(connection: duckdb.DuckDBPyConnection, tables: Tables) -> None:
    """Make the tables and columns that the attached lake lacks, in one transaction."""
    if not (lacking := absent(connection, tables)):
        return
    with transaction(connection):
        for table, columns in lacking.items():
            typed = [f'"{name}" {sql_type(dtype)}' for name, dtype in columns.items()]
            if len(columns) == len(tables[table]):
                connection.execute(f"CREATE TABLE IF NOT EXISTS lake.{table} ({', '.join(typed)})")
                continue
            for column in typed:
                connection.execute(f"ALTER TABLE lake.{table} ADD COLUMN IF NOT EXISTS {column}")


def sql_type(dtype: pl.DataType) -> str:
    """What DuckDB calls a type."""
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision}, {dtype.scale})"
    names = {pl.String: "VARCHAR", pl.Float64: "DOUBLE", pl.Int64: "BIGINT", pl.Int32: "INTEGER"}
    return {**names, pl.Boolean: "BOOLEAN", pl.Date: "DATE"}[type(dtype)]


def no_rows(table: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """The columns of a table, or those but for the run columns where none are named, without rows."""
    names = columns or tuple(name for name in TABLES[table] if name not in RUN_COLUMNS)
    return pl.DataFrame(schema={name: TABLES[table][name] for name in names})


def with_run_columns(frame: pl.DataFrame, table: str, run: RunRef) -> pl.DataFrame:
    """Rows of a run as the table has them."""
    filled = frame.with_columns(run_id=pl.lit(run.run_id), as_of_date=pl.lit(run.as_of_date))
    return filled.select(pl.col(name).cast(dtype) for name, dtype in TABLES[table].items())


def run_places(runs: Sequence[str]) -> pl.DataFrame:
    """``run_id, place``: the runs in their order."""
    return pl.DataFrame({"run_id": runs, "place": range(len(runs))}, schema={"run_id": pl.String, "place": pl.Int64})
