"""What is carried from night to night: running moments of returns, the peak, periods that begin; and what they say, made annual once.

Inside everything is per night. At the edge (``with_measures``) and nowhere else it becomes annual, by nights and trading days that were counted:

    nights a year = 252 x nights / trading days that they span     (252 where none was missed)
    volatility    = sd(r) sqrt(nights a year)
    tracking error = sd(d) sqrt(nights a year)                      d: the night's difference to the model
    Sharpe        = mean(r - f) / sd(r - f) sqrt(nights a year)      f = (1 + rate a year)^(trading days / 252) - 1 of the night
    its error     = sqrt((1 + Sharpe^2 / 2) / years)                 Lo (2002, FAJ 58); ``tasks.core.lab.sharpe_error``
    drawdown      = growth / greatest growth before - 1              compounded, 0 or negative

sd divides by n - 1. Moments are updated by Welford's recurrences (1962, Technometrics 4), which lose no digits to a large mean.

Known limits: nights are taken to be independent of each other, as Lo's simplest error does. Fewer than two returns have no spread.
"""

from typing import Final

import polars as pl

from schemas.stored import INTERNAL
from tasks.core.lab import annual_deviation, sharpe_error
from tasks.core.performance.returns import period_growth

TRADING_DAYS: Final = 252
"""Trading days of a year."""
MOMENTS: Final = ("return", "excess", "tracking")
"""What has a running mean and sum of squared deviations: ``<name>_mean``, ``<name>_m2``."""
STATE: Final = {
    name: INTERNAL["performance_state"][name]
    for name in (
        "return_count",
        "session_count",
        *(f"{of}_{part}" for of in MOMENTS for part in ("mean", "m2")),
        "peak_growth",
    )
}
"""What a night needs of the one before it, beside the row of ``performance``."""
NEW: Final = {name: pl.lit(1.0 if name == "peak_growth" else 0).cast(dtype) for name, dtype in STATE.items()}
"""That of an account's first night."""


def risk_free_return(annual_rate: float, sessions: pl.Expr) -> pl.Expr:
    """What a rate a year pays in so many trading days, compounded: a rate per year is never taken for one per night."""
    return pl.lit(1 + annual_rate).pow(sessions / TRADING_DAYS) - 1


def with_moments(rows: pl.DataFrame, numbers: dict[str, pl.Expr]) -> pl.DataFrame:
    """Rows with ``return_count`` and the moments of ``MOMENTS`` after one number more of each; a null number changes nothing.

    ``numbers``: by name, null wherever that of ``return`` is.
    """
    is_known = numbers["return"].is_not_null()
    count = pl.col("return_count") + is_known.cast(pl.Int64)
    changes: dict[str, pl.Expr] = {"return_count": count}
    for name, number in numbers.items():
        mean, m2 = pl.col(f"{name}_mean"), pl.col(f"{name}_m2")
        off = number - mean
        after = mean + off * (1.0 / count)
        changes[f"{name}_mean"] = pl.when(is_known).then(after).otherwise(mean)
        changes[f"{name}_m2"] = pl.when(is_known).then(m2 + off * (number - after)).otherwise(m2)
    return rows.with_columns(**changes)


def after_night(rows: pl.DataFrame, *, risk_free_rate: float) -> pl.DataFrame:
    """The accounts one night further: cumulated returns, moments and peak.

    Parameters
    ----------
    rows
        An account a row: ``daily_return``, ``tax_return`` (that of the tax accrued, 0 or negative where some is owed), ``model_return``,
        ``tracking_difference``, ``sessions``, ``since_date``, ``night_date``, and as of the night before ``STATE`` and the cumulated returns
        ``inception_return``, ``year_return``, ``quarter_return``, ``month_return``, ``model_inception_return``, ``after_tax_return``.
    risk_free_rate
        A year's, fraction.

    Returns
    -------
    pl.DataFrame
        The same columns as of tonight.
    """
    earned, now, then = pl.col("daily_return"), pl.col("night_date"), pl.col("since_date")
    is_new_year = now.dt.year() != then.dt.year()
    is_new_quarter = is_new_year | (now.dt.quarter() != then.dt.quarter())
    is_new_month = is_new_year | (now.dt.month() != then.dt.month())
    never = pl.lit(value=False)
    after_tax = earned + pl.col("tax_return")
    moved = rows.with_columns(
        inception_return=period_growth(pl.col("inception_return"), earned, is_new=never),
        year_return=period_growth(pl.col("year_return"), earned, is_new=is_new_year),
        quarter_return=period_growth(pl.col("quarter_return"), earned, is_new=is_new_quarter),
        month_return=period_growth(pl.col("month_return"), earned, is_new=is_new_month),
        model_inception_return=period_growth(pl.col("model_inception_return"), pl.col("model_return"), is_new=never),
        after_tax_return=period_growth(pl.col("after_tax_return"), after_tax, is_new=never),
        session_count=pl.col("session_count") + pl.when(earned.is_not_null()).then("sessions").otherwise(0),
    )
    counted = with_moments(
        moved,
        {
            "return": earned,
            "excess": earned - risk_free_return(risk_free_rate, pl.col("sessions")),
            "tracking": pl.col("tracking_difference"),
        },
    )
    return counted.with_columns(peak_growth=pl.max_horizontal("peak_growth", 1 + pl.col("inception_return")))


def with_measures(rows: pl.DataFrame) -> pl.DataFrame:
    """Accounts with ``volatility``, ``tracking_error``, ``sharpe``, ``sharpe_error`` (annual), ``drawdown`` and ``max_drawdown``; a spread of fewer than two returns is null.

    ``rows``: ``STATE`` and ``inception_return`` as of tonight, ``max_drawdown`` as of the night before.
    """
    count = rows["return_count"].to_numpy()
    sessions = rows["session_count"].to_numpy()
    a_year = TRADING_DAYS * count / sessions.clip(1)
    spread = {name: annual_deviation(rows[f"{name}_m2"].to_numpy(), count, a_year) for name in MOMENTS}
    measured = rows.with_columns(
        volatility=pl.Series(spread["return"]),
        tracking_error=pl.Series(spread["tracking"]),
        sharpe=pl.col("excess_mean") * pl.Series(a_year) / pl.Series(spread["excess"]),
        drawdown=(1 + pl.col("inception_return")) / pl.col("peak_growth") - 1,
    ).with_columns(max_drawdown=pl.min_horizontal("max_drawdown", "drawdown"))
    years = sessions.clip(1) / TRADING_DAYS
    error = sharpe_error(measured["sharpe"].to_numpy(), years)
    has_spread = (pl.col("return_count") >= 2) & pl.col("sharpe").is_finite()  # noqa: PLR2004 - one return has no spread
    return measured.with_columns(
        pl.when(pl.col("return_count") >= 2).then(name).alias(name)  # noqa: PLR2004
        for name in ("volatility", "tracking_error")
    ).with_columns(sharpe=pl.when(has_spread).then("sharpe"), sharpe_error=pl.when(has_spread).then(pl.Series(error)))
