"""What restrictions and the wash-sale window forbid to buy, by account and security.

The window reaches ``wash_sale_days`` to either side of a loss sale, its last day included, and looks at the account's
household whole: accounts that pay no tax and accounts that are not traded tonight count, and so do orders of other runs that
are not yet among the trades. Which losses a purchase disallows is for ``wash_sales``.
"""

from datetime import date

import polars as pl

from schemas.enums import Reason, RestrictionRule, Side
from tasks.core.facts import Facts


def active_restrictions(
    facts: Facts, trade_date: date, rules: tuple[RestrictionRule, ...]
) -> tuple[pl.DataFrame, pl.Series]:
    """Restrictions in force on ``trade_date`` (the last date is still restricted): account and security pairs, and securities closed to all."""
    active = facts.restrictions.filter(
        pl.col("rule").is_in([str(rule) for rule in rules])
        & (pl.col("until_date").is_null() | (pl.col("until_date") >= trade_date))
    )
    pairs = active.filter(pl.col("account_id").is_not_null()).select("account_id", "security_id").unique()
    return pairs, active.filter(pl.col("account_id").is_null())["security_id"].unique()


def loss_sales(facts: Facts, households: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """``account_id, security_id`` that the account may not buy: its household sold it at a loss within the window.

    Day ``wash_sale_days`` after the sale is still inside. Orders that are not yet among the trades count on either side of
    ``trade_date``, because they may be filled after it.
    """
    sold = facts.trades.filter(
        (pl.col("side") == Side.SELL) & (pl.col("realized_gain_usd") < 0) & (pl.col("trade_date") <= trade_date)
    )
    selling = facts.pending_orders.filter((pl.col("side") == Side.SELL) & pl.col("is_loss"))
    columns = ("account_id", "security_id", "trade_date")
    sales = pl.concat([sold.select(columns), selling.select(columns)]).join(facts.members, on="account_id")
    return (
        households.join(sales.select("household_key", "security_id", "trade_date"), on="household_key")
        .filter((pl.col("trade_date") - pl.lit(trade_date)).abs() <= pl.duration(days="wash_sale_days"))
        .select("account_id", "security_id")
        .unique()
    )


def not_held(facts: Facts, trade_date: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What rule ``no_new`` forbids, and the holders it exempts.

    Returns
    -------
    tuple[pl.DataFrame, pl.DataFrame]
        ``account_id, security_id`` that the account may not buy under a restriction of its own: it does not hold the
        security. Then those that hold a security which is closed to everyone else.
    """
    pairs, everyone = active_restrictions(facts, trade_date, (RestrictionRule.NO_NEW,))
    held = facts.restricted_holders
    spared = held.filter(pl.col("security_id").is_in(everyone.implode()))
    return pairs.join(held, on=["account_id", "security_id"], how="anti"), spared


def own_restrictions(
    facts: Facts, households: pl.DataFrame, trade_date: date, *, sold_at_loss: pl.DataFrame | None = None
) -> pl.DataFrame:
    """What an account may not buy for a reason of its own or its household's; what is closed to everyone is not among it.

    Parameters
    ----------
    facts
        The shard's facts.
    households
        ``account_id, household_key, wash_sale_days`` of the accounts.
    trade_date
        Date of the purchase.
    sold_at_loss
        ``account_id, security_id`` that the account may not buy because its household sells it at a loss tonight.

    Returns
    -------
    pl.DataFrame
        ``account_id, security_id, own_reason``, the reason: a restriction is named before the window, the window before
        ``not_held``.
    """
    key = ["account_id", "security_id"]
    restricted, _ = active_restrictions(facts, trade_date, (RestrictionRule.NO_BUY, RestrictionRule.NO_TRADE))
    closed, _ = not_held(facts, trade_date)
    found = [
        (restricted, Reason.RESTRICTED),
        (loss_sales(facts, households, trade_date), Reason.WASH_SALE_WINDOW),
        (closed.clear() if sold_at_loss is None else sold_at_loss, Reason.WASH_SALE_WINDOW),
        (closed, Reason.NOT_HELD),
    ]
    named = [pairs.select(*key, own_reason=pl.lit(str(reason))) for pairs, reason in found]
    return pl.concat(named).unique(key, keep="first", maintain_order=True)


def sold_tonight(
    orders: pl.DataFrame, relief: pl.DataFrame, members: pl.DataFrame, *, taxed: pl.Series
) -> pl.DataFrame:
    """``account_id, security_id`` that no account of a household may buy tonight, because one of them sells it at a loss; sorted.

    Parameters
    ----------
    orders
        Tonight's orders: ``order_id, account_id, side, security_id``.
    relief
        The lots they close: ``order_id, gain_usd`` (null: unknown, no loss).
    members
        ``account_id, household_key``.
    taxed
        Ids of the accounts that pay tax on a sale; only these have losses.
    """
    losses = relief.filter(pl.col("gain_usd") < 0).select("order_id").unique()
    sold = (
        orders.filter((pl.col("side") == Side.SELL) & pl.col("account_id").is_in(taxed.implode()))
        .join(losses, on="order_id", how="semi")
        .join(members, on="account_id")
        .select("household_key", "security_id")
        .unique()
    )
    return sold.join(members, on="household_key").select("account_id", "security_id").unique().sort(pl.all())


def wash_conflicts(
    orders: pl.DataFrame, relief: pl.DataFrame, members: pl.DataFrame, *, taxed: pl.Series
) -> pl.DataFrame:
    """``account_id, security_id`` of tonight's purchases that must yield to the household's sales at a loss; sorted.

    A purchase on the day of the sale is within every window. Parameters as in ``sold_tonight``, which says what else the
    accounts may not buy instead.
    """
    bought = orders.filter(pl.col("side") == Side.BUY)
    return sold_tonight(orders, relief, members, taxed=taxed).join(
        bought, on=["account_id", "security_id"], how="semi", maintain_order="left"
    )
