"""Arrays that the sample book's steps hand to each other.

A part of the book is a run of consecutive accounts, made from its own random generator. Accounts are positions 0, 1, ...
within the part, securities, classes, models and policies are positions in the lists of ``book_reference``, dates are
positions in ``DailyCloses.dates``. A position one past the end of a list stands for a word that does not exist (see
``book_faults``).
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.enums import LandingTable
from schemas.landing import CONTRACTS
from schemas.units import EXACT

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Dates = npt.NDArray[np.datetime64]
FileFormat = Literal["parquet", "csv"]
"""How the book's tables are written."""

NOT_MADE: Final = frozenset(
    {LandingTable.FLOWS, LandingTable.TILTS, LandingTable.INDEX_WEIGHTS, LandingTable.DIRECT_INDEXES}
)
"""Tables that the sample book has none of."""
TABLES: Final = tuple(name for name in CONTRACTS if name not in NOT_MADE)
"""Those of the sample book, which has no flows to tell, and nobody who wants another model."""

MICRO: Final = 1_000_000
"""Quantities are counted in millionths of a share."""
RECENT_DAYS: Final = 61
"""The table of trades goes back so many days."""


@dataclass(frozen=True)
class DailyCloses:
    """Daily closes in USD: ``closes[date, security]``, NaN before a security's first price; the last date is the as-of date."""

    dates: Dates
    closes: Floats

    @property
    def as_of_date(self) -> date:
        """The date that the book describes."""
        return self.dates[-1].astype(object)  # type: ignore[no-any-return]

    @property
    def first_priced(self) -> Ints:
        """Position of the first date with a price, per security."""
        return np.asarray(np.argmax(~np.isnan(self.closes), axis=0), dtype=np.int64)

    @property
    def recent_from(self) -> int:
        """Position of the first date that the table of trades covers."""
        return int(np.searchsorted(self.dates, self.dates[-1] - np.timedelta64(RECENT_DAYS, "D")))


@dataclass(frozen=True)
class AccountDraw:
    """One entry an account. ``household`` is the number of its first account, 0 for an account that is alone."""

    number: Ints
    household: Ints
    custodian: Ints
    tax_status: Ints
    model: Ints
    policy: Ints
    status: Ints
    short_term_rate: Floats
    long_term_rate: Floats
    cash_reserve_usd: Floats
    nav_usd: Floats
    """Value that the account was planned with, before pending cash and rounding to whole shares."""
    is_trading: Flags
    """Whether it traded within the last ``RECENT_DAYS``."""

    def __len__(self) -> int:
        """Return the number of accounts."""
        return len(self.number)


@dataclass(frozen=True)
class LotDraw:
    """One entry a lot, sorted by account, security and date of purchase."""

    account: Ints
    security: Ints
    day: Ints
    sequence: Ints
    """Position among the account's lots of the security, from 0."""
    micros: Ints

    def take(self, rows: Ints | Flags) -> "LotDraw":
        """Return the chosen rows, in the order given."""
        return LotDraw(self.account[rows], self.security[rows], self.day[rows], self.sequence[rows], self.micros[rows])


def exact(values: pl.Series) -> pl.Series:
    """Money, price or quantity as the landing contract has it, from floats of at most six digits after the point."""
    return values.cast(EXACT)


def shares(name: str, micros: Ints) -> pl.Series:
    """Return millionths of a share as an exact quantity."""
    return exact(pl.Series(name, micros / MICRO))
