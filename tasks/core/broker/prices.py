"""What a simulated broker can fill of each order, and at which price.

Assumptions
-----------
All orders of an export reach the broker before the open of one session. Those in one security and on one side are worked together, as one
parent order, so that accounts get one price. Nothing else trades against them, and a price is not moved by the other side.

1. *Volume.* In a security the broker fills at most ``participation`` x V shares, V being the day's volume: of each order the same share
   ``min(1, participation * V / asked)``, ``asked`` the sum of all orders in it, rounded down to the step of the security's orders.
2. *Price.* ``p = p0 * (1 + s * (h / 10,000 + Y * sigma * sqrt(Q / V)))``: p0 the order's reference price, s = +1 for buys and -1 for
   sells, h the half spread in basis points, sigma the daily volatility (a fraction), Q the shares filled on that side, Y the
   ``impact`` (no unit, of order one). Rounded half-even to millionths, and never below one.

Sources: the square-root law of market impact, with Y of order one: B. Toth et al., "Anomalous price impact and the critical nature of
liquidity in financial markets", Physical Review X 1, 021006 (2011); R. Almgren, C. Thum, E. Hauptmann, H. Li, "Direct estimation of equity
market impact", Risk 18 (2005), who find an exponent of 0.6 beside a linear permanent part; J.-P. Bouchaud, J. Bonart, J. Donier, M. Gould,
"Trades, Quotes and Prices", Cambridge (2018), chapter 12.

Known limits: no trend and no noise of the day, so that the cost of an order is what the model says and nothing else. Impact of earlier days has
decayed. An order in dollars is filled in the shares that its export names.
"""

from decimal import Decimal
from typing import Final

import polars as pl

from schemas.enums import Side
from schemas.units import EXACT
from tasks.core.facts import BPS

_LEAST_PRICE: Final = 0.000001
_DIGITS: Final = 6
_MILLIONTH: Final = Decimal("0.000001")


def asked_prices(orders: pl.DataFrame, market: pl.DataFrame, *, participation: float, impact: float) -> pl.DataFrame:
    """Orders with ``step_units``, ``available_units`` (millionths of a share) and ``fill_price_usd``, in the order given.

    Parameters
    ----------
    orders
        ``ORDERS``: those that the broker accepts.
    market
        ``MARKET``, a row for each of their securities.
    participation, impact
        As of ``BrokerModel``.
    """
    units = (
        pl.col("quantity").cast(pl.Decimal(38, 6)).cast(pl.String).str.replace(".", "", literal=True).cast(pl.Int128)
    )
    placed = orders.join(market, on="security_id", how="left", maintain_order="left").with_columns(units=units)
    asked = pl.col("units").sum().over("security_id")
    most = (pl.col("daily_volume") * participation * 10**_DIGITS).floor().cast(pl.Int128)
    stepped = placed.with_columns(
        step_units=_step().over("security_id"), wanted=pl.min_horizontal("units", pl.col("units") * most // asked)
    )
    cut = stepped.with_columns(available_units=pl.col("wanted") // pl.col("step_units") * pl.col("step_units"))
    filled = pl.col("available_units").sum().over("security_id", "side").cast(pl.Float64) / 10**_DIGITS
    move = (
        pl.col("half_spread_bps") / BPS + impact * pl.col("daily_volatility") * (filled / pl.col("daily_volume")).sqrt()
    )
    sign = pl.when(pl.col("side") == Side.BUY).then(1.0).otherwise(-1.0)
    price = (pl.col("price_usd").cast(pl.Float64) * (1 + sign * move)).clip(_LEAST_PRICE)
    priced = cut.with_columns(fill_price_usd=price.round(_DIGITS, mode="half_to_even").cast(EXACT))
    return priced.select(*orders.columns, pl.col("step_units", "available_units").cast(pl.Int64), "fill_price_usd")


def exact(units: pl.Expr) -> pl.Expr:
    """Millionths of a share as a quantity."""
    return (units.cast(pl.Decimal(38, 6)) * pl.lit(_MILLIONTH, pl.Decimal(38, 6))).cast(EXACT)


def _step() -> pl.Expr:
    """The greatest power of ten, of a millionth to one share, that divides the order: shares that a security is traded in have no more digits."""
    fits = [pl.when((pl.col("units") % 10**power == 0).all()).then(10**power) for power in range(_DIGITS, 0, -1)]
    return pl.coalesce(*fits, pl.lit(1)).cast(pl.Int128)
