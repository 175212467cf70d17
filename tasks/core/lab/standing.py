"""Where every account of a study stands: a policy on a path, its cash, its lots, its year's gains, and what has been measured of it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from tasks.core.drift import tolerance_band
from tasks.core.facts import BPS
from tasks.core.lab.arrays import LOOKS, MEASURES, LabPolicy, Market, Terms, look_flags
from tasks.core.solver import NO_ORDER_LIMIT, Flags, Floats, Ints
from tasks.core.tax import long_term_from

BEGINNING_PRICE: Final = 100.0
"""Usd of a unit of each class on the first date."""
PRICE_DIGITS: Final = 6
LONG_AGO: Final = -(10**6)
YEAR_GROWTH, YEAR_DRIFT, YEAR_TURNOVER, YEAR_TAX = range(4)


class Course(NamedTuple):
    """The market and the account's terms as the compiled loop reads them: D = T + 1 dates, P paths, C classes."""

    price: Floats
    """(P, D, C) usd, of whole millionths."""
    dividend: Floats
    risk_free: Floats
    """(P, T)."""
    day: Ints
    """(D) days since 1970."""
    long_from: Ints
    """(D) the first day on which what is bought on the date is sold long-term."""
    year: Ints
    """(D) calendar year less that of the second date; the first date counts with the second."""
    flow: Floats
    """(T) usd."""
    target: Floats
    spread: Floats
    """(C) half spread, fraction of a dollar."""
    step: Floats
    """(1) least part of a unit that is traded."""
    rates: Floats
    """(2) of short-term and long-term gains."""
    is_taxed: Flags
    """(1)."""


class Grid(NamedTuple):
    """The policies under trial, N of them; no limit: inf."""

    is_look: Flags
    """(N, T)."""
    band: Floats
    """(N, C) share of NAV; inf: never out."""
    trade_to: Floats
    tracking_penalty: Floats
    improvement: Floats
    min_trade_usd: Floats
    min_trade_weight: Floats
    turnover: Floats
    max_orders: Ints
    slack: Floats
    """Share of NAV that may be given up for fewer orders."""
    gain: Floats
    """Usd."""
    cash_tolerance: Floats
    wash_days: Ints


class Standing(NamedTuple):
    """A accounts, account a being policy a // P on path a % P; K lots at most of each."""

    at: Ints
    """Date at which the account stands."""
    is_due: Ints
    """1: it is to be traded there."""
    cash: Floats
    wealth: Floats
    """Usd when the last date was closed."""
    before: Floats
    """NAV, usd, on the date at which it stands, before any trade."""
    year_gain: Floats
    """(A, 2) short and long, usd, of the year so far."""
    carried: Floats
    """(A, 2) losses carried forward, positive."""
    dividends: Floats
    """Usd of the year so far."""
    units: Ints
    """(A, C) millionths held."""
    last_loss: Ints
    """(A, C) day of the last sale at a loss."""
    lot_count: Ints
    lot_units: Ints
    """(A, K) millionths, in order of acquisition."""
    lot_cost: Floats
    """(A, K) usd a unit."""
    lot_class: Ints
    lot_date: Ints
    lot_used: Ints
    """(A, K) millionths that have replaced shares sold at a loss."""
    peak: Floats
    """Greatest product of (1 + return) so far."""
    values: Floats
    """(A, measures)."""
    weights: Floats
    """(A, C)."""
    years: Floats
    """(A, Y, 4)."""


def course_of(market: Market, terms: Terms) -> Course:
    """The market in prices; the accounts' terms beside it."""
    paths, steps, classes = market.growth.shape
    level = np.ones((paths, steps + 1, classes)) * BEGINNING_PRICE
    np.cumprod(market.growth, axis=1, out=level[:, 1:, :])
    level[:, 1:, :] *= BEGINNING_PRICE
    dates = pl.DataFrame({"date": market.dates}, schema={"date": pl.Date})
    year = np.array([each.year for each in market.dates], np.int64)
    year[0] = year[1]
    flow = terms.flow_usd if len(terms.flow_usd) else np.zeros(steps)
    rates = (terms.short_term_rate, terms.long_term_rate) if terms.is_taxed else (0.0, 0.0)
    return Course(
        np.round(level, PRICE_DIGITS),
        np.asarray(market.dividend_yield, np.float64),
        np.ascontiguousarray(market.risk_free, np.float64),
        _days(dates),
        _days(dates.select(long_term_from(pl.col("date")))),
        year - year[0],
        np.asarray(flow, np.float64),
        np.asarray(terms.targets, np.float64),
        np.asarray(terms.half_spread_bps, np.float64) / BPS,
        np.array([terms.quantity_step], np.float64),
        np.array(rates, np.float64),
        np.array([terms.is_taxed], np.bool_),
    )


