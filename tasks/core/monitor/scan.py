"""One look at a resident book: which units a look has to judge, found by floats; judged exactly by ``seen_accounts`` and ``verdict``.

1. Values, NAV, weights and drift of the whole book in Float64, piece by piece. Each comparison with a band or with the edge of armed
   again is made twice, with an error bound to either side: what is beyond on both sides is settled, the rest is *doubtful*.
2. What may decide anything is judged exactly: units that are doubtful, that may be out of band and were neither out in the night nor
   have a breach that lasts, that have one which may be over, or whose targets changed. The others are counted.
3. So the answer is that of a look at every account, which the tests compare on books nobody picked.

    error of a value   <= rounding of its lots + 1e-12 * sum of |value| of the unit's classes
    error of a weight  <= 2 (1 + |weight|) * error of a value / NAV + 1e-12
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.core.drift import WEIGHT_TOLERANCE
from tasks.core.monitor.breaches import SEEN, Verdict, is_out, seen_accounts, verdict
from tasks.core.monitor.resident import (
    MILLION,
    BookArrays,
    Flags,
    Floats,
    Ints,
    ResidentBook,
    ShardBook,
    changed_accounts,
)
from tasks.core.monitor.unit_facts import exact, facts_of_units

PIECE: Final = 16_384
"""Units scanned at once: what a piece needs stays in the processor's cache."""
JUDGED_AT_ONCE: Final = 50_000
"""Units of several parts that are judged exactly in one frame, or a part more."""
RELATIVE_ERROR: Final = 1e-12
_SEEN: Final[dict[str, pl.DataType]] = dict[str, pl.DataType].fromkeys(SEEN, pl.Boolean()) | {
    **dict.fromkeys(("account_id", "triggers", "model_hash"), pl.String()),
    "nearness": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class PricesNow:
    """Prices by row of ``Facts.securities``, in millionths of a dollar; -1: none that counts."""

    millionths: Ints
    day: date

    def frame(self, securities: pl.DataFrame) -> pl.DataFrame:
        """As the table ``prices``; what has none is left out."""
        rows = pl.DataFrame({"security_id": securities["security_id"], "price_usd": self.millionths})
        return rows.filter(pl.col("price_usd") >= 0).with_columns(
            exact(pl.col("price_usd")), price_date=pl.lit(self.day)
        )


@dataclass(frozen=True, slots=True)
class UnitFlags:
    """What the ledger says of the units of a part.

    ``is_open``: an account of it is neither out in the night nor in a breach that lasts. ``is_due``: a breach of it is over whatever
    prices say. ``is_busy``: with an open proposal. ``is_changed``: targets of an account changed.
    """

    has_breach: Flags
    is_open: Flags
    is_due: Flags
    is_busy: Flags
    is_changed: Flags


@dataclass(frozen=True, slots=True)
class BreachesNow:
    """What the ledger says of the book: the breaches that last (``verdict``), and flags of each part."""

    lasting: pl.DataFrame
    flags: tuple[UnitFlags, ...]


@dataclass(frozen=True, slots=True)
class UnitScan:
    """What floats say of each unit. ``is_armed``: it may be within the share of its bands that arms it again."""

    is_priced: Flags
    may_be_out: Flags
    is_out: Flags
    is_armed: Flags


@dataclass(frozen=True, slots=True)
class BookLook:
    """What a look came to; counts are of accounts. ``unhandled``: out of band, and not so in the night. ``judged``: exactly, one by one."""

    looked_at: int
    skipped: int
    out_of_band: int
    unhandled: int
    judged: int
    verdict: Verdict


def breaches_now(
    book: ResidentBook, *, lasting: pl.DataFrame, busy: pl.DataFrame, handled: pl.DataFrame
) -> tuple[ResidentBook, BreachesNow]:
    """The book with what the ledger knows now: ``lasting`` as for ``verdict``, ``busy`` and ``handled`` as in ``KnownToday``."""
    parts = tuple(_with_known(part, busy, handled) for part in book.parts)
    return ResidentBook(parts), BreachesNow(lasting, tuple(_flags_of(part, lasting) for part in parts))


def _with_known(part: ShardBook, busy: pl.DataFrame, handled: pl.DataFrame) -> ShardBook:
    own = handled.join(part.facts.accounts, on="account_id", how="semi")
    return replace(part, known=replace(part.known, busy=busy, handled=own))


def _flags_of(part: ShardBook, lasting: pl.DataFrame) -> UnitFlags:
    arrays, names = part.arrays, part.facts.accounts["account_id"]
    before = lasting.filter("is_before_night")["account_id"]
    has_breach = names.is_in(lasting["account_id"].implode()).to_numpy()
    is_due = names.is_in(before.implode()).to_numpy() & ~arrays.account_was_out

    def any_of(flags: Flags) -> Flags:
        found = np.zeros(arrays.unit_count, dtype=np.bool_)
        found[arrays.account_unit[flags]] = True
        return found

    return UnitFlags(
        has_breach=any_of(has_breach),
        is_open=any_of(~has_breach & ~arrays.account_was_out),
        is_due=any_of(is_due),
        is_busy=any_of(names.is_in(part.known.busy["account_id"].implode()).to_numpy()),
        is_changed=any_of(changed_accounts(part)),
    )


def look_at_book(book: ResidentBook, prices: PricesNow, breaches: BreachesNow, *, rearm: float) -> BookLook:
    """Look at every account of the book.

    Parameters
    ----------
    book, breaches
        The book, and what the ledger knows of it.
    prices
        Those of now; an account with a holding that has none is not looked at, nor is the household it is managed with.
    rearm
        Share of the band below which an account is armed again.

    Returns
    -------
    BookLook
        What ``seen_accounts`` and ``verdict`` say of every account at these prices.
    """
    unit_usd, frame = _unit_prices(book.securities, prices), prices.frame(book.securities)
    looked_at = skipped = out = unhandled = 0
    parts, waiting = [pl.DataFrame(schema=_SEEN)], list[tuple[ShardBook, Ints]]()
    for part, flags in zip(book.parts, breaches.flags, strict=True):
        arrays = part.arrays
        found = scan_units(arrays, unit_usd, rearm=rearm)
        units = _to_judge(found, flags)
        settled = found.is_out.copy()
        settled[units] = False
        looked_at += int(arrays.unit_sizes[found.is_priced].sum())
        skipped += int(arrays.unit_sizes[~found.is_priced].sum())
        out += int(arrays.unit_sizes[settled].sum())
        unhandled += int((settled[arrays.account_unit] & ~arrays.account_was_out).sum())
        if len(units):
            waiting.append((part, units))
        if sum(len(each) for _, each in waiting) >= JUDGED_AT_ONCE:
            parts.append(_judge(waiting, frame, prices.day))
            waiting.clear()
    if waiting:
        parts.append(_judge(waiting, frame, prices.day))
    seen = pl.concat(parts)
    outside = seen.filter(is_out("triggers"))
    return BookLook(
        looked_at=looked_at,
        skipped=skipped,
        out_of_band=out + outside.height,
        unhandled=unhandled + outside.filter(~pl.col("was_out")).height,
        judged=seen.height,
        verdict=verdict(seen, breaches.lasting, rearm=rearm),
    )


def _judge(chosen: Sequence[tuple[ShardBook, Ints]], prices: pl.DataFrame, day: date) -> pl.DataFrame:
    facts, known = facts_of_units(chosen, prices)
    return seen_accounts(facts, known, as_of=day)


def scan_units(arrays: BookArrays, unit_usd: Floats, *, rearm: float) -> UnitScan:
    """What floats say of each unit; ``unit_usd``: what one of each security is worth, NaN where that is not known."""
    count = arrays.unit_count
    flags = [np.zeros(count, dtype=np.bool_) for _ in range(4)]
    per_millionth = unit_usd / MILLION
    extra = arrays.extra_quantity * per_millionth[arrays.extra_security]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for first in range(0, count, PIECE):
            last = min(first + PIECE, count)
            for whole, piece in zip(flags, _scan(arrays, per_millionth, extra, (first, last), rearm), strict=True):
                whole[first:last] = piece
    return UnitScan(*flags)


def _scan(
    arrays: BookArrays, per_millionth: Floats, extra: Floats, units: tuple[int, int], rearm: float
) -> tuple[Flags, Flags, Flags, Flags]:
    """``UnitScan`` of the units from the first up to the last."""
    first, last = units
    rows = slice(arrays.unit_rows[first], arrays.unit_rows[last])
    starts = arrays.unit_rows[first:last] - rows.start
    cash, target, band = arrays.row_cash_usd[rows], arrays.row_target[rows], arrays.row_band[rows]
    value = _row_values(arrays, per_millionth, extra, rows)
    nav = np.add.reduceat(value, starts)
    gross = np.add.reduceat(np.abs(value - cash) + np.abs(cash), starts)
    error = arrays.unit_rounding_usd[first:last] + RELATIVE_ERROR * gross
    owner = np.repeat(np.arange(last - first), np.diff(arrays.unit_rows[first : last + 1]))
    inverse = (1 / nav)[owner]
    weight = value * inverse
    doubt = 2 * (1 + np.abs(weight)) * (error[owner] * np.abs(inverse)) + RELATIVE_ERROR
    drift = np.abs(weight - target)
    has_band = ~np.isnan(band)
    near = ((drift - doubt) >= rearm * band) & (drift > doubt)

    def any_row(flags: Flags) -> Flags:
        return np.logical_or.reduceat(flags, starts)

    is_priced, is_sure, is_none = ~np.isnan(nav), nav > error, nav < -error
    is_triggered, is_owing = arrays.unit_is_triggered[first:last], arrays.unit_is_owing[first:last]
    beyond = any_row(drift - doubt > band + WEIGHT_TOLERANCE) & is_sure
    perhaps = (any_row(drift + doubt > band + WEIGHT_TOLERANCE) | ~is_sure) & ~is_none
    armed = any_row(has_band) & (~any_row(near) | ~is_sure) & ~is_none
    return (
        is_priced,
        is_priced & ((is_triggered & perhaps) | is_owing),
        is_priced & ((is_triggered & beyond) | is_owing),
        is_priced & armed & ~is_owing,
    )


def _row_values(arrays: BookArrays, per_millionth: Floats, extra: Floats, rows: slice) -> Floats:
    cells = slice(arrays.row_cells[rows.start], arrays.row_cells[rows.stop])
    lots = slice(arrays.cell_lots[cells.start], arrays.cell_lots[cells.stop])
    held = arrays.lot_quantity[lots] * per_millionth[arrays.lot_security[lots]]
    in_cells = _sums(held, arrays.cell_lots[cells.start : cells.stop + 1] - lots.start)
    value = np.add.reduceat(in_cells, arrays.row_cells[rows] - cells.start) + arrays.row_cash_usd[rows]
    some = slice(*np.searchsorted(arrays.extra_row, (rows.start, rows.stop)))
    np.add.at(value, arrays.extra_row[some] - rows.start, extra[some])
    return value


def _sums(values: Floats, bounds: NDArray[np.integer]) -> Floats:
    """Sums between the bounds; 0 where there is nothing between."""
    starts, is_some = bounds[:-1], np.diff(bounds) > 0
    sums = np.zeros(len(starts))
    if is_some.any():
        sums[is_some] = np.add.reduceat(values, starts[is_some])
    return sums


def _unit_prices(securities: pl.DataFrame, prices: PricesNow) -> Floats:
    """What one of each security is worth, and at the end what is no security: NaN where there is no price."""
    factor = securities["price_factor"].cast(pl.Float64).fill_null(1.0).to_numpy()
    price = np.where(prices.millionths >= 0, prices.millionths / MILLION, np.nan)
    return np.append(price * factor, np.nan)


def _to_judge(found: UnitScan, now: UnitFlags) -> Ints:
    """Numbers of the units that are judged exactly."""
    is_over = now.has_breach & (found.is_armed | now.is_due)
    is_news = ~now.is_busy & ((found.may_be_out & now.is_open) | now.is_changed)
    is_doubtful = found.may_be_out & ~found.is_out
    return np.flatnonzero(found.is_priced & (is_over | is_news | is_doubtful))
