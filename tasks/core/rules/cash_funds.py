"""Lots of securities of the class ``cash``: they are cash, and are sold for cash that is owed or that purchases need.

1. What may be sold of them counts in the cash that the solver begins with, less half the spread; the rest counts in the class alone.
   What policy prefers (buys only, short-term gains avoided) does not keep them: they are no investment.
2. Once the trades are known, as much of them is sold as the account's own cash falls short, cheapest first, in whole steps rounded up,
   and at least the smallest order.

Limits are kept by reserving for them: the gain budget what all of them would realize, the turnover limit what they may have to pay,
the order limit an order for each security. Where the budget does not allow their gains, lots at a gain are kept.

Known limits: what their sale costs, in spread and tax, is counted once the trades are known; it does not weigh in finding them.
"""

from typing import Final

import polars as pl

from schemas.tables import USD
from schemas.units import EXACT
from tasks.core.facts import BPS, rounded_usd, usd, usd_sum
from tasks.core.rules.sales import HOLDING
from tasks.core.rules.whole_orders import millionths, quantity_of, taken_in_order
from tasks.core.solver import NO_ORDER_LIMIT

SELLS_FUND: Final = "cash_needed"
"""Why a fund is sold, in ``outright_reason``."""
FUND_TERMS: Final[dict[str, pl.DataType]] = {
    "fund_usd": pl.Float64(),
    "fund_kept_usd": pl.Float64(),
    "fund_gain_usd": pl.Float64(),
    "fund_count": pl.Int64(),
}
"""What the funds are to their account: what may be sold of them after costs; what may not; gains of all that may be sold; securities."""


