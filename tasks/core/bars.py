"""What restrictions and the wash-sale window forbid, by account and security.

The window reaches ``wash_sale_days`` to either side of a loss sale, its last day included, and looks at the account's
household whole: accounts that pay no tax and accounts that are not traded tonight count.
"""

from datetime import date, timedelta

import polars as pl

from schemas.enums import Reason, RestrictionRule, Side
from tasks.core.facts import Facts


def bars(facts: Facts, as_of: date, rules: tuple[RestrictionRule, ...]) -> tuple[pl.DataFrame, pl.Series]:
    """Restrictions in force on ``as_of`` (the last date is still restricted): account and security pairs, and securities barred for all."""
    active = facts.restrictions.filter(
        pl.col("rule").is_in([str(rule) for rule in rules])
        & (pl.col("until_date").is_null() | (pl.col("until_date") >= as_of))
    )
    pairs = active.filter(pl.col("account_id").is_not_null()).select("account_id", "security_id").unique()
    return pairs, active.filter(pl.col("account_id").is_null())["security_id"].unique()


def loss_sales(facts: Facts, households: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """``account_id, security_id`` that the account may not buy: its household sold it at a loss within the window.

    Day ``wash_sale_days`` after the sale is still inside.
    """
    sales = (
        facts.trades.filter(
            (pl.col("side") == Side.SELL) & (pl.col("realized_gain_usd") < 0) & (pl.col("trade_date") <= as_of)
        )
        .join(facts.members, on="account_id")
        .select("household_key", "security_id", "trade_date")
    )
    return (
        households.join(sales, on="household_key")
        .filter(pl.col("trade_date") >= pl.lit(as_of) - pl.duration(days="wash_sale_days"))
        .select("account_id", "security_id")
        .unique()
    )


def recent_purchases(facts: Facts, households: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """``account_id, security_id, recent_quantity``: shares that the account's household holds and bought within its window."""
    bought = (
        facts.lots.filter(pl.col("acquired_date") >= as_of - timedelta(days=_longest_window(households)))
        .join(facts.members, on="account_id")
        .select("household_key", "security_id", "quantity", "acquired_date")
    )
    return (
        households.join(bought, on="household_key")
        .filter(pl.col("acquired_date") >= pl.lit(as_of) - pl.duration(days="wash_sale_days"))
        .group_by("account_id", "security_id")
        .agg(recent_quantity=pl.col("quantity").sum())
    )


def _longest_window(households: pl.DataFrame) -> int:
    longest = households["wash_sale_days"].max()
    return longest if isinstance(longest, int) else 0


def own_bars(facts: Facts, households: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """``account_id, security_id, own_bar``: what an account may not buy for a reason of its own or its household's, and the reason."""
    pairs, _ = bars(facts, as_of, (RestrictionRule.NO_BUY, RestrictionRule.NO_TRADE))
    restricted = pairs.with_columns(own_bar=pl.lit(str(Reason.RESTRICTED)))
    washed = loss_sales(facts, households, as_of).with_columns(own_bar=pl.lit(str(Reason.WASH_SALE_WINDOW)))
    both = pl.concat([restricted, washed])
    return both.unique(["account_id", "security_id"], keep="first", maintain_order=True)
