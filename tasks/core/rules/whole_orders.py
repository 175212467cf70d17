"""Orders in whole steps where lots are not: an order is a multiple of ``quantity_step`` unless it sells all that is held.

The solver cuts every lot to whole steps and lets it go whole. Lots with fractions (dividends reinvested) are therefore shown to it
re-cut at whole steps: counted up in the order in which a holding is sold, cheapest first, each boundary is moved up to the next
whole step, and the share that straddles two lots counts with the cheaper. What is left at the end can only go where the whole
position can; else it stays. So a bound that is proven for the re-cut lots holds for the real ones. What the solver sells is
then put back into real lots.

All of this is in millionths of a unit, exact; rows are in the order in which lots are sold.
"""

from typing import Final

import polars as pl

from schemas.enums import Reason
from schemas.landing import EXACT
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
    mine = lots.join(touched, on=HOLDING, maintain_order="left").filter(held.sum().over(HOLDING) != pl.col("total"))
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
            down.select("place", units=units - taken_in_order(pl.col("total") % pl.col("step"), units)),
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


def with_units(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``unit_quantity`` and ``unit_cap_usd``, as the solver is shown them, and ``is_recut`` where that is not the lot as it is.

    Parameters
    ----------
    lots
        In the order in which they are sold; with ``start_quantity``, ``cap_quantity``, ``cap_usd`` and ``lock``.
    """
    is_free = pl.col("lock").is_null()
    plain = {
        "unit_quantity": pl.col("start_quantity"),
        "unit_cap_usd": pl.when(is_free).then("cap_usd").otherwise(0.0),
        "is_recut": pl.lit(value=False),
    }
    steps = millionths("quantity_step")
    odd = lots.filter(millionths("start_quantity") % steps != 0).select(HOLDING).unique()
    many = lots.join(odd, on=HOLDING, how="semi").group_by(HOLDING).len().filter(pl.col("len") > 1)
    if many.is_empty():
        return lots.with_columns(**plain)
    held, cap = millionths("start_quantity"), pl.when(is_free).then(millionths("cap_quantity")).otherwise(0)
    all_held, all_free = held.sum().over(HOLDING), cap.sum().over(HOLDING)
    most = pl.when(all_held == all_free).then(all_free).otherwise(all_free // steps * steps)
    upper = pl.min_horizontal((cap.cum_sum().over(HOLDING) + steps - 1) // steps * steps, most)
    numbered = lots.with_row_index("place")
    recut = (
        numbered.join(many, on=HOLDING, how="semi", maintain_order="left")
        .with_columns(upper=upper)
        .with_columns(units=pl.col("upper") - pl.col("upper").shift(1, fill_value=0).over(HOLDING))
        .select("place", quantity_shown=quantity_of(pl.col("units")))
    )
    is_recut = pl.col("quantity_shown").is_not_null()
    shown = pl.col("quantity_shown").cast(pl.Float64) * pl.col("unit_usd")
    return (
        numbered.join(recut, on="place", how="left", maintain_order="left")
        .with_columns(
            unit_quantity=pl.coalesce("quantity_shown", "start_quantity"),
            unit_cap_usd=pl.when(is_recut).then(shown).otherwise(plain["unit_cap_usd"]),
            is_recut=is_recut,
        )
        .drop("place", "quantity_shown")
    )


def with_real_lots(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``solved``, sold of the re-cut lots, put back into the real ones: each its own first, then what is left in order."""
    if not lots["is_recut"].any():
        return lots
    room = pl.when(pl.col("lock").is_null()).then(millionths("cap_quantity")).otherwise(0)
    own = pl.min_horizontal(millionths("solved"), room)
    left = (millionths("solved") - own).sum().over(HOLDING)
    put = own + taken_in_order(left, room - own)
    return lots.with_columns(solved=pl.when("is_recut").then(quantity_of(put)).otherwise(pl.col("solved").cast(EXACT)))