def with_fund_lots(lots: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Lots of the class cash, cheapest to sell first, with ``fund_units``: millionths of each that may be sold.

    Parameters
    ----------
    lots
        As ``hold_ranges.with_caps`` gives them; no lock is one that policy only prefers.
    accounts
        With ``max_realized_gain_usd``.
    """
    gain = pl.col("cap_quantity").cast(pl.Float64) * pl.col("unit_usd") * pl.col("gain")
    budget = accounts.select("account_id", budget=pl.col("max_realized_gain_usd").fill_null(float("inf")))
    is_over = (gain.clip(lower_bound=0.0).sum().over("account_id") > pl.col("budget")) & (pl.col("gain") > 0)
    free = pl.when(pl.col("lock").is_not_null() | is_over).then(0).otherwise(millionths("cap_quantity"))
    held, step = millionths("start_quantity"), millionths("quantity_step")
    all_held, all_free = held.sum().over(HOLDING), pl.col("free").sum().over(HOLDING)
    most = pl.when(all_held == all_free).then(all_free).otherwise(all_free // step * step)
    return (
        lots.join(budget, on="account_id", how="left")
        .sort("account_id", "cost", "security_id", "lot_id")
        .with_columns(free=free)
        .with_columns(fund_units=taken_in_order(most, pl.col("free")))
        .drop("free", "budget")
    )


def fund_terms(funds: pl.DataFrame) -> pl.DataFrame:
    """``account_id`` and ``FUND_TERMS`` of accounts that hold funds."""
    units = pl.col("fund_units")
    worth = units.cast(pl.Float64) * 1e-6 * pl.col("unit_usd")
    kept = (millionths("start_quantity") - units).cast(pl.Float64) * 1e-6 * pl.col("unit_usd")
    return funds.group_by("account_id").agg(
        fund_usd=usd_sum(worth * (1 - pl.col("spread"))),
        fund_kept_usd=usd_sum(kept),
        fund_gain_usd=usd_sum((worth * pl.col("gain")).clip(lower_bound=0.0)),
        fund_count=pl.col("security_id").filter(units > 0).n_unique().cast(pl.Int64),
    )


def with_room_for_funds(accounts: pl.DataFrame) -> pl.DataFrame:
    """Accounts with what the sale of their funds may take of each limit kept free; ``FUND_TERMS`` beside them."""
    has_funds = pl.col("fund_usd") > 0
    nav, owed = pl.col("nav_usd").cast(pl.Float64), (-pl.col("cash_usd").cast(pl.Float64)).clip(lower_bound=0.0)
    floor = pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * nav)
    turnover = pl.col("turnover_cap_usd")
    left = pl.max_horizontal(turnover - pl.col("fund_usd"), (turnover - owed - floor) / 2).clip(lower_bound=0.0)
    orders = (pl.col("max_orders") - pl.col("fund_count")).clip(lower_bound=0)
    return accounts.with_columns(
        gain_cap_usd=(pl.col("gain_cap_usd") - pl.col("fund_gain_usd")).clip(lower_bound=0.0),
        turnover_cap_usd=pl.when(has_funds).then(left).otherwise(turnover),
        max_orders=pl.when(pl.col("max_orders") < NO_ORDER_LIMIT).then(orders).otherwise("max_orders"),
    )


def with_fund_sales(funds: pl.DataFrame, needs: pl.DataFrame) -> pl.DataFrame:
    """Funds with ``sold`` (and ``outright``, the same), and ``fund_sold``, the part of it that covers what their account needs.

    Parameters
    ----------
    funds
        ``with_fund_lots``.
    needs
        ``account_id, need_usd`` (exact; what is short after all other trades, costs paid) and ``least_usd``, the smallest order.
    """
    by_security = (
        funds.group_by(HOLDING, maintain_order=True)
        .agg(
            pl.col("unit_usd", "price_usd", "price_factor", "half_spread_bps").first(),
            step=millionths("quantity_step").first(),
            units=pl.col("fund_units").sum(),
        )
        .filter(pl.col("units") > 0)
        .join(needs, on="account_id")
    )
    keep = 1 - pl.col("half_spread_bps") * (1 / BPS)
    worth = pl.col("units").cast(pl.Float64) * 1e-6 * pl.col("unit_usd") * keep
    short = pl.max_horizontal(
        pl.col("need_usd").cast(pl.Float64), pl.min_horizontal("least_usd", worth.sum().over("account_id"))
    )
    before = worth.cum_sum().over("account_id") - worth
    steps = (
        (short - before).clip(lower_bound=0.0) * (10**6 / (pl.col("unit_usd") * keep * pl.col("step"))) - 1e-7
    ).ceil()
    chosen = by_security.with_columns(
        taken=pl.min_horizontal(steps.cast(pl.Int64) * pl.col("step"), pl.col("units")), need_usd=pl.col("need_usd")
    )
    chosen = _with_last_step(chosen)
    take = chosen.select(*HOLDING, "taken")
    sold = quantity_of(taken_in_order(pl.col("taken").fill_null(0), pl.col("fund_units")))
    is_sold = pl.col("sold") > 0
    return (
        funds.join(take, on=HOLDING, how="left", maintain_order="left")
        .with_columns(fund_sold=sold)
        .with_columns(sold=(pl.col("outright") + pl.col("fund_sold")).cast(EXACT))
        .with_columns(
            outright=pl.col("sold").cast(funds.schema["outright"]),
            outright_reason=pl.when(is_sold).then(pl.coalesce("outright_reason", pl.lit(SELLS_FUND))),
        )
        .drop("taken")
    )


def _with_last_step(chosen: pl.DataFrame) -> pl.DataFrame:
    """One step more of the first security that has it, where rounding left the exact proceeds short of the need."""
    value = usd(quantity_of(pl.col("taken")), pl.col("price_usd"))
    cost = rounded_usd(value.cast(pl.Float64) * pl.col("half_spread_bps") * (1 / BPS))
    is_short = (value - cost).sum().over("account_id") < pl.col("need_usd").cast(USD)
    has_more = (pl.col("taken") < pl.col("units")) & is_short
    is_first = has_more & (has_more.cast(pl.Int64).cum_sum().over("account_id") == 1)
    more = pl.min_horizontal(pl.col("taken") + pl.col("step"), pl.col("units"))
    return chosen.with_columns(taken=pl.when(is_first).then(more).otherwise("taken"))
