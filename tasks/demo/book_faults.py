"""Breaks about one row in a thousand of the sample book, in the ways that real files are broken.

The accounts to hit are drawn once, and the kinds of fault dealt out to them in turn, so that a book of 2,000 accounts has
every kind. Faults of lots hit two lots of an account: a feed seldom breaks one row only. A number written as text needs
CSV; in Parquet, which is typed, those lots have a quantity of -1 instead.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import numpy as np
import polars as pl

from schemas.units import EXACT
from tasks.demo.book_accounts import ACTIVE
from tasks.demo.book_types import AccountDraw, Ints, LotDraw


class Fault(StrEnum):
    """Ways in which a row is broken, in the order in which they are dealt out."""

    DUPLICATE_LOT = "duplicate_lot"
    MISSING_CASH = "missing_cash"
    UNKNOWN_SECURITY = "unknown_security"
    ORPHAN_LOTS = "orphan_lots"
    NEGATIVE_QUANTITY = "negative_quantity"
    FOREIGN_CURRENCY = "foreign_currency"
    UNSAFE_ID = "unsafe_id"
    MINUS_ONE = "minus_one"
    DUPLICATE_ACCOUNT = "duplicate_account"
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_TAX_STATUS = "unknown_tax_status"
    NO_NUMBER = "no_number"
    THOUSANDS_COMMA = "thousands_comma"
    NOT_A_NUMBER = "not_a_number"


TEXTS: Final = {Fault.NO_NUMBER: "n/a", Fault.THOUSANDS_COMMA: "1,000.00", Fault.NOT_A_NUMBER: "NaN"}
"""Quantities as they stand in a broken CSV file."""
HIT_SHARE: Final = 0.0115
"""Accounts with a fault; with two or so rows each, one row in a thousand."""
LOTS_HIT: Final = 2
SMALL_BOOK: Final = 50
"""A smaller book loses no account: only lots that belong to nobody are added."""

Hits = dict[Fault, Ints]
"""Positions of the accounts that each fault hits."""


def draw_hits(rng: np.random.Generator, accounts: AccountDraw, lots: LotDraw) -> Hits:
    """Active accounts with lots enough to break, each hit once."""
    held = np.bincount(lots.account, minlength=len(accounts))
    candidates = rng.permutation(np.flatnonzero((accounts.status == ACTIVE) & (held > LOTS_HIT)))
    if len(accounts) < SMALL_BOOK:
        return {fault: candidates[: fault is Fault.ORPHAN_LOTS] for fault in Fault}
    count = max(min(3, len(accounts) // SMALL_BOOK), round(HIT_SHARE * len(accounts)))
    hit = candidates[:count]
    return {fault: np.sort(hit[place :: len(Fault)]) for place, fault in enumerate(Fault)}


def break_accounts(frame: pl.DataFrame, hits: Hits) -> tuple[pl.DataFrame, int]:
    """Return ``accounts`` with its faults, and how many rows are broken now."""
    frame = frame.with_columns(
        currency=_with_values(frame["currency"], hits[Fault.FOREIGN_CURRENCY], "EUR"),
        model_id=_with_values(frame["model_id"], hits[Fault.UNKNOWN_MODEL], "retired_model"),
        tax_status=_with_values(frame["tax_status"], hits[Fault.UNKNOWN_TAX_STATUS], "sheltered"),
    )
    twice, unsafe = hits[Fault.DUPLICATE_ACCOUNT], hits[Fault.UNSAFE_ID]
    rows, is_copy = _with_copies(frame.height, [twice, unsafe])
    is_unsafe = is_copy & np.isin(rows, unsafe)
    frame = frame[rows].with_columns(
        account_id=pl.when(pl.Series(is_unsafe)).then("../" + pl.col("account_id")).otherwise("account_id")
    )
    edited = sum(len(hits[fault]) for fault in (Fault.FOREIGN_CURRENCY, Fault.UNKNOWN_MODEL, Fault.UNKNOWN_TAX_STATUS))
    return frame, edited + 2 * len(twice) + len(unsafe)


def break_cash(frame: pl.DataFrame, hits: Hits) -> tuple[pl.DataFrame, int]:
    """Return ``cash`` without the rows that went missing, and how many those are."""
    missing = hits[Fault.MISSING_CASH]
    is_kept = np.ones(frame.height, dtype=np.bool_)
    is_kept[missing] = False
    return frame.filter(pl.Series(is_kept)), len(missing)


def break_lots(frame: pl.DataFrame, lots: LotDraw, hits: Hits, *, is_text: bool) -> tuple[pl.DataFrame, int]:
    """Return ``lots`` with its faults, and how many rows are broken now. ``is_text``: the quantity becomes text as in a CSV file."""
    rows = {fault: first_lots(lots, hit, LOTS_HIT) for fault, hit in hits.items()}
    texts = np.concatenate([rows[fault] for fault in TEXTS])
    quantity = _with_values(frame["quantity"], np.append(rows[Fault.MINUS_ONE], texts), -1)
    negative = rows[Fault.NEGATIVE_QUANTITY]
    quantity = _with_values(quantity, negative, -quantity.cast(pl.Float64).gather(pl.Series(negative)).cast(EXACT))
    if is_text:
        quantity = quantity.cast(pl.String)
        for fault, text in TEXTS.items():
            quantity = _with_values(quantity, rows[fault], text)
    unknown = rows[Fault.UNKNOWN_SECURITY]
    security_id = _with_values(frame["security_id"], unknown, frame["security_id"].gather(pl.Series(unknown)) + ".OLD")
    edited = len(texts) + sum(len(rows[f]) for f in (Fault.MINUS_ONE, Fault.NEGATIVE_QUANTITY, Fault.UNKNOWN_SECURITY))
    broken, added = _with_added_lots(
        frame.with_columns(quantity.alias("quantity"), security_id.alias("security_id")), lots, hits
    )
    return broken, edited + added


def first_lots(lots: LotDraw, accounts: Ints, count: int) -> Ints:
    """Rows of the first ``count`` lots of each of the accounts."""
    first = np.searchsorted(lots.account, accounts)
    return (first[:, None] + np.arange(count)).ravel()


def _with_added_lots(frame: pl.DataFrame, lots: LotDraw, hits: Hits) -> tuple[pl.DataFrame, int]:
    """Lots that come twice, and lots of accounts that do not exist, whose names sort after the account they are copied from."""
    twice = first_lots(lots, hits[Fault.DUPLICATE_LOT], 1)
    nobodys = first_lots(lots, hits[Fault.ORPHAN_LOTS], LOTS_HIT)
    rows, is_copy = _with_copies(frame.height, [twice, nobodys])
    is_orphan = is_copy & np.isin(rows, nobodys)
    order = np.lexsort((is_orphan, lots.account[rows])) if len(nobodys) else np.arange(len(rows))
    account_id = pl.when(pl.Series(is_orphan[order])).then(pl.col("account_id") + "X").otherwise("account_id")
    broken = frame[rows[order]].with_columns(account_id=account_id)
    return broken, 2 * len(twice) + len(nobodys)


def _with_copies(height: int, copied: Sequence[Ints]) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Rows 0, 1, ... with the copied ones a second time behind the first, and which of them are copies."""
    rows = np.concatenate([np.arange(height), *copied])
    is_copy = np.arange(len(rows)) >= height
    order = np.argsort(rows, kind="stable")
    return rows[order], is_copy[order]


def _with_values(values: pl.Series, rows: Ints, value: pl.Series | str | int) -> pl.Series:
    """Return the values with others in the given rows."""
    if len(rows) == 0:
        return values
    new = value if isinstance(value, pl.Series) else pl.Series([value] * len(rows)).cast(values.dtype)
    return values.clone().scatter(pl.Series(rows), new)
