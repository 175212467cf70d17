"""A small sound book as a source would deliver it, and ways to spoil it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from schemas.landing_columns import dtypes
from schemas.sources import Source
from tasks.core.gate import Gated, GatedAccounts, Places, gate_accounts, gate_globals, whole_files
from tasks.core.gate.parsing import parse
from tasks.pull.inputs import take

AS_OF = date(2026, 1, 5)
GLOBAL_TABLES = (
    "securities",
    "prices",
    "model_targets",
    "policies",
    "buy_list",
    "restrictions",
    "households",
    "location_preferences",
)
ACCOUNT_TABLES = ("accounts", "lots", "cash", "restrictions", "trades")

BOOK = {
    "accounts": """
        account_id | household_id | custodian | tax_status | model_id | policy_id | status | short_term_rate | long_term_rate | cash_reserve_usd | ytd_short_gain_usd | ytd_long_gain_usd
        A1         | H1           | Acme      | taxable    | growth   | plain     | active | 0.37            | 0.20           | 0                | 0                  | -12.5
        A2         | H1           | Acme      | tax_exempt | growth   | plain     | active | 0               | 0              | 100              | 0                  | 0
        A3         |              | Other     | taxable    | income   | plain     | frozen | 0.24            | 0.15           | 0                | 0                  | 0
    """,
    "lots": """
        account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
        A1         | STK         | 1      | 10       | 90            | 2020-01-02
        A1         | BND         | 1      | 5.5      |               |
        A2         | STK         | 1      | 7        | 0             | 2021-03-04
        A3         | BND         | 1      | 3        | 50            | 2022-05-06
    """,
    "cash": """
        account_id | settled_usd | pending_usd
        A1         | 100         | 0
        A2         | -5.25       | 10
        A3         | 0           | 0
    """,
    "securities": """
        security_id | symbol | name      | asset_class | security_type | quantity_step | half_spread_bps | is_tradable
        STK         | STK    | Stock ETF | stocks      | etf           | 1             | 1.5             | true
        BND         | BND    | Bond ETF  | bonds       | etf           | 0.001         | 2               | true
        OLD         | OLD    | Old share | stocks      | equity        | 1             | 20              | false
    """,
    "prices": """
        security_id | price_usd | price_date
        STK         | 101.25    | 2026-01-05
        BND         | 50        | 2026-01-05
        OLD         | 3         | 2026-01-05
    """,
    "model_targets": """
        model_id | asset_class | target_weight | absolute_band | relative_band
        growth   | stocks      | 0.7           | 0.05          | 0.25
        growth   | bonds       | 0.28          | 0.05          |
        growth   | cash        | 0.02          |               |
        income   | bonds       | 0.9           | 0.05          |
        income   | cash        | 0.1           |               |
    """,
    "policies": """
        policy_id | tracking_penalty | is_harvesting | max_realized_gain_usd
        plain     | 2                | false         |
    """,
    "buy_list": """
        model_id | asset_class | security_id | rank | tax_status
        growth   | stocks      | STK         | 1    |
        growth   | bonds       | BND         | 1    | taxable
        income   | bonds       | BND         | 1    |
    """,
    "restrictions": """
        account_id | security_id | rule       | until_date | min_quantity | max_quantity | min_value_usd | max_value_usd
        A1         | STK         | no_sell    | 2026-02-01 |              |              |               |
                   | OLD         | no_trade   |            |              |              |               |
        A2         | STK         | hold_range |            | 2            | 9.5          |               | 1000
    """,
    "households": """
        household_id | model_id | policy_id
        H1           | growth   | plain
    """,
    "location_preferences": """
        model_id | asset_class | tax_status | cost_bps
        growth   | bonds       | taxable    | 12.5
    """,
    "trades": """
        account_id | security_id | trade_date | side | quantity | price_usd | realized_gain_usd
        A1         | STK         | 2025-12-20 | sell | 2        | 100       | -30
        A2         | BND         | 2025-12-21 | buy  | 1        | 49        |
    """,
}
"""Every row of it is good; OLD is held by nobody."""


def rows_of(text: str) -> pl.DataFrame:
    """The table drawn in ``text``, all cells text, an empty cell null."""
    lines = [
        [cell.strip() or None for cell in line.split("|")] for line in text.strip("\n").splitlines() if line.strip()
    ]
    return pl.DataFrame(lines[1:], schema=dict.fromkeys([str(name) for name in lines[0]], pl.String), orient="row")


def sound_book() -> dict[str, pl.DataFrame]:
    """Every table as text."""
    return {table: rows_of(text) for table, text in BOOK.items()}


def spoilt(table: str, row: int, **cells: str | None) -> dict[str, pl.DataFrame]:
    """The book with cells of one row (1 = first) replaced."""
    book = sound_book()
    here = pl.int_range(pl.len()) == row - 1
    changes = [
        pl.when(here).then(pl.lit(value, dtype=pl.String)).otherwise(name).alias(name) for name, value in cells.items()
    ]
    book[table] = book[table].with_columns(changes)
    return book


def with_row(table: str, **cells: str) -> dict[str, pl.DataFrame]:
    """The book with one more row at the end of a table; cells not named are null."""
    book = sound_book()
    row = pl.DataFrame({name: [cells.get(name)] for name in book[table].columns}, schema=book[table].schema)
    book[table] = pl.concat([book[table], row])
    return book


def parsed(book: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Every table of the book, parsed as text; the same rows once: most tests spoil one table."""
    return {table: _parsed_table(table, rows) for table, rows in book.items()}


