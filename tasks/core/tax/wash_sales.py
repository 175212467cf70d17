"""What of a loss taken tonight earlier purchases would disallow, for every account that may take one.

The rule is ``wash_rule``'s. A purchase is seen twice, as a lot and among the trades: by account, security and date the
greater counts, so that shares bought and sold again still replace. A dividend reinvested is a lot. Orders to buy that are not
yet among the trades are purchases. What the household's loss sales in the history used up does not count again.

Known limits: trades do not say which lots they closed. Shares of a purchase that are among the trades and no longer held are
taken to have been sold by the account's own loss sales of the next ``wash_sale_days``, as far as these go. Sales and
purchases that the history no longer has use nothing up.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Side, TaxStatus
from tasks.core.facts import Facts
from tasks.core.solver import count_replaced
from tasks.core.tax.wash_rule import GROUP, MILLIONTHS, by_lot_closed, matches, units, with_codes

PURCHASE: Final = (*GROUP, "account_id", "date", "is_pending")
"""Grain of a purchase."""


def replaced_quantities(unused: pl.DataFrame) -> pl.DataFrame:
    """Shares of a sale at a loss tonight that purchases known would disallow, by ``unused_purchases``.

    Returns
    -------
    pl.DataFrame
        ``account_id, security_id, replaced_quantity`` (shares, > 0), sorted. It counts every purchase: a lot that is itself
        recent does not replace itself, which ``with_replaced`` takes off lot by lot.
    """
    total = pl.col("units").sum() * (1 / MILLIONTHS)
    key = ("account_id", "security_id")
    return unused.group_by(key).agg(replaced_quantity=total).sort(key)


def with_replaced(lots: pl.DataFrame, unused: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``replaced_quantity`` (shares, Float64): on how many of the lot's shares a loss is disallowed.

    It is the household's ``unused_purchases`` less what is left of the lot's own purchase, at least 0 and at most the lot. Of
    its own purchase the account's other lots of that day still count. Lots of a security each stand for themselves: sold together,
    the first of them use the purchases up. Row order is kept.
    """
    key, own = ("account_id", "security_id"), ("account_id", "security_id", "acquired_date")
    total = unused.group_by(key).agg(total=pl.col("units").sum())
    bought = unused.filter((pl.col("buyer_id") == pl.col("account_id")) & ~pl.col("is_pending"))
    left = bought.rename({"date": "acquired_date"}).group_by(own).agg(left=pl.col("units").sum())
    held = lots.join(left, on=own, how="semi").group_by(own).agg(held=units().sum())
    known = lots.join(total, on=key, how="left", maintain_order="left").join(
        left.join(held, on=own), on=own, how="left", maintain_order="left"
    )
    columns = (units(), pl.col("total").fill_null(0), pl.col("left").fill_null(0), pl.col("held").fill_null(units()))
    replaced = count_replaced(
        *(np.require(known.select(each).to_series().to_numpy(), np.int64, "W") for each in columns)
    )
    return known.with_columns(replaced_quantity=pl.Series(replaced, dtype=pl.Int64) * (1 / MILLIONTHS)).drop(
        "total", "left", "held"
    )


def with_replacing(lots: pl.DataFrame, unused: pl.DataFrame) -> pl.DataFrame:
    """Lots with what replaces losses on their holding (shares, Float64), by ``unused_purchases``; row order is kept.

    ``inside_quantity``: shares of the lot that were bought in the window and have replaced nothing yet; ``outside_quantity``: all
    others that were (of the household's other accounts, ordered, or bought and no longer held), the same on each of the holding's
    lots. Of one day's purchase the first lots by id have what is left of it.
    """
    key, own = ("account_id", "security_id"), ("account_id", "security_id", "acquired_date")
    total = unused.group_by(key).agg(total=pl.col("units").sum())
    if total.is_empty():
        return lots.with_columns(inside_quantity=pl.lit(0.0), outside_quantity=pl.lit(0.0))
    bought = unused.filter((pl.col("buyer_id") == pl.col("account_id")) & ~pl.col("is_pending"))
    left = bought.rename({"date": "acquired_date"}).group_by(own).agg(left=pl.col("units").sum())
    lots = lots.with_row_index("row")
    inside = (
        lots.join(left, on=own)
        .sort(*own, "lot_id")
        .with_columns(before=units().cum_sum().over(own) - units())
        .select("row", *key, inside=pl.min_horizontal((pl.col("left") - pl.col("before")).clip(0), units()))
    )
    outside = total.join(inside.group_by(key).agg(taken=pl.col("inside").sum()), on=key, how="left").select(
        *key, outside=(pl.col("total") - pl.col("taken").fill_null(0)).clip(0)
    )
    return (
        lots.join(inside.select("row", "inside"), on="row", how="left", maintain_order="left")
        .join(outside, on=key, how="left", maintain_order="left")
        .with_columns(
            inside_quantity=pl.col("inside").fill_null(0) * (1 / MILLIONTHS),
            outside_quantity=pl.col("outside").fill_null(0) * (1 / MILLIONTHS),
        )
        .drop("row", "inside", "outside")
    )


