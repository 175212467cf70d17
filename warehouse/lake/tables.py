"""The lake's tables as this version wants them: what is missing is added, and nothing else is touched.

A lake of an earlier version lacks tables, or columns that came since. Rows that are there have nulls in those.
"""

from collections.abc import Mapping
from typing import TypeAlias

import duckdb
import polars as pl

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
