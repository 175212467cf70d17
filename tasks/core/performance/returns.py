"""Returns of one night and of many: time-weighted, Modified Dietz and money-weighted.

Values and flows are USD of the whole account; returns are fractions per night, never a year's. Flows: + in, - out.

    time-weighted    r = (now - flow) / then - 1        the flow at the night's close: the value before it is ``now - flow``
    Modified Dietz   r = (now - then - flow) / (then + sum of weight x flow)      weight: share of the span that the flow was in the account
    cumulated        growth = product of (1 + r);  return = growth - 1
    money-weighted   i with  then (1 + i)^d + sum of flow (1 + i)^(days left) = now,  cumulated: (1 + i)^days - 1

The first is the second with weight 0: one formula serves both, and where a weight is not 0 the value at a flow is missing and the night says so
(``ReturnMethod.MODIFIED_DIETZ``). Nights link at the values before their flows, so that flows do not move the time-weighted return.

Sources: CFA Institute, GIPS 2020, provisions 2.A.20 and 2.A.21; Dietz (1966, Pension Funds: Measuring Investment Performance); internal
rates of return are found by pyxirr.

Known limits: a night's flow counts at its close where the night's span is one trading day, whatever its hour was.
"""

from datetime import date
from typing import Final

import polars as pl
import pyxirr

from schemas.enums import ReturnMethod

DAYS_A_YEAR: Final = 365
"""Days by which pyxirr counts a year; it cancels out of a cumulated rate."""
LEAST_VALUE_USD: Final = 0.01
"""An account that began the night with less has no return: nothing was there to earn it."""


def dietz_return(then: pl.Expr, now: pl.Expr, flow: pl.Expr, weighted_flow: pl.Expr) -> pl.Expr:
    """Return of a night, fraction; null where the value before, or what earned it (``then + weighted_flow``), is less than a cent.

    Parameters
    ----------
    then, now
        Value before and tonight, USD.
    flow
        Sum of the flows since, USD.
    weighted_flow
        Sum of each flow by the share of the span that it was in the account, USD; 0 where every flow was at tonight's close.
    """
    base = (
        then + weighted_flow
    )  # by its reciprocal: Polars divides so where all rows have one, and an account alone must earn the same
    return pl.when((base >= LEAST_VALUE_USD) & (then >= LEAST_VALUE_USD)).then((now - then - flow) * (1 / base))


def time_in_account(flow_date: pl.Expr, since: pl.Expr, night: pl.Expr) -> pl.Expr:
    """Share of the days from ``since`` to ``night`` for which a flow was in the account; 0 on the night itself."""
    return (night - flow_date).dt.total_days() / (night - since).dt.total_days()


def return_method(has_base: pl.Expr, weighted_flow: pl.Expr) -> pl.Expr:
    """How a night's return was found (``ReturnMethod``), for nights that have one before them."""
    return (
        pl.when(~has_base)
        .then(pl.lit(str(ReturnMethod.NO_VALUE)))
        .when(weighted_flow != 0)
        .then(pl.lit(str(ReturnMethod.MODIFIED_DIETZ)))
        .otherwise(pl.lit(str(ReturnMethod.LINKED)))
    )


def period_growth(before: pl.Expr, earned: pl.Expr, *, is_new: pl.Expr) -> pl.Expr:
    """Cumulated return of a period with one night more; ``is_new``: tonight begins the period. A night without a return changes nothing."""
    start = pl.when(is_new).then(0.0).otherwise(before.fill_null(0.0))
    return (1 + start) * (1 + earned.fill_null(0.0)) - 1


def money_weighted_returns(accounts: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """``account_id, money_weighted_return`` since inception, cumulated and not a year's; null where no rate solves it.

    An account without flows since its inception has no entry: its value alone says what it earned, the same as time-weighted.

    Parameters
    ----------
    accounts
        ``account_id, inception_date, inception_value_usd, night_date, value_usd``.
    flows
        ``account_id, flow_date, flow_usd``: every flow after the inception, up to the night.
    """
    sums = flows.filter(pl.col("flow_usd") != 0).group_by("account_id", "flow_date").agg(pl.col("flow_usd").sum())
    listed = (
        sums.sort("account_id", "flow_date")
        .group_by("account_id", maintain_order=True)
        .agg(days="flow_date", amounts=pl.col("flow_usd").cast(pl.Float64))
    )
    wanted = accounts.join(listed, on="account_id").sort("account_id")
    columns = ("inception_date", "inception_value_usd", "days", "amounts", "night_date", "value_usd")
    found = [_money_weighted(row) for row in wanted.select(columns).iter_rows()]
    return wanted.select("account_id", money_weighted_return=pl.Series(found, dtype=pl.Float64))


def _money_weighted(row: tuple[date, float, list[date], list[float], date, float]) -> float | None:
    """The money-weighted return of one account that had flows."""
    first, began, days, amounts, last, ended = row
    try:
        rate = pyxirr.xirr([first, *days, last], [-began, *(-amount for amount in amounts), ended])
    except pyxirr.InvalidPaymentsError:  # all of one sign: nothing was put in, or nothing came of it
        return None
    return None if rate is None else float((1 + rate) ** ((last - first).days / DAYS_A_YEAR) - 1)