def _parsed_table(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    key = (table, rows.serialize())
    if key not in _parsed_tables:
        _parsed_tables[key] = parse(table, rows, is_text=True)
    return _parsed_tables[key]


_parsed_tables: dict[tuple[str, bytes], pl.DataFrame] = {}


def gated(tables: Mapping[str, pl.DataFrame]) -> tuple[Gated, GatedAccounts]:
    """Both gates over parsed tables, every file called ``<table>.csv``."""
    places = whole_files({table: f"{table}.csv" for table in tables})
    common = gated_commons(tables, places)
    own = {name: rows for name, rows in tables.items() if name in {*ACCOUNT_TABLES, "account_totals"}}
    return common, gate_accounts(own, common, places, AS_OF)


def gated_commons(tables: Mapping[str, pl.DataFrame], places: Places, as_of: date = AS_OF) -> Gated:
    """``gate_globals`` over the global tables among these, asked once for the same rows: most tests spoil something else."""
    commons = {name: tables[name] for name in GLOBAL_TABLES if name in tables}
    key = (as_of, repr(places), *((name, rows.serialize()) for name, rows in commons.items()))
    if key not in _gated_commons:
        _gated_commons[key] = gate_globals(commons, places, as_of)
    return _gated_commons[key]


_gated_commons: dict[tuple[Any, ...], Gated] = {}


def write_book(folder: Path, book: Mapping[str, pl.DataFrame], kind: str) -> None:
    """The book as ``csv``, or as ``parquet`` with numbers as floats where every cell of a column is one."""
    for table, rows in book.items():
        if kind == "csv":
            rows.write_csv(folder / f"{table}.csv")
        else:
            _numbers_as_floats(table, rows).write_parquet(folder / f"{table}.parquet")


def _numbers_as_floats(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    numeric = [name for name, dtype in dtypes(table).items() if dtype.is_numeric() and name in rows.columns]
    return rows.with_columns(pl.col(numeric).cast(pl.Float64))


def landing_paths(folder: Path) -> dict[str, Path]:
    """File of each landing table that a night takes from the folder."""
    taken = take((Source(url=str(folder)).on(AS_OF),), folder)
    return {table: each.file.path for each in taken.inputs for table in each.tables}
