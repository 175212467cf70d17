"""Whole nights of damaged sample books: one to three rows of any tables, damaged as files are.

`DAMAGED_BOOKS=200 python -m pytest -s` tries more of them and shows what became of them, by table.
"""

import os
from collections import Counter

import numpy as np
import polars as pl
import pytest

from schemas.errors import InputRefused
from schemas.landing import OPTIONAL_COLUMNS
from schemas.landing_columns import dtypes
from tasks.core.gate.parsing import parse
from tasks.core.propose.conservation import outcome_gaps
from tasks.demo.book import book_parts
from tasks.demo.book_reference import reference_tables
from tasks.demo.sample import read_market
from tests.support.examples import at_most
from tests.support.landing_book import AS_OF
from tests.support.night_book import night

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1
ACCOUNTS = 40
BOOKS = int(os.environ.get("DAMAGED_BOOKS", at_most(8)))
FREE = ("name", "symbol", "custodian", "lot_id", "cusip", "isin")
"""Words that nothing can be checked against, or that decide nothing."""
NAMES = ("account_id", "security_id", "model_id", "policy_id", "household_id")
Tables = dict[str, pl.DataFrame]


def as_text() -> Tables:
    """The sample book as a file of text has it."""
    market = read_market()
    (part,) = book_parts(market, account_count=ACCOUNTS, seed=3)
    raw = {**reference_tables(market), **part.tables}
    return {name: rows.select(pl.all().cast(pl.String)) for name, rows in raw.items() if rows.height}


def read(tables: Tables) -> Tables:
    """Parsed, with the columns that a source may leave out."""
    return {name: read_table(name, rows) for name, rows in tables.items()}


def read_table(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    missing = [one for one in dtypes(name) if one in OPTIONAL_COLUMNS.get(name, ()) and one not in rows.columns]
    return parse(name, rows.with_columns(pl.lit(None, pl.String).alias(one) for one in missing), is_text=True)


def damaged_cell(rng: np.random.Generator, table: str, column: str, was: str) -> str | None:
    """What may stand in a cell instead: blank, rubbish, or what a program or a person makes of the same text."""
    ways = ["#N/A", "???", "1.2.3" if was[:1].isdigit() else "~"]
    if column not in OPTIONAL_COLUMNS[table]:
        ways.append("")
    if column in NAMES:
        ways += [was.lower(), f" {was}", f"{was}\u00a0", f'="{was}"', f"{was[0]} {was[1:]}", f"{was[0]}-{was[1:]}"]
    elif column != "asset_class" and was[:1].isdigit():
        ways += [f" {was} ", f"{was}x", f"{was[0]}O{was[1:]}"]
    return str(rng.choice(ways)) or None


def concerned(tables: Tables, table: str, row: dict[str, str | None]) -> set[str]:
    """Accounts whose value, or a rule about them, depends on the row."""
    accounts = tables["accounts"].drop_nulls("account_id")
    joint = tables["households"].select("household_id", joint_model="model_id", joint_policy="policy_id")
    terms = accounts.join(joint, on="household_id", how="left").with_columns(
        model_id=pl.coalesce("joint_model", "model_id"), policy_id=pl.coalesce("joint_policy", "policy_id")
    )
    if table == "account_totals":
        return set()  # it vouches for an account: without it a person looks at what would trade
    if table in {"accounts", "lots", "cash", "trades", "restrictions"}:
        return {str(row["account_id"])} if row["account_id"] else set(accounts["account_id"])
    if table in {"securities", "prices"}:
        return set(tables["lots"].filter(pl.col("security_id") == row["security_id"])["account_id"])
    if table in {"model_targets", "buy_list", "location_preferences"}:
        return set(terms.filter(pl.col("model_id") == row["model_id"])["account_id"])
    if table == "policies":
        return set(terms.filter(pl.col("policy_id") == row["policy_id"])["account_id"])
    return set(accounts.filter(pl.col("household_id") == row["household_id"])["account_id"])


def test_no_account_is_traded_on_a_damaged_row_and_every_account_has_an_outcome() -> None:
    sound = as_text()
    typed, seen, rng = read(sound), Counter[tuple[str, str]](), np.random.default_rng(5)
    for book in range(BOOKS):
        tables, losers, touched = dict(sound), set[str](), set[str]()
        for _ in range(int(rng.integers(1, 4))):
            table = str(rng.choice(sorted(set(sound) - {"corporate_actions"})))
            place = int(rng.integers(sound[table].height))
            row = sound[table].row(place, named=True)
            column = str(rng.choice([one for one, cell in row.items() if cell is not None and one not in FREE]))
            cell = damaged_cell(rng, table, column, str(row[column]))
            here = pl.int_range(pl.len()) == place
            changed = pl.when(here).then(pl.lit(cell, pl.String)).otherwise(column).alias(column)
            tables[table] = tables[table].with_columns(changed)
            found = read_table(table, tables[table]).select(dtypes(table).keys())
            is_same = found.equals(typed[table].select(dtypes(table).keys()))
            seen[table, "reads as it was" if is_same else "damaged"] += 1
            touched.add(table)
            losers |= set() if is_same else concerned(sound, table, row)
        try:
            frames = night(read(tables), AS_OF)
        except InputRefused:
            seen["books", "refused"] += 1
            continue
        landed = tables["accounts"]["account_id"].drop_nulls().unique()
        traded = set(frames["proposals"]["account_id"])
        seen["books", "read"] += 1
        seen["accounts", "traded"] += len(traded)
        seen["accounts", "not traded for a damaged row"] += len(losers)
        assert not traded & losers, (book, sorted(touched), sorted(traded & losers))
        readable = read(tables)["accounts"]["account_id"].drop_nulls().unique()
        gaps = outcome_gaps(readable, frames["account_outcomes"])
        assert gaps.is_empty(), (book, sorted(touched), landed.len(), gaps)
    for (what, became), count in sorted(seen.items()):
        print(f"{what:>22} {became:<32} {count:>6,}")
    assert seen["books", "read"] > BOOKS / 2
    assert seen["accounts", "traded"] > 0
