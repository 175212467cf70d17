"""What became of each holding since its account was last accepted: traded, split, too small to ask about, or unexplained.

A holding is all of one security in an account. For those of which any lot changed:

1. The change is traded where it lies between all sold and all bought from ``LAG_DAYS`` days before the account was last
   accepted: books may follow a trade by its settlement.
2. It is a split where the quantity moved by a usual ratio (to ``_RATIO_TOLERANCE``: fractions are paid out in cash) and the price
   by its inverse (to ``_PRICE_TOLERANCE``, for markets move too, and nearer to that than to the price before). A ratio without
   the price is suspected: half a split was booked. Where trades would do as well, a split leaves the cost of all as it was
   (to ``COST_TOLERANCE``) and trades do not.
3. It is small where its value at tonight's price, or the last there is, stays within the limit.

Quantities and prices are compared as exact numbers, ratios crosswise: no quotient is rounded.

Known limits: a split and a trade of the same security on one night read as a change without a cause.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

import polars as pl

from schemas.enums import Side
from tasks.core.gate.history import HOLDING, QUANTITY_EXPLAINED, SPLIT_SUSPECTED, Comparison, plain, share, values_then

LAG_DAYS: Final = 5
_LOT: Final = (*HOLDING, "lot_id")
_WAYS: Final = (
    (2, 1),
    (3, 1),
    (4, 1),
    (5, 1),
    (8, 1),
    (10, 1),
    (15, 1),
    (20, 1),
    (25, 1),
    (50, 1),
    (3, 2),
    (4, 3),
    (5, 4),
)
RATIOS: Final = (*_WAYS, *((old, new) for new, old in _WAYS))
"""New shares for old ones of the splits and reverse splits that companies make; further apart than twice the tolerance."""
_RATIO_TOLERANCE: Final = 0.005
_PRICE_TOLERANCE: Final = 0.25
COST_TOLERANCE: Final = 0.01
_SIDES: Final = {"bought": Side.BUY, "sold": Side.SELL}
_SHARES: Final = ("new_shares", "old_shares")


class HoldingChange(StrEnum):
    """What became of a holding."""

    EXPLAINED = "explained"
    SPLIT = "split"
    SUSPECTED = SPLIT_SUSPECTED
    UNEXPLAINED = QUANTITY_EXPLAINED


def changed_lots(comparison: Comparison) -> pl.DataFrame:
    """Every lot, tonight's and then's, of the holdings of which any lot changed.

    Columns: the lot's key, ``row_number`` (null: sold or missing tonight), ``quantity``, ``unit_cost_usd``, ``acquired_date`` and the same with
    ``_then`` (quantity null: new).
    """
    values = ("quantity", "unit_cost_usd", "acquired_date")
    then = comparison.then["lots"].select(*_LOT, *(pl.col(name).alias(f"{name}_then") for name in values))
    lots = comparison.tonight["lots"].select(*_LOT, "row_number", *values)
    lots = lots.join(then, on=_LOT, how="full", coalesce=True)
    is_changed = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_then")) for name in values)
    return lots.join(lots.filter(is_changed).select(HOLDING).unique(), on=HOLDING, how="semi")


def holdings(lots: pl.DataFrame, comparison: Comparison) -> pl.DataFrame:
    """The holdings that the lots make up, with the ``change`` of each.

    Columns: ``account_id, security_id``; ``quantity``, ``cost_usd`` and the same with ``_then`` (a cost sums the lots whose cost is
    known); ``lot_count`` tonight; ``known_count_then``; ``price_usd``, ``price_then_usd``; ``bought``, ``sold``; ``accepted_date``;
    ``new_shares`` for ``old_shares`` (1 for 1 where it is no split).
    """
    changes = (
        lots.group_by(HOLDING)
        .agg(
            pl.col("quantity", "quantity_then").sum(),
            cost_usd=(pl.col("quantity") * pl.col("unit_cost_usd")).sum(),
            cost_then_usd=(pl.col("quantity_then") * pl.col("unit_cost_usd_then")).sum(),
            lot_count=pl.col("row_number").count(),
            known_count_then=pl.col("unit_cost_usd_then").count(),
        )
        .join(comparison.accounts, on="account_id")
        .join(comparison.prices, on="security_id", how="left")
        .join(_traded_quantities(comparison), on=HOLDING, how="left")
        .with_columns(pl.col("bought", "sold").fill_null(0))
    )
    values = values_then(comparison, changes.select("account_id").unique())
    judged = _with_change(changes.join(values, on="account_id", how="left"), comparison)
    is_split = pl.col("change").is_in([HoldingChange.SPLIT, HoldingChange.SUSPECTED])
    return judged.with_columns(pl.when(is_split).then(name).otherwise(1).alias(name) for name in _SHARES)


def unexplained_changes(found: pl.DataFrame) -> pl.DataFrame:
    """``account_id, security_id, lot_count, rule, sentence`` of each holding whose change has no cause."""
    rows = found.filter(pl.col("change").is_in([HoldingChange.SUSPECTED, HoldingChange.UNEXPLAINED]))
    where = (
        pl.when(pl.col("lot_count") == 0).then(pl.format("quantity of {}", "security_id")).otherwise(pl.lit("quantity"))
    )
    lots = pl.when(pl.col("lot_count") > 1).then(pl.format(" in {} lots", "lot_count")).otherwise(pl.lit(""))
    held = pl.format("{} is {}{}, {} on {}", where, plain("quantity"), lots, plain("quantity_then"), "accepted_date")
    trades = pl.format(
        "trades that explain the change (bought {}, sold {} since {}).", plain("bought"), plain("sold"), _first_day()
    )
    split = pl.format(
        ", as after a split of {} for {}, and the price {}, {} before; needed a price moved by the inverse, or ",
        *_SHARES,
        plain("price_usd"),
        plain("price_then_usd"),
    )
    middle = pl.when(pl.col("change") == HoldingChange.SUSPECTED).then(split).otherwise(pl.lit("; needed "))
    return rows.select(*HOLDING, "lot_count", rule="change", sentence=pl.concat_str(held, middle, trades))


def _first_day() -> pl.Expr:
    return pl.col("accepted_date") - timedelta(days=LAG_DAYS)


def is_cost_kept() -> pl.Expr:
    """All of the holding costs what it did."""
    return _is_near(pl.col("cost_usd"), pl.col("cost_then_usd"), COST_TOLERANCE)


def _traded_quantities(comparison: Comparison) -> pl.DataFrame:
    """``bought`` and ``sold`` of each holding in the days that may explain its change."""
    trades = comparison.tonight["trades"].join(comparison.accounts, on="account_id")
    recent = trades.filter(pl.col("trade_date").is_between(_first_day(), comparison.as_of))
    of = {name: pl.col("quantity").filter(pl.col("side") == side).sum() for name, side in _SIDES.items()}
    return recent.group_by(HOLDING).agg(**of)


def _with_change(changes: pl.DataFrame, comparison: Comparison) -> pl.DataFrame:
    moved = pl.col("quantity") - pl.col("quantity_then")
    price = pl.coalesce("price_usd", "price_then_usd")
    limit = share(comparison.limits.max_unexplained_fraction, pl.col("value_usd"))
    is_traded = moved.is_between(-pl.col("sold"), pl.col("bought"))
    is_small = (moved.abs() * price <= limit).fill_null(value=False)
    new, old = (pl.col(name) for name in _SHARES)
    gap = (pl.col("price_usd") * new - pl.col("price_then_usd") * old).abs()
    is_nearer = gap < (pl.col("price_usd") - pl.col("price_then_usd")).abs() * new
    is_inverse = is_nearer & (gap <= share(_PRICE_TOLERANCE, pl.col("price_then_usd") * old))
    is_split = is_inverse.fill_null(value=False) & (~is_traded | is_cost_kept())
    change = (
        pl.when(is_split)
        .then(pl.lit(HoldingChange.SPLIT))
        .when(is_traded | is_small)
        .then(pl.lit(HoldingChange.EXPLAINED))
        .when(new.is_not_null())
        .then(pl.lit(HoldingChange.SUSPECTED))
        .otherwise(pl.lit(HoldingChange.UNEXPLAINED))
    )
    return changes.with_columns(_usual_ratio().struct.unnest()).with_columns(change=change)


def _usual_ratio() -> pl.Expr:
    """New shares for old ones, of the usual ratio that the quantity moved by; null where it is none."""
    held, then = pl.col("quantity"), pl.col("quantity_then")
    ratios = [
        pl.when((then > 0) & _is_near(held * old, then * new, _RATIO_TOLERANCE)).then(
            pl.struct(pl.lit(new).alias("new_shares"), pl.lit(old).alias("old_shares"))
        )
        for new, old in RATIOS
    ]
    return pl.coalesce(ratios)


def _is_near(found: pl.Expr, expected: pl.Expr, tolerance: float) -> pl.Expr:
    """Within a fraction of what was expected; false where either is null."""
    return ((found - expected).abs() <= share(tolerance, expected)).fill_null(value=False)
