"""The sample book: accounts, lots and recent history on real daily prices, made part by part.

A part is up to ``PART_ACCOUNTS`` consecutive accounts. Each has a random generator of its own, spawned from the seed, so
that a book comes out the same however it is written, and a million accounts need the memory of one part. Every row of a
part comes from whole-array operations. What is drawn, and how, is said in the module of each step: ``book_reference``,
``book_policies``, ``book_investors``, ``book_accounts``, ``book_households``, ``book_holdings``, ``book_activity``, ``book_faults``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tasks.demo.book_accounts import account_ids, accounts_frame, draw_accounts
from tasks.demo.book_activity import (
    cash_frame,
    firm_restrictions,
    lots_frame,
    restrictions_frame,
    totals_frame,
    trades_frame,
)
from tasks.demo.book_faults import break_accounts, break_cash, break_lots, draw_hits
from tasks.demo.book_holdings import draw_lots, draw_weights
from tasks.demo.book_households import draw_managed, households_frame
from tasks.demo.book_investors import investors_frame
from tasks.demo.book_types import DailyCloses

PART_ACCOUNTS: Final = 50_000
ID_DIGITS: Final = 7
"""Digits of an account's number; more when the book needs them."""


@dataclass(frozen=True)
class BookPart:
    """Landing tables of consecutive accounts, each sorted by account, and how many of their rows were broken."""

    tables: dict[str, pl.DataFrame]
    broken_row_count: int


def book_parts(market: DailyCloses, *, account_count: int, seed: int, is_text: bool = False) -> Iterator[BookPart]:
    """Yield the book's tables with a row per account or more, part by part.

    Parameters
    ----------
    market
        Daily closes; the last date becomes the book's as-of date.
    account_count
        Accounts of the book, before faults add rows that duplicate them.
    seed
        Same seed, count and market: same book.
    is_text
        Make the quantity of lots text, some of it unreadable, as only a CSV file can have it.
    """
    width = max(ID_DIGITS, len(str(account_count)))
    starts = range(0, account_count, PART_ACCOUNTS)
    for start, sequence in zip(starts, np.random.SeedSequence(seed).spawn(len(starts)), strict=True):
        rng = np.random.default_rng(sequence)
        count = min(PART_ACCOUNTS, account_count - start)
        yield _part(rng, market, first=start + 1, count=count, width=width, is_text=is_text)


def _part(
    rng: np.random.Generator, market: DailyCloses, *, first: int, count: int, width: int, is_text: bool
) -> BookPart:
    accounts, managed = draw_managed(rng.spawn(1)[0], draw_accounts(rng, first=first, count=count))
    weights = draw_weights(rng, market, accounts)
    lots = draw_lots(rng, market, accounts, weights)
    hits = draw_hits(rng, accounts, lots)
    ids = account_ids(accounts.number, width=width)
    restrictions = restrictions_frame(rng, market, accounts, lots, ids)
    trades = trades_frame(rng, market, accounts, lots, ids)
    accounts_table, broken_accounts = break_accounts(accounts_frame(rng, accounts, width=width), hits)
    cash_sound = cash_frame(rng, accounts, weights, ids)
    cash_table, broken_cash = break_cash(cash_sound, hits)
    lots_sound = lots_frame(rng, market, lots, ids)
    lots_table, broken_lots = break_lots(lots_sound, lots, hits, is_text=is_text)
    tables = {
        "accounts": accounts_table,
        "lots": lots_table,
        "cash": cash_table,
        "restrictions": pl.concat([firm_restrictions(), restrictions]) if first == 1 else restrictions,
        "trades": trades,
        "households": households_frame(accounts, managed, width=width),
        "account_totals": totals_frame(market, lots, lots_sound, cash_sound),
        "investors": investors_frame(rng.spawn(1)[0], market, accounts, width=width),
    }
    return BookPart(tables, broken_accounts + broken_cash + broken_lots)
