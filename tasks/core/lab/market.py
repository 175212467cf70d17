"""Courses of the market: as it was, drawn from it in blocks, or drawn from moments.

1. *Bootstrap*: the stationary bootstrap of Politis and Romano (1994, "The stationary bootstrap", JASA 89) as the package ``arch`` has it: blocks of geometric length
   are drawn from the history with replacement, the rows of all classes together, so that what happened in one month stays together.
2. *Lognormal*: growth over a step of length h years is exp((m - s²/2)·h + s·√h·z), with m = ln(1 + mean) so that wealth grows by 1 + mean in expectation over a year,
   s the volatility, and z standard normal with the correlations given.
3. Path p draws from a stream of its own, seeded by (seed, p): what it shows does not depend on which paths are drawn beside it.

Known limits: a bootstrap has no dependence longer than its blocks, and its dates go on from the end of the history as if nothing had happened since; a lognormal
market has no crashes that its volatility does not tell of. Drawn daily dates are evenly spaced over calendar days, 252 a year.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import numpy as np

from schemas.errors import WrongUsage
from schemas.lab import MarketSection, Study
from tasks.core.lab.arrays import MONTHLY, Market, Terms, look_flags
from tasks.core.solver import Floats, Ints

MONTHS: Final = 12
DAYS: Final = 252
"""Steps a year of daily data: trading days."""
DAYS_OF_A_YEAR: Final = 365.25
BEGIN: Final = date(1999, 12, 31)
"""The day on which accounts begin where the market has no history."""
WHOLE: Final = 1.0
"""Least part of a share that can be traded where parts cannot."""
TINY: Final = 1e-9


@dataclass(frozen=True)
class MarketHistory:
    """What a market did: ``total_return`` (T, C), fractions per step; ``risk_free`` (T), return of bills, 0 where the data have none."""

    dates: Sequence[date]
    """T + 1: a step's return is from one date to the next."""
    classes: Sequence[str]
    total_return: Floats
    risk_free: Floats
    steps_per_year: float
    dividend_yields: Mapping[str, float]
    """Part of the total return that is paid in cash, a year, as far as the data tell."""

    def between(self, first: str | None, last: str | None) -> "MarketHistory":
        """The months from ``first`` to ``last``, YYYY-MM; as far as the data go where null.

        Raises
        ------
        WrongUsage
            The data do not reach so far.
        """
        months = [f"{each:%Y-%m}" for each in self.dates[1:]]
        start, end = first or months[0], last or months[-1]
        if start < months[0] or end > months[-1]:
            raise WrongUsage(
                f"the market's data are from {months[0]} to {months[-1]}, the study asks for {start} to {end}\n\n"
                "Hint: change from and to of [market], or leave them out for all there is."
            )
        at = [number for number, month in enumerate(months) if start <= month <= end]
        if not at:
            raise WrongUsage(
                f"the market's data have nothing from {start} to {end}\n\nHint: change from and to of [market]."
            )
        steps = slice(at[0], at[-1] + 1)
        return replace(
            self,
            dates=self.dates[at[0] : at[-1] + 2],
            total_return=self.total_return[steps],
            risk_free=self.risk_free[steps],
        )

    def of(self, classes: Sequence[str]) -> "MarketHistory":
        """Some classes, in the order given.

        Raises
        ------
        WrongUsage
            The data lack one.
        """
        if lacking := [name for name in classes if name not in self.classes]:
            raise WrongUsage(
                f"the market's data have no class {lacking[0]}\n\nHint: they have {', '.join(sorted(self.classes))}; change targets of [book]."
            )
        return replace(
            self, classes=classes, total_return=self.total_return[:, [self.classes.index(name) for name in classes]]
        )


def classes_of(study: Study) -> list[str]:
    """The classes of a study's book, sorted: what is drawn for them does not depend on the order in which they are named."""
    return list(study.book.market_classes)


def course_count(study: Study) -> int:
    """How many courses the study has."""
    return study.paths.count if study.market.is_sampled else 1


def steps_per_year(study: Study, history: MarketHistory | None) -> float:
    """12 or 252: as the data have it, or as the study says where there are none."""
    if history is not None:
        return history.steps_per_year
    return float(MONTHS if study.market.step == "monthly" else DAYS)


def step_count(study: Study, history: MarketHistory | None) -> int:
    """How many steps each course of the study's market has."""
    if history is not None and not study.market.is_sampled:
        return len(history.between(study.market.from_, study.market.to).risk_free)
    return round((study.paths.years or 0) * steps_per_year(study, history))


def courses(study: Study, history: MarketHistory | None, first: int, count: int, begin: date | None = None) -> Market:
    """The courses ``first`` to ``first + count - 1`` of a study's market, dated from ``begin`` on where it is given.

    Parameters
    ----------
    study
        What is asked for.
    history
        The data that it is of; null where the market is drawn from moments.
    first
        The number of the first course, from 0.
    count
        How many.
    begin
        The day on which accounts begin that stand as they are; null: that of the market's own dates.

    Raises
    ------
    WrongUsage
        The data do not have the classes or months that the study asks for, or moments do not fit together.
    """
    drawn = _drawn_courses(study, history, first, count)
    if begin is None:
        return drawn
    return replace(drawn, dates=later_dates(begin, len(drawn.dates) - 1, drawn.steps_per_year))


