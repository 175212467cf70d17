"""Splits that nobody told of: known where the price and the quantities of all holders say the same.

A split of ``new`` shares for ``old`` is inferred for a security where

1. its price moved by the inverse, to ``_PRICE_TOLERANCE`` and nearer to that than to the price before: markets move too;
2. every holder's quantity moved by the ratio, to one share, for fractions are paid out in cash, and to what was traded;
3. of all ratios that fit, it is the roundest number for 1, else the one of the smallest numbers, which are small (``_MOST_OF_LESSER``, ``_MOST_OF_GREATER``).

Where a price alone moved as after a split, its holders wait (``looks_split``): companies split by few ratios, and a price that moved
by another is a market's. Quotients are of floats: quantities and prices of six digits are far from their limits.
"""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Final

import polars as pl

from schemas.enums import Side

SPLITS: Final[dict[str, type[pl.DataType]]] = {
    "security_id": pl.String,
    "new_shares": pl.Int64,
    "old_shares": pl.Int64,
}
"""Grain: security."""
_HOLDING: Final = ("account_id", "security_id")
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
"""New shares for old ones of the splits and reverse splits that companies make most; further apart than twice ``RATIO_TOLERANCE``."""
RATIO_TOLERANCE: Final = 0.005
_PRICE_TOLERANCE: Final = 0.25
_MOST_OF_LESSER: Final = 21
_MOST_OF_GREATER: Final = 1000
_LEAST_MOVE: Final = 0.03
_PRICE_ALONE: Final = ((1.5, 0.03), (2.0, 0.1), (3.0, 0.1))
"""Ratios by which a price that moved alone looks split, each with its tolerance; beyond ``_FAR`` any does."""
_LEAST_TOLD: Final = 1.2
_FAR: Final = 3.6


