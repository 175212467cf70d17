"""A night after a night: the sound book's accounts with round holdings, what changed since, and what the gate made of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import polars as pl

from schemas.landing_columns import dtypes
from tasks.core.gate import (
    GatedAccounts,
    History,
    HistoryLimits,
    gate_accounts,
    holdings_of_both,
    infer_splits,
    split_candidates,
)
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, gated_commons, parsed, rows_of, sound_book

ACCEPTED = date(2026, 1, 2)
THEN = {
    "lots": """
        account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
        A1         | STK         | 1      | 100      | 90            | 2020-01-02
        A1         | STK         | 2      | 40       | 80            | 2021-01-04
        A1         | BND         | 1      | 100      | 50            | 2020-01-02
        A2         | STK         | 1      | 100      | 90            | 2020-01-02
        A3         | BND         | 1      | 100      |               |
    """,
    "cash": """
        account_id | settled_usd | pending_usd
        A1         | 1000        | 0
        A2         | 500         | 0
        A3         | 0           | 0
    """,
    "prices": """
        security_id | price_usd | price_date
        STK         | 100       | 2026-01-05
        BND         | 50        | 2026-01-05
        OLD         | 3         | 2026-01-05
    """,
    "trades": """
        account_id | security_id | trade_date | side | quantity | price_usd | realized_gain_usd
    """,
}
"""A1 (taxable) is worth 20,000: 14,000 of STK, 5,000 of BND, 1,000 of cash. A2 is tax-exempt, A3 taxable."""

Book = dict[str, pl.DataFrame]


def book_then() -> Book:
    """Every table of a night on which nothing changed, as text."""
    return sound_book() | {table: rows_of(text) for table, text in THEN.items()}


def with_cells(book: Book, table: str, row: int, **cells: str | None) -> Book:
    """The book with cells of one row (1 = first) replaced."""
    here = pl.int_range(pl.len()) == row - 1
    changed = [pl.when(here).then(pl.lit(text, pl.String)).otherwise(name).alias(name) for name, text in cells.items()]
    return book | {table: book[table].with_columns(changed)}


def with_rows(book: Book, table: str, *lines: str) -> Book:
    """The book with rows at the end of a table; cells as in ``a | b``."""
    cells = [[cell.strip() or None for cell in line.split("|")] for line in lines]
    return book | {table: pl.concat([book[table], pl.DataFrame(cells, schema=book[table].schema, orient="row")])}


def without_rows(book: Book, table: str, *rows: int) -> Book:
    """The book without those rows (1 = first) of a table."""
    return book | {table: book[table].with_row_index(offset=1).filter(~pl.col("index").is_in(rows)).drop("index")}


def with_total(book: Book, value: str) -> Book:
    """The book with what the custodian says that A1 is worth."""
    return book | {"account_totals": rows_of(f"account_id | value_usd | lot_count\nA1 | {value} |")}


def history_of(
    book: Mapping[str, pl.DataFrame], limits: HistoryLimits | None = None, accepted: date = ACCEPTED
) -> History:
    """The book as the night before, every account accepted."""
    tables = parsed({table: book[table] for table in ("accounts", "lots", "cash", "prices")})
    return History(
        lots=tables["lots"].select(name for name in dtypes("lots") if name != "is_frozen"),
        cash=tables["cash"].select(dtypes("cash").keys()),
        accepted=tables["accounts"].select("account_id", accepted_date=pl.lit(accepted)),
        prices=tables["prices"].select("security_id", "price_usd"),
        limits=limits or HistoryLimits(),
        priced_date=accepted,
    )


def judged(
    book: Mapping[str, pl.DataFrame], history: History | None = None, released: frozenset[str] = frozenset()
) -> GatedAccounts:
    """Both gates over the book after ``history``, which is ``book_then`` where it is not given; files are ``<table>``."""
    tables = parsed(book)
    common = gated_commons(tables, {})
    own = {name: rows for name, rows in tables.items() if name in {*ACCOUNT_TABLES, "account_totals", "flows"}}
    history = with_splits(tables, history or history_of(book_then()))
    return gate_accounts(own, common, {}, AS_OF, history=history, released=released)


def with_splits(tables: Mapping[str, pl.DataFrame], history: History) -> History:
    """The history with the splits that the whole book agrees on."""
    prices = tables["prices"].join(history.prices.rename({"price_usd": "price_then_usd"}), on="security_id")
    held = holdings_of_both(tables["lots"], history.lots, tables["trades"])
    candidates = split_candidates(held, prices)
    return replace(history, splits=infer_splits(held.filter(pl.col("security_id").is_in(candidates.implode())), prices))


def rules(book: Mapping[str, pl.DataFrame], history: History | None = None) -> dict[tuple[str, int], str]:
    """Rules of each quarantined row, by table and row number."""
    rows = judged(book, history).quarantine.select("table_name", "landed_row", "broken_rules").rows()
    return {(table, number): broken for table, number, broken in rows}


def sentences(book: Mapping[str, pl.DataFrame], history: History | None = None) -> list[str]:
    """Messages of the quarantined rows, without the place."""
    return [text.split(": ", 1)[1] for text in judged(book, history).quarantine["message"]]
