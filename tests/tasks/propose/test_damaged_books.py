"""Whole books damaged at random, gated and proposed in memory: nothing breaks off, every account has an outcome, and what was damaged is not traded.

The referee knows nothing of rules: it compares what the damaged files read as, cell by cell, with what the sound ones did.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import cache
from random import Random
from typing import Final

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InputRefused
from schemas.landing import dtypes
from tasks.core.gate.parsing import parse
from tests.support.examples import at_most
from tests.support.night_book import Tables, landed_book, night

ACCOUNTS: Final = 24
OWN: Final = ("accounts", "lots", "cash", "account_totals")
"""What is damaged of accounts; restrictions and trades that are dropped leave no trace on a first night."""
Rows = list[list[str]]
Damage = Callable[[Random, Rows], None]


@cache
def sound() -> tuple[Tables, date]:
    return landed_book(ACCOUNTS, seed=5)


def as_text(table: str, rows: pl.DataFrame) -> Rows:
    """Header and cells as a file has them."""
    return list(csv.reader(io.StringIO(rows.select(list(dtypes(table))).write_csv())))


def read(table: str, rows: Rows) -> pl.DataFrame:
    """The rows as parsed; a line with too few or too many cells has its line for a cell, as the reader does it."""
    head, width = rows[0], len(rows[0])
    cells = [row if len(row) == width else [""] * width for row in rows[1:]]
    lines = [None if len(row) == width else ",".join(row) for row in rows[1:]]
    frame = pl.DataFrame(cells, schema=dict.fromkeys(head, pl.String), orient="row")
    frame = frame.with_columns(pl.when(pl.col(name) != "").then(name).alias(name) for name in head)
    if any(line is not None for line in lines):
        frame = frame.with_columns(pl.Series("line", lines, dtype=pl.String))
    return parse(table, frame, is_text=True)


def place(rng: Random, rows: Rows) -> int:
    return rng.randrange(1, len(rows))


def shift(rng: Random, rows: Rows) -> None:
    at = place(rng, rows)
    rows[at] = ["", *rows[at][:-1]] if rng.random() < 0.5 else [*rows[at][1:], ""]


def drop(rng: Random, rows: Rows) -> None:
    del rows[place(rng, rows)]


def double(rng: Random, rows: Rows) -> None:
    at = place(rng, rows)
    rows.insert(rng.randrange(1, len(rows)), list(rows[at]))


def respell(rng: Random, rows: Rows) -> None:
    at, column = place(rng, rows), rng.randrange(len(rows[0]))
    wide = {ord(str(digit)): 0xFF10 + digit for digit in range(10)}
    ways = [
        lambda text: text.translate(wide),
        lambda text: text.lower(),
        lambda text: f'="{text}"',
        lambda text: text.replace("0", "O"),
        lambda text: text.replace(".", ","),
        lambda text: "1.23E+11" if text[1:].isdigit() else text,
    ]
    rows[at][column] = rng.choice(ways)(rows[at][column])


def space(rng: Random, rows: Rows) -> None:
    at, column = place(rng, rows), rng.randrange(len(rows[0]))
    rows[at][column] = rng.choice([" {}", "{}\u00a0", "\t{}", "{} ", "\u2007{}"]).format(rows[at][column])


def cut(rng: Random, rows: Rows) -> None:
    at = rng.randrange(max(1, len(rows) * 2 // 3), len(rows))
    rows[at] = rows[at][: rng.randrange(1, len(rows[at]))]
    del rows[at + 1 :]


def misdate(rng: Random, rows: Rows) -> None:
    dates = [n for n, name in enumerate(rows[0]) if name.endswith("_date")]
    if dates:
        rows[place(rng, rows)][dates[0]] = rng.choice(["2022-13-45", "12/28/2022", "20221228", "2999-01-01", "28 Dec"])


def swap(rng: Random, rows: Rows) -> None:
    """Two headers: what stands in one column is taken for the other."""
    one, other = rng.sample(range(len(rows[0])), 2)
    rows[0][one], rows[0][other] = rows[0][other], rows[0][one]


def misread(rng: Random, rows: Rows) -> None:
    """Bytes read in another encoding."""
    at, column = place(rng, rows), rng.randrange(len(rows[0]))
    rows[at][column] = f"{rows[at][column]}\u00c3\u00a9" if rng.random() < 0.5 else f"\ufeff{rows[at][column]}\ufffd"


KINDS: Final[tuple[Damage, ...]] = (shift, drop, double, respell, space, cut, misdate, misread)
OF_TABLES: Final[dict[str, tuple[Damage, ...]]] = {
    "accounts": (shift, double, respell, space, misread),
    "lots": (*KINDS, swap),
    "cash": (*KINDS, swap),
    "account_totals": (space, double),
    "prices": KINDS,
    "model_targets": (shift, double, space, cut, drop),
    "policies": (double, space),
}
"""Only damage that the night itself can tell: another number in the place of a number is one that somebody meant."""


def damaged(seed: int) -> Tables:
    rng = Random(seed)  # noqa: S311 - a test's choices
    book, _ = sound()
    texts = {table: as_text(table, book[table]) for table in OF_TABLES}
    for _ in range(rng.randint(1, 3)):
        table = rng.choice(sorted(texts))
        if len(texts[table]) > 2:
            rng.choice(OF_TABLES[table])(rng, texts[table])
    return book | {table: read(table, rows) for table, rows in texts.items()}


def cells(table: str, rows: pl.DataFrame, key: str) -> dict[str, Counter[str]]:
    """What reads under each name, whatever the order of rows."""
    found: dict[str, Counter[str]] = {}
    for row in rows.select(list(dtypes(table))).iter_rows(named=True):
        found.setdefault(str(row[key]), Counter())[str(row)] += 1
    return found


def differing(table: str, tonight: Tables, key: str) -> set[str]:
    then, now = (cells(table, tables[table], key) for tables in (sound()[0], tonight))
    return {name for name in then.keys() | now.keys() if then.get(name) != now.get(name)}


def touched(tonight: Tables) -> set[str]:
    """Accounts of which a row of their own, or one that values or governs them, reads otherwise."""
    book, _ = sound()
    found = {name for table in OWN for name in differing(table, tonight, "account_id")}
    moved = differing("prices", tonight, "security_id")
    found |= set(book["lots"].filter(pl.col("security_id").is_in(sorted(moved)))["account_id"])
    for table, key in (("model_targets", "model_id"), ("policies", "policy_id")):
        of = differing(table, tonight, key)
        found |= set(book["accounts"].filter(pl.col(key).is_in(sorted(of)))["account_id"])
    return found


@settings(max_examples=at_most(12), deadline=None)
@given(st.integers(0, 2**32))
def test_what_was_damaged_is_not_traded_and_every_account_has_one_outcome(seed: int) -> None:
    tonight, as_of = damaged(seed), sound()[1]
    try:
        frames = night(tonight, as_of)
    except InputRefused:
        return
    delivered = tonight["accounts"]["account_id"].drop_nulls().unique()
    outcomes = frames["account_outcomes"]["account_id"]
    assert outcomes.is_unique().all()
    assert set(delivered) <= set(outcomes)
    traded = set(frames["orders"]["account_id"])
    assert not traded & touched(tonight)


def test_the_sound_book_reads_as_it_was_and_trades() -> None:
    book, as_of = sound()
    again = book | {table: read(table, as_text(table, book[table])) for table in OF_TABLES}
    assert touched(again) == set()
    assert night(again, as_of)["orders"].height > 0
