"""Orders in whole steps where lots are not: an order is a multiple of ``quantity_step`` unless it sells all that is held.

The solver keeps to that by itself; here it is kept where a rule sells outright.

All of this is in millionths of a unit, exact; rows are in the order in which lots are sold.
"""

from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Reason
from schemas.units import EXACT
from tasks.core.rules.harvest_picks import lower_all
from tasks.core.rules.sales import HOLDING

MILLIONTHS: Final = 10**6


def millionths(quantity: str | pl.Expr) -> pl.Expr:
    """An exact quantity as a whole number of millionths."""
    expr = pl.col(quantity) if isinstance(quantity, str) else quantity
    return expr.cast(EXACT).to_physical().cast(pl.Int64)


def quantity_of(number: pl.Expr) -> pl.Expr:
    """Millionths as an exact quantity."""
    fraction = ((number % MILLIONTHS).cast(pl.Float64) / MILLIONTHS).round(6).cast(EXACT)
    return ((number // MILLIONTHS).cast(EXACT) + fraction).cast(EXACT)


def taken_in_order(total: pl.Expr, room: pl.Expr) -> pl.Expr:
    """How much of each lot goes when ``total`` of a holding is taken in the order in which its lots stand."""
    before = room.cum_sum().over(HOLDING) - room
    return pl.min_horizontal((total - before).clip(lower_bound=0), room)


def with_whole_outright(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots whose ``outright`` sums to whole steps in each holding, or to all of it.

    Where a maximum asks for the sale it is rounded up, with what may be sold and costs least; else down, by what saves least.
    """
    held, outright, step = millionths("quantity"), millionths("outright"), millionths("quantity_step")
    touched = (
        lots.filter(pl.col("outright") > 0)
        .group_by(HOLDING)
        .agg(
            total=outright.sum(),
            step=step.first(),
            is_up=(pl.col("outright_reason") == Reason.HOLD_RANGE).any(),
        )
        .filter(pl.col("total") % pl.col("step") != 0)
    )
    if touched.is_empty():
        return lots
    lots = lots.with_row_index("place")
    mine = lots.join(touched, on=HOLDING, maintain_order="left").with_columns(held=held.sum().over(HOLDING))
    mine = mine.filter(pl.col("held") != pl.col("total"))
    room = pl.when("is_fixed").then(0).otherwise(held - outright)
    missing = pl.col("step") - pl.col("total") % pl.col("step")
    is_up = pl.col("is_up") & (room.sum().over(HOLDING) >= missing)
    mine = mine.with_columns(is_up=is_up, room=room, missing=missing, outright_units=outright)
    up = mine.filter("is_up").sort(*HOLDING, pl.col("spread") + pl.col("tax"), "lot_id")
    down = mine.filter(~pl.col("is_up")).sort(
        *HOLDING, pl.col("gain_fraction"), "lot_id", descending=[False, False, True, True]
    )
    units = pl.col("outright_units")
    changed = pl.concat(
        [
            up.select("place", units=units + taken_in_order(pl.col("missing"), pl.col("room"))),
            down.select("place", units=_lowered(down)),
        ]
    ).with_columns(whole=quantity_of(pl.col("units")))
    sold = pl.coalesce("whole", "outright").cast(lots.schema["outright"])
    reason = pl.coalesce("outright_reason", pl.lit(str(Reason.HOLD_RANGE)))
    return (
        lots.join(changed, on="place", how="left", maintain_order="left")
        .with_columns(
            outright=sold,
            outright_reason=pl.when(sold > 0).then(reason),
            start_quantity=(pl.col("quantity") - sold).cast(lots.schema["start_quantity"]),
        )
        .drop("place", "units", "whole")
    )


def _lowered(lots: pl.DataFrame) -> pl.Series:
    """``outright_units`` of lots, of a holding one after the other, lowered to whole steps."""
    holding = lots.select(pl.struct(HOLDING).rle_id()).to_series().to_numpy()
    start = np.append(np.searchsorted(holding, np.arange(holding[-1] + 1 if len(holding) else 0)), len(holding))
    units, held, step = (
        np.require(lots[name].cast(pl.Int64).to_numpy(), np.int64, ["C", "W"])
        for name in ("outright_units", "held", "step")
    )
    lower_all(np.require(start, np.int64, ["C", "W"]), units, held, step)
    return pl.Series(units, dtype=pl.Int64)
