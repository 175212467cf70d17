"""The read side: SQL over the public tables, nothing else and never a write.

The public tables hold every run; ``latest.<table>`` holds the newest run that has rows in it, but for those of the lab's studies. ``runs`` and ``queue`` (the state of
each proposal), ``decisions``, ``exports`` and what follows them, ``inputs``, ``row_releases``, ``halts`` and ``audit`` come from the ledger.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import duckdb
import polars as pl
import sqlalchemy as sa

from schemas.errors import Retryable, WrongUsage
from schemas.lab_tables import LAB
from schemas.settings import Settings
from schemas.tables import PUBLIC
from warehouse.faults import is_passing, translate_damage
from warehouse.lake.attach import attach_lake, sql
from warehouse.lake.connection import connect, sql_literal
from warehouse.lake.sharing import Sharing
from warehouse.lake.tables import absent, sql_type

LEDGER_VIEWS: Final = {
    "runs": ("runs", ()),
    "queue": ("proposals", ("nav_usd", "gross_value_usd", "est_tax_usd", "est_cost_usd")),
    "decisions": ("decisions", ()),
    "model_queue": ("model_changes", ("nav_usd", "gross_value_usd", "est_tax_usd", "est_cost_usd")),
    "model_decisions": ("change_decisions", ()),
    "exports": ("exports", ()),
    "export_orders": ("export_orders", ("quantity", "quantity_step", "price_usd", "price_factor", "amount_usd")),
    "deliveries": ("deliveries", ()),
    "executions": ("executions", ("quantity", "price_usd", "fees_usd")),
    "executions_aside": ("executions_aside", ("quantity", "price_usd")),
    "order_states": ("order_states", ("filled_quantity", "average_price_usd", "gross_usd", "fees_usd")),
    "order_breaks": ("order_breaks", ("ordered_quantity", "filled_quantity", "amount_usd")),
    "inputs": ("inputs", ()),
    "row_releases": ("row_releases", ()),
    "halts": ("halts", ()),
    "audit": ("audit", ()),
}
"""Public name: table of the ledger, and its columns of money (text in SQLite, so that nothing is lost)."""
OF_NO_RUN: Final = frozenset(
    {
        *LAB,
        "decisions",
        "model_decisions",
        "halts",
        "export_orders",
        "deliveries",
        "executions",
        "executions_aside",
        "order_states",
        "order_breaks",
    }
)
"""Views of no night: a study is none, a decision names its proposal, an order its export, a halt stops every run."""

VERSIONED: Final = {"proposals": "versions_view", "orders": "versions_view", "lot_relief": "version_lots_view"}
"""Public tables of which the ledger has the versions that people made, and how their views are told."""

PLACES: Final = frozenset((catalog, schema) for catalog in ("", "memory") for schema in ("", "main", "latest"))
"""Where the views are. A schema may be asked for by the name of an attached database, which is why that is none of them."""
HIDDEN: Final = re.compile(r"(sqlite|postgres|pg|ducklake|duckdb|pragma)_\w+|query(_table)?")
"""Functions that reach past the views: into other databases, or into text that is run as SQL."""


def query(settings: Settings, text: str) -> pl.DataFrame:
    """The rows that one SELECT gives.

    Raises
    ------
    WrongUsage
        The text is not one statement that only reads the public tables, or DuckDB cannot run it.
    Retryable
        Lake or ledger cannot be reached.
    """
    try:
        need_one_select(text)
        with open_reader(settings) as connection, Sharing.of(settings.lake_address).shared(), translate_damage():
            return connection.sql(text).pl()
    except duckdb.Error as error:
        if is_passing(error):  # what DuckDB says of it has the address with the password
            raise Retryable("lake or ledger cannot be reached\n\nHint: try again when their servers answer.") from None
        raise WrongUsage(f"the query cannot be run: {error}\n\nHint: tables are {', '.join(public_names())}.") from None


def need_one_select(text: str) -> None:
    """Refuse what is not one SELECT over tables and ordinary functions.

    Raises
    ------
    WrongUsage
        It is not.
    """
    with connect() as bare:
        statements = bare.extract_statements(text)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise WrongUsage("`trimtab query` takes one SELECT; it only reads")
        (parsed,) = bare.execute(f"SELECT json_serialize_sql({sql_literal(text)})").fetchall()
    foreign = sorted(set(_foreign_tables(json.loads(parsed[0]))))
    if foreign:
        raise WrongUsage(
            f"`trimtab query` reads the public tables only, not {', '.join(foreign)}\n\nHint: tables are {', '.join(public_names())}."
        )
    hidden = sorted(word for word in _names_in(text) if HIDDEN.fullmatch(word))
    if hidden:
        raise WrongUsage(f"`trimtab query` reads the public tables only, not {', '.join(hidden)}")


def _foreign_tables(node: Any) -> Iterator[str]:
    """Tables that a statement as DuckDB parsed it names in a place where the views are not; one that cannot be parsed so is one itself."""
    if isinstance(node, dict):
        if node.get("error") is True:
            yield "what DuckDB cannot take apart"
        place = tuple(str(node.get(name) or "").lower() for name in ("catalog_name", "schema_name"))
        if node.get("type") == "SHOW_REF" or (node.get("type") == "BASE_TABLE" and place not in PLACES):
            yield ".".join(filter(None, (*place, str(node.get("table_name") or "the list of tables"))))
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _foreign_tables(each)


def _names_in(text: str) -> set[str]:
    """Every word of a statement that is not part of a string or a remark, in lower case."""
    source = text.encode()
    tokens = [source[start:] for start, kind in duckdb.tokenize(text) if kind != duckdb.token_type.string_const]
    words = (re.match(rb'"?(\w+)', token) for token in tokens)
    return {word[1].decode().lower() for word in words if word}


def public_names() -> list[str]:
    """Every table that a query may read."""
    return sorted([*PUBLIC, *LAB, *LEDGER_VIEWS])


def open_reader(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection with the public views; lake and ledger are attached read-only, and no other file can be read.

    A lake of an earlier version is brought up to date first.
    """
    is_sqlite = settings.ledger_address.startswith("sqlite")
    connection = connect("ducklake", "sqlite") if is_sqlite else connect("ducklake", "sqlite", "postgres", "httpfs")
    addresses = settings.lake_address, settings.lake_data_address
    attach_lake(connection, *addresses, is_read_only=True)
    public = {**PUBLIC, **LAB}
    if absent(connection, public):
        connection.execute("DETACH lake")
        _open_as_steps_do(settings)
        attach_lake(connection, *addresses, is_read_only=True)
    connection.execute(
        f"ATTACH {_ledger_target(settings.ledger_address)} AS ledger ({_ledger_options(is_sqlite=is_sqlite)})"
    )
    connection.execute("CREATE SCHEMA latest")
    for table, columns in public.items():
        names = ", ".join(f'"{name}"' for name in ("run_id", "as_of_date", *columns))
        connection.execute(
            sql(VERSIONED.get(table, "public_view")).format(table=table, names=names, **_column_types(columns))
        )
        if table not in OF_NO_RUN:
            connection.execute(sql("latest_view").format(table=table))
    for name, (table, money) in LEDGER_VIEWS.items():
        amounts = ", ".join(f"CAST({column} AS DECIMAL(38, 6)) AS {column}" for column in money)
        shown = f"* REPLACE ({amounts})" if money else "*"
        connection.execute(f"CREATE VIEW main.{name} AS SELECT {shown} FROM ledger.{table}")
        if name not in OF_NO_RUN:
            connection.execute(sql("latest_ledger_view").format(view=name))
    _close_off(connection, settings.lake_data_address)
    return connection


def _column_types(columns: Mapping[str, pl.DataType]) -> dict[str, str]:
    """Columns of the ledger's versions as the lake has them: SQLite keeps money as text."""
    typed = (f'CAST(a."{name}" AS {sql_type(dtype)}) AS "{name}"' for name, dtype in columns.items())
    return {"typed": ", ".join(typed)}


def _open_as_steps_do(settings: Settings) -> None:
    from warehouse.lake.lake import open_lake  # noqa: PLC0415 - it brings the landing contract with it, a second

    open_lake(settings)


def _close_off(connection: duckdb.DuckDBPyConnection, lake_data_address: str) -> None:
    """From here on the connection opens no file but the lake's, and that cannot be undone."""
    connection.execute(f"SET allowed_directories = [{sql_literal(lake_data_address.rstrip('/') + '/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _ledger_target(address: str) -> str:
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite":
        return sql_literal(str(url.database))
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - beside SQLite there is no need of it

    parts = {**url.translate_connect_args(username="user", database="dbname"), **url.query}
    return sql_literal(make_conninfo(**parts))


def _ledger_options(*, is_sqlite: bool) -> str:
    return "TYPE sqlite, READ_ONLY" if is_sqlite else "TYPE postgres, READ_ONLY"
