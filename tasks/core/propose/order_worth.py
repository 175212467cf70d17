"""What an order is worth and what it costs, per dollar of it, beside all the other orders of its account.

Nothing else changed, an account would be better off without an order whose cost is above its worth. At the account's prices, with
``v`` the order's value, ``V`` what its class holds after all trades and ``T_c`` the class's destination, both of the household where
the account is managed with others:

    sale      worth  k (V + v/2 - T_c) + mu           cost  (half spreads - location + tax) / v + nu gains / v + rho
    purchase  worth  k (T_c - V + v/2)                cost  half spread + location + mu + rho

``k = kappa / NAV``. The tax is exact: the year's tax after all sales less that after all others, gains as they count. ``mu``, ``nu`` and
``rho`` are the prices of cash, of the gain budget and of turnover; what is sold outright (``rules``) uses up no turnover. A
fund of the class cash is worth what the cash is that it brings, and at least what it costs.

The solver's prices are those of the continuous optimum: whole units, or an order that was left out, may leave an order a little
dearer than it is worth at them.
"""

from typing import Final

import polars as pl

from schemas.landing_columns import CASH
from tasks.core.facts import BPS, usd_sum
from tasks.core.propose.realized import net_gains
from tasks.core.propose.solved import Solved
from tasks.core.tax import netted_tax

PRICES: Final = ("governed_nav_usd", "tracking_penalty", "shadow_price", "gain_price", "turnover_price")
"""What must be known of an order's account, beside its class's ``destination_usd`` and ``governed_after_usd``."""
IS_FUND: Final = pl.col("asset_class") == CASH


def sale_sums() -> dict[str, pl.Expr]:
    """What ``with_worth_of_sales`` needs of an order's lots, sold, with ``allowed_gain_usd`` and ``value_usd``: sums over them."""
    value, outright = pl.col("value_usd").cast(pl.Float64), pl.col("outright").cast(pl.Float64) * pl.col("unit_usd")
    gain = pl.col("allowed_gain_usd")
    return {
        "base_usd": usd_sum((pl.col("spread") - pl.when(IS_FUND).then(0.0).otherwise("location")) * value),
        "short_usd": usd_sum(gain.filter(pl.col("is_short"))),
        "long_usd": usd_sum(gain.filter(~pl.col("is_short"))),
        "chosen_usd": usd_sum(value - outright),
    }


def with_worth_of_sales(orders: pl.DataFrame, solved: Solved) -> pl.DataFrame:
    """Sells of lots, summed up by ``sale_sums``, with ``marginal_benefit_bps`` and ``marginal_cost_bps``."""
    rates = (pl.col("short_rate"), pl.col("long_rate"))
    short, long = pl.col("short_after"), pl.col("long_after")
    others = netted_tax(short - pl.col("short_usd"), long - pl.col("long_usd"), *rates)
    value = pl.col("value_usd").cast(pl.Float64)
    whole = (
        pl.col("base_usd")
        + (netted_tax(short, long, *rates) - others)
        + pl.col("gain_price") * (pl.col("short_usd") + pl.col("long_usd"))
        + pl.col("turnover_price") * pl.col("chosen_usd")
    )
    cost = whole * (1.0 / value)
    worth = _per_cost() * (_over() + 0.5 * value) + pl.col("shadow_price")
    return (
        orders.join(net_gains(solved.accounts, solved.lots), on="account_id", how="left", maintain_order="left")
        .with_columns(worth=pl.when(IS_FUND).then(pl.max_horizontal(cost, "shadow_price")).otherwise(worth), cost=cost)
        .with_columns(_never_negative())
    )


def with_worth_of_purchases(orders: pl.DataFrame) -> pl.DataFrame:
    """Buys, with their class's ``location``, with ``marginal_benefit_bps`` and ``marginal_cost_bps``."""
    value = pl.col("value_usd").cast(pl.Float64)
    cost = (
        pl.col("half_spread_bps") * (1 / BPS) + pl.col("location") + pl.col("shadow_price") + pl.col("turnover_price")
    )
    return orders.with_columns(worth=_per_cost() * (0.5 * value - _over()), cost=cost).with_columns(_never_negative())


def _per_cost() -> pl.Expr:
    return pl.col("tracking_penalty") * (1.0 / pl.col("governed_nav_usd").cast(pl.Float64))


def _over() -> pl.Expr:
    return pl.col("governed_after_usd") - pl.col("destination_usd")


def _never_negative() -> tuple[pl.Expr, pl.Expr]:
    """What saves (tax, unwanted cash) is a benefit, and what a benefit lacks is a cost."""
    worth, cost = pl.col("worth") * BPS, pl.col("cost") * BPS
    return (
        (worth.clip(lower_bound=0.0) - cost.clip(upper_bound=0.0)).alias("marginal_benefit_bps"),
        (cost.clip(lower_bound=0.0) - worth.clip(upper_bound=0.0)).alias("marginal_cost_bps"),
    )
