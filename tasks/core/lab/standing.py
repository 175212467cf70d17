"""Where every account of a study stands: a policy on a path, its cash, its lots, its year's gains, and what has been measured of it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from tasks.core.drift import tolerance_band
from tasks.core.facts import BPS
from tasks.core.lab.account import holders_of
from tasks.core.lab.arrays import LOOKS, MEASURES, Holders, LabPolicy, Market, Terms, look_flags
from tasks.core.solver import MILLIONTHS, NO_ORDER_LIMIT, Flags, Floats, Ints
from tasks.core.tax import long_term_from

PRICE_SCALE: Final = 1e6
"""Prices are of whole millionths."""
LONG_AGO: Final = -(10**6)
YEAR_GROWTH, YEAR_DRIFT, YEAR_TURNOVER, YEAR_TAX = range(4)


class Course(NamedTuple):
    """The market and the accounts' terms as the compiled loop reads them: D = T + 1 dates, M courses, C classes, K accounts, S securities of each."""

    level: Floats
    """(M, D, C) growth since the first date."""
    dividend: Floats
    risk_free: Floats
    """(M, T)."""
    day: Ints
    """(D, and more) days since 1970 of the dates, then of days on which lots were bought before them."""
    long_from: Ints
    """(as ``day``) the first day on which what is bought then is sold long-term."""
    year: Ints
    """(D) calendar year less that of the second date; the first date counts with the second."""
    flow: Floats
    """(T) usd."""
    class_of: Ints
    """(K, S); -1: there is none."""
    base: Floats
    """(K, S) usd of a unit on the first date."""
    spread: Floats
    step: Floats
    choice: Ints
    can_sell: Flags
    """(K, S) as in ``Holders``."""
    target: Floats
    """(K, C + 1), the last of cash."""
    location: Floats
    """(K, C) as in ``Holders``."""
    rates: Floats
    """(K, 2)."""
    is_taxed: Flags
    """(K)."""


class Grid(NamedTuple):
    """The policies under trial, N of them; no limit: inf."""

    is_look: Flags
    """(N, T)."""
    band: Floats
    """(N, K, C + 1) share of NAV, the last of cash; inf: never out."""
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
    is_harvesting: Flags
    harvest_usd: Floats
    """Least loss that is harvested."""
    harvest_fraction: Floats
    """The same, as a share of what the lot cost."""
    auto_turnover: Floats
    auto_tax: Floats
    four_eyes: Floats
    """Limits of the route; not a number: none is set."""


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
    """(A, S) millionths held."""
    last_loss: Ints
    """(A, S) day of the last sale at a loss."""
    lot_count: Ints
    lot_units: Ints
    """(A, K) millionths, in order of acquisition."""
    lot_cost: Floats
    """(A, K) usd a unit."""
    lot_security: Ints
    """(A, K) which of the account's securities."""
    lot_date: Ints
    """(A, K) place in ``Course.day``."""
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


def course_of(market: Market, terms: Terms | Holders) -> Course:
    """The market as growth since the first date; the accounts' terms beside it."""
    holders = holders_of(market, terms)
    courses, steps, classes = market.growth.shape
    level = np.ones((courses, steps + 1, classes))
    np.cumprod(market.growth, axis=1, out=level[:, 1:, :])
    bought = sorted(set(holders.lot_date))
    dates = pl.DataFrame({"date": [*market.dates, *bought]}, schema={"date": pl.Date})
    year = np.array([each.year for each in market.dates], np.int64)
    year[0] = year[1]
    flow = holders.flow_usd if len(holders.flow_usd) else np.zeros(steps)
    return Course(
        level,
        np.asarray(market.dividend_yield, np.float64),
        np.ascontiguousarray(market.risk_free, np.float64),
        _days(dates),
        _days(dates.select(long_term_from(pl.col("date")))),
        year - year[0],
        np.asarray(flow, np.float64),
        np.ascontiguousarray(holders.class_of, np.int64),
        np.ascontiguousarray(holders.price, np.float64),
        np.ascontiguousarray(holders.spread, np.float64),
        np.ascontiguousarray(holders.step, np.float64),
        np.ascontiguousarray(holders.choice, np.int64),
        np.ascontiguousarray(holders.can_sell, np.bool_),
        np.ascontiguousarray(holders.target, np.float64),
        np.ascontiguousarray(holders.location, np.float64),
        np.ascontiguousarray(holders.rates, np.float64),
        np.ascontiguousarray(holders.is_taxed, np.bool_),
    )