def holdings_of_both(lots: pl.DataFrame, then: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """``security_id, quantity, quantity_then, bought, sold`` of each holding of both nights.

    Parameters
    ----------
    lots, then
        ``account_id, security_id, quantity`` of lots of tonight and of the night before, in the same identifiers.
    trades
        ``account_id, security_id, side, quantity`` of trades that may have been booked between.
    """
    before, now = (
        rows.filter(pl.col("quantity") > 0).group_by(_HOLDING).agg(pl.col("quantity").sum()) for rows in (then, lots)
    )
    return (
        now.join(before.rename({"quantity": "quantity_then"}), on=_HOLDING)
        .join(bought_and_sold(trades), on=_HOLDING, how="left")
        .with_columns(pl.col("bought", "sold").fill_null(0))
        .drop("account_id")
    )


def bought_and_sold(trades: pl.DataFrame) -> pl.DataFrame:
    """``account_id, security_id, bought, sold``: the quantities of the trades of each holding."""
    sides = {"bought": Side.BUY, "sold": Side.SELL}
    of = {name: pl.col("quantity").filter(pl.col("side") == side).sum() for name, side in sides.items()}
    return trades.group_by(_HOLDING).agg(**of)


def split_candidates(held: pl.DataFrame, prices: pl.DataFrame) -> pl.Series:
    """``security_id`` of those whose price moved one way and the quantity of a holding the other: the whole book is to be asked.

    Parameters
    ----------
    held
        ``security_id, quantity, quantity_then`` of holdings.
    prices
        ``security_id, price_usd, price_then_usd``.
    """
    moved = held.filter(pl.col("quantity") > 0, pl.col("quantity_then") > 0).join(prices, on="security_id")
    more = pl.col("quantity").cast(pl.Float64) / pl.col("quantity_then").cast(pl.Float64)
    is_candidate = (_price_ratio().log().abs() > _LEAST_MOVE) & ((more.log() * _price_ratio().log()) > 0)
    return moved.filter(is_candidate & (pl.col("quantity") != pl.col("quantity_then")))["security_id"].unique().sort()


def infer_splits(held: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """``SPLITS`` that price and holders agree on.

    Parameters
    ----------
    held
        ``holdings_of_both`` of every account.
    prices
        As for ``split_candidates``.
    """
    quantity, then, bought, sold = (
        pl.col(name).cast(pl.Float64) for name in ("quantity", "quantity_then", "bought", "sold")
    )
    most = pl.max_horizontal(pl.lit(1.0), "expected")
    bounds = (
        held.join(prices, on="security_id")
        .with_columns(expected=_price_ratio())
        .drop_nulls("expected")
        .filter(pl.col("expected").log().abs() > _LEAST_MOVE)
        .group_by("security_id")
        .agg(
            pl.col("expected").first(),
            low=((quantity - bought * most - 1) / then).max(),
            high=((quantity + sold * most + 1) / then).min(),
            is_moved=(quantity != then).any(),
        )
        .filter("is_moved")
    )
    found = [
        (security, ratio.numerator, ratio.denominator)
        for security, low, high, expected in bounds.select("security_id", "low", "high", "expected").iter_rows()
        if (ratio := _ratio(low, high, expected)) is not None
    ]
    return pl.DataFrame(found, schema=SPLITS, orient="row").sort("security_id")


def looks_split(price: pl.Expr, then: pl.Expr) -> pl.Expr:
    """Whether the price moved as after a split; false where either is not known or 0."""
    ratio = then.cast(pl.Float64) / price.cast(pl.Float64)
    size = pl.max_horizontal(ratio, 1 / ratio)
    usual = [(size / simple - 1).abs() <= tolerance for simple, tolerance in _PRICE_ALONE]
    return (pl.any_horizontal(*usual, size >= _FAR) & size.is_finite()).fill_null(value=False)


def usual_ratio(held: pl.Expr, then: pl.Expr) -> pl.Expr:
    """``new_shares`` for ``old_shares``, of the usual ratio that a quantity moved by; null where it is none."""
    tolerance = Decimal(str(RATIO_TOLERANCE))
    ratios = [
        pl.when((then > 0) & ((held * old - then * new).abs() <= then * new * pl.lit(tolerance))).then(
            pl.struct(pl.lit(new).alias("new_shares"), pl.lit(old).alias("old_shares"))
        )
        for new, old in RATIOS
    ]
    return pl.coalesce(ratios)


def is_inverse() -> pl.Expr:
    """The price (``price_then_usd, price_usd``) moved by the inverse of the ratio that the quantity moved by (``old_shares, new_shares``)."""
    new, old, now, then = (pl.col(name) for name in ("new_shares", "old_shares", "price_usd", "price_then_usd"))
    gap, limit = (now * new - then * old).abs(), then * old * pl.lit(Decimal(str(_PRICE_TOLERANCE)))
    return ((gap < (now - then).abs() * new) & (gap <= limit)).fill_null(value=False)


def is_price_late(price: pl.Expr, then: pl.Expr, unsplit: pl.Expr) -> pl.Expr:
    """Whether a price is nearer to that of before a split that was told, ``unsplit``, than to the same in shares of after it, ``then``.

    Only where the two are far apart (``_LEAST_TOLD``): markets move too.
    """
    far, near = (pl.max_horizontal(one / other, other / one) for one, other in _pairs(price, then, unsplit))
    ratio = unsplit.cast(pl.Float64) / then.cast(pl.Float64)
    is_far = pl.max_horizontal(ratio, 1 / ratio) >= _LEAST_TOLD
    return (is_far & (near < far) & far.is_finite()).fill_null(value=False)


def _pairs(price: pl.Expr, *others: pl.Expr) -> list[tuple[pl.Expr, pl.Expr]]:
    return [(price.cast(pl.Float64), other.cast(pl.Float64)) for other in others]


def _price_ratio() -> pl.Expr:
    """New shares for one old, as the price has it; null where there is none."""
    ratio = pl.col("price_then_usd").cast(pl.Float64) / pl.col("price_usd").cast(pl.Float64)
    return pl.when(ratio.is_finite() & (ratio > 0)).then(ratio)


def _ratio(low: float, high: float, expected: float) -> Fraction | None:
    """The ratio of the smallest numbers between the holders' limits that the price agrees with."""
    least, most = expected * (1 - _PRICE_TOLERANCE), expected * (1 + _PRICE_TOLERANCE)
    low, high = max(low, least), min(high, most)
    if low > high or low <= 0:
        return None
    found = _round_number(low, high) or simplest_between(Fraction(low), Fraction(high))
    lesser, greater = sorted((found.numerator, found.denominator))
    if found == 1 or lesser > _MOST_OF_LESSER or greater > _MOST_OF_GREATER:
        return None
    off, unmoved = abs(math.log(expected / found)), abs(math.log(expected))
    return found if off < unmoved and off <= abs(math.log(found)) / 2 else None


def _round_number(low: float, high: float) -> Fraction | None:
    """The roundest whole number of shares for one, or of old shares for one new, between the limits; null where there is none."""
    is_reverse = high < 1
    least, most = (1 / high, 1 / low) if is_reverse else (low, high)
    between = range(max(math.ceil(least), 2), math.floor(min(most, _MOST_OF_GREATER)) + 1)
    found = min(between, key=lambda number: (len(str(number).rstrip("0")), number), default=None)
    return None if found is None else Fraction(1, found) if is_reverse else Fraction(found)


def simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of the smallest denominator, and of those the smallest, from ``low`` to ``high``; both above 0 (Stern and Brocot)."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    floor = math.floor(low)
    return floor + 1 / simplest_between(1 / (high - floor), 1 / (low - floor))
