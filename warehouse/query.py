"""The read side: SQL over the public tables, nothing else and never a write.

The public tables hold every run; ``latest.<table>`` holds the newest run that has rows in it. ``runs`` and ``queue`` (the state of
each proposal), ``decisions``, ``exports`` and ``audit`` come from the ledger.
"""

from typing import Final

import duckdb
import polars as pl
import sqlalchemy as sa

from schemas.errors import WrongUsage
from schemas.settings import Settings
from schemas.tables import PUBLIC
from warehouse.attach import attach_lake, sql
from warehouse.duck import connect, quoted

LEDGER_VIEWS: Final = {
    "runs": ("runs", ()),
    "queue": ("proposals", ("nav_usd", "gross_value_usd", "est_tax_usd", "est_cost_usd")),
    "decisions": ("decisions", ()),
    "exports": ("exports", ()),
    "audit": ("audit", ()),
}
"""Public name: table of the ledger, and its columns of money (text in SQLite, so that nothing is lost)."""


def query(settings: Settings, text: str) -> pl.DataFrame:
    """The rows that one SELECT gives.

    Raises
    ------
    WrongUsage
        The text is not one statement that only reads, or DuckDB cannot run it.
    """
    connection = open_reader(settings)
    try:
        statements = connection.extract_statements(text)
        if len(statements) != 1 or statements[0].type not in _READING:
            raise WrongUsage("`trimtab query` takes one SELECT; it only reads")
        return connection.sql(text).pl() if statements[0].type is _SELECT else connection.execute(text).pl()
    except duckdb.Error as error:
        raise WrongUsage(f"the query cannot be run: {error}\n\nHint: tables are {', '.join(public_names())}.") from None
    finally:
        connection.close()


_SELECT: Final = duckdb.StatementType.SELECT
_READING: Final = frozenset({_SELECT})


def public_names() -> list[str]:
    """Every table that a query may read."""
    return sorted([*PUBLIC, *LEDGER_VIEWS])


def open_reader(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection with the public views; lake and ledger are attached read-only."""
    is_sqlite = settings.ledger_address.startswith("sqlite")
    connection = connect("ducklake", "sqlite") if is_sqlite else connect("ducklake", "sqlite", "postgres", "httpfs")
    attach_lake(connection, settings.lake_address, settings.lake_data_address, is_read_only=True)
    connection.execute(
        f"ATTACH {_ledger_target(settings.ledger_address)} AS ledger ({_ledger_options(is_sqlite=is_sqlite)})"
    )
    connection.execute("CREATE SCHEMA latest")
    for table, columns in PUBLIC.items():
        names = ", ".join(f'"{name}"' for name in ("run_id", "as_of_date", *columns))
        connection.execute(f"CREATE VIEW main.{table} AS SELECT {names} FROM lake.{table}")
        connection.execute(sql("latest_view").format(table=table))
    for name, (table, money) in LEDGER_VIEWS.items():
        amounts = ", ".join(f"CAST({column} AS DECIMAL(38, 6)) AS {column}" for column in money)
        columns = f"* REPLACE ({amounts})" if money else "*"
        connection.execute(f"CREATE VIEW main.{name} AS SELECT {columns} FROM ledger.{table}")
    return connection


def _ledger_target(address: str) -> str:
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite":
        return quoted(str(url.database))
    parts = {"host": url.host, "port": url.port, "dbname": url.database, "user": url.username, "password": url.password}
    return quoted(" ".join(f"{name}={value}" for name, value in parts.items() if value is not None))


def _ledger_options(*, is_sqlite: bool) -> str:
    return "TYPE sqlite, READ_ONLY" if is_sqlite else "TYPE postgres, READ_ONLY"