def _drawn_courses(study: Study, history: MarketHistory | None, first: int, count: int) -> Market:
    market, classes, own = study.market, [*study.book.market_classes.values()], classes_of(study)
    if history is None:
        moments = _drawn_from_moments(study, sorted(set(classes)), first, count)
        at = [moments.classes.index(name) for name in classes]
        return replace(moments, classes=own, growth=moments.growth[:, :, at], dividend_yield=moments.dividend_yield[at])
    then = history.between(market.from_, market.to).of(classes)
    yields = {**then.dividend_yields, **market.dividend_yields}
    paid = np.array([yields.get(name, 0.0) for name in classes]) / then.steps_per_year
    if market.source != "bootstrap":
        return Market(
            dates=then.dates,
            classes=own,
            growth=((1 + then.total_return) / (1 + paid))[None],
            dividend_yield=paid,
            risk_free=then.risk_free[None],
            steps_per_year=then.steps_per_year,
        )
    steps = step_count(study, history)
    rows = _drawn_rows(study, len(then.risk_free), steps, first, count, steps_per_year=then.steps_per_year)
    return Market(
        dates=later_dates(then.dates[-1], steps, then.steps_per_year),
        classes=own,
        growth=(1 + then.total_return[rows]) / (1 + paid),
        dividend_yield=paid,
        risk_free=then.risk_free[rows],
        steps_per_year=then.steps_per_year,
    )


def terms(study: Study, market: Market) -> Terms:
    """The account that a study describes, on the dates of its market."""
    book, tax = study.book, study.tax
    spread = book.half_spread_bps
    spreads = [spread.get(name, 0.0) if isinstance(spread, Mapping) else spread for name in market.classes]
    return Terms(
        nav_usd=book.nav_usd,
        targets=np.array([book.targets[name] for name in market.classes]),
        half_spread_bps=np.array(spreads),
        quantity_step=Terms.quantity_step if book.is_fractional else WHOLE,
        short_term_rate=tax.short_term_rate if tax else 0.0,
        long_term_rate=tax.long_term_rate if tax else 0.0,
        is_taxed=tax is not None,
        alternates=book.alternates,
        flow_usd=flows_of(study, market),
    )


def flows_of(study: Study, market: Market) -> Floats:
    """Cash that comes or goes at each step's end; empty: none."""
    if not study.flows.monthly_usd:
        return np.zeros(0)
    return np.where(look_flags(market.dates, MONTHLY), study.flows.monthly_usd, 0.0)


def _drawn_rows(study: Study, rows: int, steps: int, first: int, count: int, *, steps_per_year: float) -> Ints:
    """(count, steps) rows of the history."""
    from arch.bootstrap import StationaryBootstrap  # noqa: PLC0415 - seconds, which only a bootstrap should pay

    block = max(1, round(study.market.block_months * steps_per_year / MONTHS))
    numbers = np.arange(rows)
    drawn = np.empty((count, steps), np.int64)
    for path in range(count):
        resampling = StationaryBootstrap(block, numbers, seed=_stream(study, first + path))
        parts = [resampling.update_indices() for _ in range(-(-steps // rows))]
        drawn[path] = np.concatenate(parts)[:steps]
    return drawn


def _drawn_from_moments(study: Study, classes: Sequence[str], first: int, count: int) -> Market:
    market = study.market
    per_year = steps_per_year(study, None)
    steps, length = step_count(study, None), 1 / per_year
    deviation = np.array([market.volatilities[name] for name in classes])
    trend = np.log1p(np.array([market.means[name] for name in classes])) - deviation**2 / 2
    root = _root(market, classes)
    normal = np.stack([_stream(study, first + path).standard_normal((steps, len(classes))) for path in range(count)])
    paid = np.array([market.dividend_yields.get(name, 0.0) for name in classes]) / per_year
    return Market(
        dates=later_dates(BEGIN, steps, per_year),
        classes=classes,
        growth=np.exp(trend * length + np.sqrt(length) * deviation * (normal @ root)) / (1 + paid),
        dividend_yield=paid,
        risk_free=np.full((count, steps), (1 + market.risk_free_rate) ** length - 1),
        steps_per_year=per_year,
    )


def _root(market: MarketSection, classes: Sequence[str]) -> Floats:
    """The symmetric square root of the correlations: the same whatever a machine's linear algebra makes of signs.

    Raises
    ------
    WrongUsage
        No random numbers have such correlations.
    """
    matrix = np.eye(len(classes))
    for one, others in market.correlations.items():
        for two, value in others.items():
            if one in classes and two in classes and one != two:
                at = classes.index(one), classes.index(two)
                matrix[at] = matrix[at[::-1]] = value
    values, vectors = np.linalg.eigh(matrix)
    if values.min() < -TINY:
        raise WrongUsage(
            "the correlations of [market] contradict each other: no returns can have all of them\n\n"
            "Hint: take them from one estimate, or bring them nearer to 0."
        )
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _stream(study: Study, path: int) -> np.random.Generator:
    return np.random.default_rng([study.paths.seed, path])


def later_dates(begin: date, steps: int, steps_per_year: float) -> list[date]:
    """``steps`` + 1 dates from ``begin`` on: the ends of months, or so many days of a year evenly spaced."""
    if steps_per_year == MONTHS:
        return [begin, *(month_end(begin, number) for number in range(1, steps + 1))]
    return [begin + timedelta(days=round(number * DAYS_OF_A_YEAR / steps_per_year)) for number in range(steps + 1)]


def month_end(day: date, months: int) -> date:
    """The last day of the month that is so many months after that of ``day``."""
    following = day.year * MONTHS + day.month + months
    return date(following // MONTHS, following % MONTHS + 1, 1) - timedelta(days=1)
