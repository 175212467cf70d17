"""Tables of the lake that never had a row: reading one reads an empty table of this process instead.

DuckLake has no statistics of such a table and remembers nothing about that: it asks the catalogue for them again for each column
of each statement. That was measured at 40 to 110 ms a statement, where a table with rows takes 1 to 15, and on an early
night every second table is such a one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import duckdb
import polars as pl

from warehouse.lake.attach import sql
from warehouse.lake.tables import sql_type

SCHEMA: Final = "unfilled"
LAKE_TABLE: Final = re.compile(r"\blake\.(\w+)")


def make_stand_ins(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Mapping[str, pl.DataType]]) -> None:
    """Make the empty tables, which nobody writes, in the connection's memory."""
    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    for table, columns in tables.items():
        typed = ", ".join(f'"{name}" {sql_type(dtype)}' for name, dtype in columns.items())
        connection.execute(f"CREATE TABLE {SCHEMA}.{table} ({typed})")


class Filled:
    """Which tables of an attached lake have had rows; one for all cursors of its connection.

    A table that had a row once is never again one that had none, so that only the others are looked up anew. Inside a
    transaction the rows count that were there when it began, not those that it has written.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def among(self, tables: Iterable[str], cursor: duckdb.DuckDBPyConnection) -> list[str]:
        """Those of the tables that have had a row, in their order."""
        wanted = list(tables)
        if not self._known.issuperset(wanted):
            self._known.update(name for (name,) in cursor.execute(sql("filled_tables")).fetchall())
        return [table for table in wanted if table in self._known]

    def stood_in(self, statement: str, cursor: duckdb.DuckDBPyConnection) -> str:
        """The statement, which only reads, with an empty table in the place of each table of the lake that never had a row."""
        filled = set(self.among(LAKE_TABLE.findall(statement), cursor))
        return LAKE_TABLE.sub(lambda found: found[0] if found[1] in filled else f"{SCHEMA}.{found[1]}", statement)