def unused_purchases(facts: Facts, households: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """Purchases in the window around ``trade_date`` less what loss sales in the history used up.

    Returns
    -------
    pl.DataFrame
        ``account_id`` (who would sell), ``security_id``, ``buyer_id, date, is_pending`` and ``units``, millionths of a share
        that have replaced nothing yet (> 0).
    """
    groups = households.select("household_key", "wash_sale_days").unique()
    members = facts.members.join(groups, on="household_key")
    sales = _loss_sales(facts, members, trade_date)
    bought = _purchases(facts, _first_date(sales, groups, trade_date), trade_date).join(members, on="account_id")
    recent = bought.filter((pl.col("date") - pl.lit(trade_date)).abs() <= pl.duration(days="wash_sale_days"))
    sales = sales.join(recent, on=GROUP, how="semi")
    used = _used_units(sales, bought.join(sales, on=GROUP, how="semi"))
    return (
        recent.join(used, on=PURCHASE, how="left")
        .with_columns(units=pl.col("units") - pl.col("used").fill_null(0))
        .filter(pl.col("units") > 0)
        .rename({"account_id": "buyer_id"})
        .join(households, on=["household_key", "wash_sale_days"])
        .select("account_id", "security_id", "buyer_id", "date", "is_pending", "units")
    )


def _first_date(sales: pl.DataFrame, groups: pl.DataFrame, trade_date: date) -> date:
    """Purchases before it are in the window of no sale."""
    earliest, longest = sales["date"].min(), groups["wash_sale_days"].max()
    first = min(earliest, trade_date) if isinstance(earliest, date) else trade_date
    return first - timedelta(days=longest if isinstance(longest, int) else 0)


def _loss_sales(facts: Facts, members: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """``GROUP, account_id, date, units``: sales at a loss; those of accounts known to pay no tax are none."""
    untaxed = facts.accounts.filter(pl.col("tax_status") != TaxStatus.TAXABLE)
    return (
        facts.trades.filter(
            (pl.col("side") == Side.SELL) & (pl.col("realized_gain_usd") < 0) & (pl.col("trade_date") <= trade_date)
        )
        .join(untaxed, on="account_id", how="anti")
        .join(members, on="account_id")
        .group_by(*GROUP, "account_id", date="trade_date")
        .agg(units=units().sum())
    )


def _purchases(facts: Facts, first: date, trade_date: date) -> pl.DataFrame:
    """``account_id, security_id, date, is_pending, units, sold_units`` since ``first``; ``sold_units``: units that are no longer held."""
    key = ("account_id", "security_id", "date")
    is_buy, traded = pl.col("side") == Side.BUY, facts.trades.rename({"trade_date": "date"})
    lots = facts.lots.filter(pl.col("acquired_date") >= first).rename({"acquired_date": "date"})
    buys = traded.filter(is_buy & pl.col("date").is_between(first, trade_date))
    orders = facts.pending_orders.filter(is_buy).rename({"trade_date": "date"})
    held, bought, ordered = (frame.group_by(key).agg(units=units().sum()) for frame in (lots, buys, orders))
    seen = held.join(bought, on=key, how="full", coalesce=True, suffix="_bought").with_columns(
        pl.col("units", "units_bought").fill_null(0)
    )
    done = seen.select(
        *key,
        units=pl.max_horizontal("units", "units_bought"),
        sold_units=(pl.col("units_bought") - pl.col("units")).clip(0),
        is_pending=pl.lit(value=False),
    )
    return pl.concat(
        [done, ordered.select(*key, "units", sold_units=pl.lit(0, pl.Int64), is_pending=pl.lit(value=True))]
    )


def _used_units(sales: pl.DataFrame, purchases: pl.DataFrame) -> pl.DataFrame:
    """``PURCHASE, used``: units of each purchase that replaced shares of ``sales``."""
    ordered = (sales.sort("date", "account_id"), purchases.sort("date", "account_id", "is_pending"))
    sales, purchases = (frame.with_row_index("event") for frame in with_codes(*ordered))
    found = matches(by_lot_closed(sales, purchases), purchases)
    used = found.group_by(event="purchase").agg(used=pl.col("units").sum())
    return purchases.join(used, on="event").select(*PURCHASE, "used")