def price_of(course: Course, path: int, at: int, security: int) -> float:
    """Usd of a unit of a path's security on a date, of whole millionths (the compiled loop has the same)."""
    holders = len(course.class_of)
    which, level = path % holders, course.level[path // holders, at]
    own = level[course.class_of[which, security]] * course.base[which, security]
    return float(np.rint(own * PRICE_SCALE) / PRICE_SCALE)


def grid_of(policies: Sequence[LabPolicy], market: Market, terms: Terms | Holders) -> Grid:
    """The policies as arrays."""
    looks = {look: look_flags(market.dates, look) for look in LOOKS}
    own, holders = [each.policy for each in policies], holders_of(market, terms)

    def floats(values: Sequence[float | None], none: float = np.inf) -> Floats:
        return np.array([none if value is None else value for value in values], np.float64)

    return Grid(
        np.array([looks[each.look] for each in policies], np.bool_),
        np.array([_bands(each, holders) for each in policies], np.float64),
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
        np.array([each.is_harvesting for each in own], np.bool_),
        floats([each.harvest_min_loss_usd for each in own]),
        floats([each.harvest_min_loss_fraction for each in own]),
        floats([each.auto_approve_max_turnover for each in own], np.nan),
        floats([each.auto_approve_max_tax_usd for each in own], np.nan),
        floats([each.four_eyes_above_usd for each in own], np.nan),
    )


def _days(dates: pl.DataFrame) -> Ints:
    """Days since 1970 of a frame's one column."""
    return dates.to_series().to_physical().cast(pl.Int64).to_numpy().copy()


def _bands(policy: LabPolicy, holders: Holders) -> Floats:
    """(K, C + 1) band of each class, share of NAV; inf: none."""
    targets = holders.target.ravel()
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
    found = rows.select(band.fill_null(np.inf)).to_series().to_numpy().reshape(holders.target.shape).copy()
    found[~holders.has_cash_band, -1] = np.inf
    return found


def lots_at_first(holders: Holders) -> int:
    """The most lots that an account begins with."""
    return int(np.diff(holders.lot_start).max(initial=0))


def new_state(market: Market, terms: Terms | Holders, policies: int, lots: int) -> Standing:
    """Every account as it is on the first date; one that begins in cash is to be invested there."""
    holders = holders_of(market, terms)
    many, securities = holders.class_of.shape
    count = policies * market.growth.shape[0] * many
    course = course_of(market, holders)
    units, columns = _first_lots(market, holders, lots)
    values = np.zeros((count, len(MEASURES)))
    values[:, MEASURES.index("growth")] = 1.0
    by_year = np.zeros((count, market.dates[-1].year - market.dates[1].year + 1, 4))
    by_year[:, :, YEAR_GROWTH] = 1.0
    at_first = np.array([[price_of(course, k, 0, s) for s in range(securities)] for k in range(many)])
    nav = holders.cash + (units / MILLIONTHS * at_first).sum(axis=1)

    def each(column: Floats | Ints) -> Any:
        """Of every account, from a column of the holders."""
        return np.tile(column, (count // many, *([1] * (column.ndim - 1))))

    return Standing(
        at=np.zeros(count, np.int64),
        is_due=np.full(count, int(holders.begins_in_cash), np.int64),
        cash=each(holders.cash.astype(np.float64)),
        wealth=each(nav),
        before=each(nav),
        year_gain=each(holders.gains.astype(np.float64)),
        carried=each(holders.carried.astype(np.float64)),
        dividends=np.zeros(count),
        units=each(units),
        last_loss=np.full((count, securities), LONG_AGO, np.int64),
        lot_count=each(np.diff(holders.lot_start).astype(np.int64)),
        **{name: each(column) for name, column in columns.items()},
        lot_used=np.zeros((count, lots), np.int64),
        peak=np.ones(count),
        values=values,
        weights=np.zeros((count, len(market.classes))),
        years=by_year,
    )


def _first_lots(market: Market, holders: Holders, lots: int) -> tuple[Ints, dict[str, Any]]:
    """Units held (K, S), and the columns of the lots (K, lots)."""
    many, securities = holders.class_of.shape
    units = np.zeros((many, securities), np.int64)
    columns: dict[str, Any] = {
        name: np.zeros((many, lots), np.int64) for name in ("lot_units", "lot_security", "lot_date")
    }
    columns["lot_cost"] = np.zeros((many, lots))
    place = {day: len(market.dates) + number for number, day in enumerate(sorted(set(holders.lot_date)))}
    days = np.array([place[day] for day in holders.lot_date], np.int64)
    given = {
        "lot_units": holders.lot_units,
        "lot_cost": holders.lot_cost,
        "lot_security": holders.lot_security,
        "lot_date": days,
    }
    for k in range(many):
        own = slice(holders.lot_start[k], holders.lot_start[k + 1])
        count = own.stop - own.start
        for name, column in given.items():
            columns[name][k, :count] = column[own]
        np.add.at(units[k], holders.lot_security[own], holders.lot_units[own])
    return units, columns


def with_room(state: Standing) -> Standing:
    """The same with room for twice as many lots of each account; what is not of lots is shared."""
    more = ((0, 0), (0, state.lot_units.shape[1]))
    of_lots = ("lot_units", "lot_cost", "lot_security", "lot_date", "lot_used")
    return state._replace(**{name: np.pad(getattr(state, name), more) for name in of_lots})
