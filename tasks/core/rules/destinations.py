"""Where a rebalance lands: the smallest move from today's weights after which every class is within ``trade_to`` of its band.

With weights w, targets t and reach r = trade_to * band (no band: 0) the destinations d of an account

    minimise  sum (d - w)^2   subject to   sum d = sum t,   d between w and t,   |d - t| <= r

so that no class moves but towards its target, and all of it is invested. The box holds t itself, so there is an answer, and it
is ``d = clip(w + x, low, high)`` for the one number x at which the sum is right.
"""

from typing import Any

import numpy as np
import polars as pl

from tasks.core.solver import Floats, Ints, compile_entrance, compile_inner

HALVINGS = 200


def destinations(drift: pl.DataFrame) -> pl.DataFrame:
    """Drift rows, whole accounts, with ``destination_usd``; row order is kept.

    Parameters
    ----------
    drift
        ``account_id, weight, target_weight, band, trade_to, nav_usd``; weights of fractions of NAV.
    """
    reach = (pl.col("trade_to") * pl.col("band")).fill_null(0.0)
    rows = drift.with_row_index("place").sort("account_id", "place")
    low = pl.max_horizontal(pl.min_horizontal("weight", "target_weight"), pl.col("target_weight") - reach)
    high = pl.min_horizontal(pl.max_horizontal("weight", "target_weight"), pl.col("target_weight") + reach)
    numbers = rows.select(
        pl.col("weight", "target_weight").cast(pl.Float64), low=low.cast(pl.Float64), high=high.cast(pl.Float64)
    )
    first = rows.select(pl.col("account_id").rle_id()).to_series().to_numpy()
    start = np.append(np.flatnonzero(np.append(True, np.diff(first) != 0))[: len(first)], len(first)).astype(np.int64)
    arrays = [np.require(numbers[name].to_numpy(), np.float64, ["C", "W"]) for name in numbers.columns]
    landed = _land(start, *arrays)
    return (
        rows.with_columns(destination_usd=pl.Series(landed, dtype=pl.Float64) * pl.col("nav_usd").cast(pl.Float64))
        .sort("place")
        .drop("place")
    )


@compile_inner
def land_account(first: int, last: int, weight: Any, target: Any, low: Any, high: Any, landed: Any) -> None:
    """Fill the destinations, fractions of NAV, of an account's classes ``first`` to ``last``."""
    wanted, least, most, is_free = 0.0, 0.0, 0.0, False
    for c in range(first, last):
        landed[c] = target[c]
        wanted += target[c]
        is_free = is_free or high[c] > low[c]
        least = min(least, low[c] - weight[c])
        most = max(most, high[c] - weight[c])
    if not is_free:
        return
    for _ in range(HALVINGS):
        x = 0.5 * (least + most)
        total = 0.0
        for c in range(first, last):
            landed[c] = min(max(weight[c] + x, low[c]), high[c])
            total += landed[c]
        if total == wanted or x in (least, most):
            break
        if total < wanted:
            least = x
        else:
            most = x


@compile_entrance
def _land(start: Ints, weight: Floats, target: Floats, low: Floats, high: Floats) -> Floats:
    """Destinations, fractions of NAV; account a has the classes from ``start[a]`` to ``start[a + 1]``."""
    landed = np.zeros(len(target))
    for account in range(len(start) - 1):
        land_account(start[account], start[account + 1], weight, target, low, high, landed)
    return landed