def grid_of(policies: Sequence[LabPolicy], market: Market, terms: Terms) -> Grid:
    """The policies as arrays."""
    looks = {look: look_flags(market.dates, look) for look in LOOKS}
    own = [each.policy for each in policies]

    def floats(values: Sequence[float | None], none: float = np.inf) -> Floats:
        return np.array([none if value is None else value for value in values], np.float64)

    return Grid(
        np.array([looks[each.look] for each in policies], np.bool_),
        np.array([_bands(each, terms.targets) for each in policies], np.float64),
        floats([each.trade_to for each in own]),
        floats([each.tracking_penalty for each in own]),
        floats([each.improvement for each in own]),
        floats([each.min_trade_usd for each in own]),
        floats([each.min_trade_weight for each in own]),
        floats([each.max_turnover for each in own]),
        np.array([each.max_orders or NO_ORDER_LIMIT for each in own], np.int64),
        floats([each.fewest_trades_bps / BPS for each in own]),
        floats([each.max_realized_gain_usd for each in own]),
        floats([each.cash_tolerance_usd for each in own]),
        np.array([each.wash_sale_days for each in own], np.int64),
    )


def _days(dates: pl.DataFrame) -> Ints:
    """Days since 1970 of a frame's one column."""
    return dates.to_series().to_physical().cast(pl.Int64).to_numpy().copy()


def _bands(policy: LabPolicy, targets: Floats) -> Floats:
    """Band of each class, share of NAV; inf: none."""
    rows = pl.DataFrame(
        {
            "target": targets,
            "absolute": [policy.absolute_band] * len(targets),
            "relative": [policy.relative_band] * len(targets),
        },
        schema={"target": pl.Float64, "absolute": pl.Float64, "relative": pl.Float64},
    )
    rule = pl.lit(str(policy.policy.band_rule))
    band = tolerance_band(pl.col("target"), pl.col("absolute"), pl.col("relative"), rule)
    return rows.select(band.fill_null(np.inf)).to_series().to_numpy()


def new_state(market: Market, terms: Terms, policies: int, lots: int) -> Standing:
    """Every account as cash on the first date, to be invested there."""
    paths, classes = market.growth.shape[0], len(market.classes)
    count = policies * paths
    years = market.dates[-1].year - market.dates[1].year + 1
    values = np.zeros((count, len(MEASURES)))
    values[:, MEASURES.index("growth")] = 1.0
    by_year = np.zeros((count, years, 4))
    by_year[:, :, YEAR_GROWTH] = 1.0
    nav = np.full(count, float(terms.nav_usd))
    return Standing(
        at=np.zeros(count, np.int64),
        is_due=np.ones(count, np.int64),
        cash=nav.copy(),
        wealth=nav.copy(),
        before=nav.copy(),
        year_gain=np.zeros((count, 2)),
        carried=np.zeros((count, 2)),
        dividends=np.zeros(count),
        units=np.zeros((count, classes), np.int64),
        last_loss=np.full((count, classes), LONG_AGO, np.int64),
        lot_count=np.zeros(count, np.int64),
        lot_units=np.zeros((count, lots), np.int64),
        lot_cost=np.zeros((count, lots)),
        lot_class=np.zeros((count, lots), np.int64),
        lot_date=np.zeros((count, lots), np.int64),
        lot_used=np.zeros((count, lots), np.int64),
        peak=np.ones(count),
        values=values,
        weights=np.zeros((count, classes)),
        years=by_year,
    )
