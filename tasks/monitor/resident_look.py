"""The resident book of the newest night: loaded from the stores, kept up with the ledger, and looked at with quotes of a stream.

1. The book is what a look at files reads (``look_inputs``, ``book_shards``), kept in memory.
2. Prices: the last quote of each security, of shares and exchange-traded funds none older than ``stream_max_age_seconds``. What is not
   traded through the day, such as mutual funds, has the price of the files until a quote comes, and keeps it.
3. A security that must be quoted and is not has no price: accounts that hold it are not looked at, as in a look at files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.enums import SecurityType
from tasks.core.guards import price_moves
from tasks.core.monitor import (
    BookLook,
    BreachesNow,
    PricesNow,
    Quote,
    ResidentBook,
    breaches_now,
    look_at_book,
    resident_book,
    too_many_out,
)
from tasks.monitor.intraday_inputs import PRICES, BaseNight, FreshInputs, fresh_inputs
from tasks.monitor.look import LookInputs, book_shards, handled_models, look_inputs
from tasks.runtime import Stores

QUOTED: Final = (SecurityType.ETF, SecurityType.EQUITY)
"""What trades through the day: its price must come from the stream."""


@dataclass(frozen=True, slots=True)
class Resident:
    """The book, what it was loaded from, and what the ledger knew of it last.

    ``seq``: number of the newest row of the audit chain that it knows of. ``is_other``: targets are others than the night's. ``file_prices``: millionths by security, of the files.
    ``is_held``, ``is_quoted``: by security, whether an account holds it and whether a stream must quote it.
    """

    night: BaseNight
    day: date
    fresh: FreshInputs
    book: ResidentBook
    breaches: BreachesNow
    seq: int
    is_other: bool
    file_prices: NDArray[np.int64]
    night_prices: pl.DataFrame
    is_held: NDArray[np.bool_]
    is_quoted: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StreamedPrices:
    """Prices now; how many securities that are held and must be quoted are ``fresh``, ``old``, or were never quoted."""

    now: PricesNow
    fresh: int
    old: int
    never: int


def load_resident(at: Stores, night: BaseNight, day: date, now: datetime) -> Resident:
    """The book of the night as a look on ``day`` reads it."""
    seq = at.ledger.queue.newest_change()
    fresh = fresh_inputs(at, night, day)
    shared = look_inputs(at, night, fresh, day, now)
    book = resident_book(book_shards(at, night, shared))
    securities = book.securities
    book, breaches = _with_ledger(at, night, book, now, is_other=shared.is_other)
    return Resident(
        night=night,
        day=day,
        fresh=fresh,
        book=book,
        breaches=breaches,
        seq=seq,
        is_other=shared.is_other,
        file_prices=_file_prices(shared, securities),
        night_prices=shared.night_prices,
        is_held=book.is_held,
        is_quoted=securities["security_type"].is_in([str(kind) for kind in QUOTED]).to_numpy(),
    )


def keep_up(at: Stores, resident: Resident, now: datetime) -> Resident:
    """The same book with the breaches, open proposals and models handled that the ledger knows now."""
    seq = at.ledger.queue.newest_change()
    book, breaches = _with_ledger(at, resident.night, resident.book, now, is_other=resident.is_other)
    return replace(resident, book=book, breaches=breaches, seq=seq)


def check_files(at: Stores, resident: Resident, now: datetime) -> Resident | None:
    """The same book with the files' prices of now; null where cash or models are others than it was loaded with."""
    fresh = fresh_inputs(at, resident.night, resident.day)
    was = {name: rows for name, rows in resident.fresh.tables.items() if name != PRICES}
    now_there = {name: rows for name, rows in fresh.tables.items() if name != PRICES}
    if was.keys() != now_there.keys() or not all(was[name].equals(now_there[name]) for name in was):
        return None
    shared = look_inputs(at, resident.night, fresh, resident.day, now)
    return replace(resident, fresh=fresh, file_prices=_file_prices(shared, resident.book.securities))


def prices_now(
    resident: Resident, quotes: Mapping[str, Quote], now: datetime, max_age_seconds: float
) -> StreamedPrices:
    """Prices of each security: the last quote, that of the files where none is needed, or none."""
    names = resident.book.securities["security_id"]
    found = [quotes.get(name) for name in names]
    millionths = np.array([-1 if quote is None else quote.millionths for quote in found], dtype=np.int64)
    ages = np.array([np.inf if quote is None else (now - quote.quoted_at).total_seconds() for quote in found])
    is_never = np.isinf(ages)
    millionths = np.where(is_never, resident.file_prices, millionths)
    is_missing = resident.is_quoted & (ages > max_age_seconds)
    millionths[is_missing] = -1
    needed = resident.is_quoted & resident.is_held
    return StreamedPrices(
        PricesNow(millionths, resident.day),
        fresh=int((needed & ~is_missing).sum()),
        old=int((needed & is_missing & ~is_never).sum()),
        never=int((needed & is_never).sum()),
    )


def look_at_resident(at: Stores, resident: Resident, prices: PricesNow) -> tuple[BookLook, tuple[str, ...]]:
    """A look at the whole book, and a sentence for each guard that holds it."""
    settings = at.settings
    found = look_at_book(resident.book, prices, resident.breaches, rearm=settings.monitor_rearm_fraction)
    moved = price_moves(_held_prices(resident, prices), settings.max_price_move)
    many = too_many_out(found, settings.monitor_max_out_fraction, min_accounts=settings.guard_min_accounts)
    return found, (*(each.sentence for each in moved), *((many,) if many else ()))


def _held_prices(resident: Resident, prices: PricesNow) -> pl.DataFrame:
    """As for the night's guard: ``security_id, price_usd, last_price_usd`` of what is held."""
    held = resident.book.securities.select("security_id").filter(pl.Series(resident.is_held))
    then = resident.night_prices.select("security_id", last_price_usd="price_usd")
    now = prices.frame(resident.book.securities).select("security_id", "price_usd")
    return held.join(now, on="security_id").join(then, on="security_id", how="left")


def _file_prices(shared: LookInputs, securities: pl.DataFrame) -> NDArray[np.int64]:
    rows = securities.select("security_id").join(
        shared.facts.prices, on="security_id", how="left", maintain_order="left"
    )
    return rows.select((pl.col("price_usd").cast(pl.Decimal(38, 6)) * 1_000_000).cast(pl.Int64).fill_null(-1))[
        "price_usd"
    ].to_numpy()


def _with_ledger(
    at: Stores, night: BaseNight, book: ResidentBook, now: datetime, *, is_other: bool
) -> tuple[ResidentBook, BreachesNow]:
    return breaches_now(
        book,
        lasting=at.ledger.breaches.lasting_breaches(night.base.started_at),
        busy=at.ledger.breaches.accounts_with_open_proposals(now).to_frame(),
        handled=handled_models(at, night, is_other=is_other),
    )
