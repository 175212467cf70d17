"""Lots whose basis is not what it was, for costs and dates of a lot do not change by themselves, or cannot be right.

Only taxable accounts are looked at: nowhere else does a basis decide anything.

1. A unit cost that was known is known still, is not 0 where it was not, and is within the limit of what it was. After a split
   it is to be the same cost on the new shares; and all of a holding that split costs what it did, to 1 % and what was paid out in cash.
2. A date that was known is the same.
3. A merger may set new costs and dates, and a spin-off those of the shares that it brings: lots of a holding that one changed are not looked at.
4. Of a company that spun another off a part of the cost went with the new shares: its lots may cost less.
5. A custodian that disallows a loss adds it to the cost of the shares that replace those sold, and moves their date: after a
   sale at a loss, within ``WASH_DAYS`` days, a lot of the same security may cost more and be of another date.
6. A unit cost and a price cannot both be right where they are ``max_cost_to_price`` times apart: what all of a lot cost, delivered as the cost
   of one share, must not harvest. A cost of 0 is a real zero, a price of 0 says nothing, and a cost that was accepted on an earlier
   night stands: a person let it pass, or the price has moved since.
"""

from datetime import timedelta
from typing import Final

import polars as pl

from schemas.enums import Side, TaxStatus
from tasks.core.gate.history import BASIS_UNCHANGED, COST_PLAUSIBLE, HOLDING, Comparison, History, plain, share
from tasks.core.gate.holdings import HoldingChange, is_cost_kept
from tasks.core.gate.rows import BROKEN

WASH_DAYS: Final = 61
_ROUNDING: Final = 0.001
"""Of a cost on shares that a split changed."""
_LOT = ("account_id", "security_id", "lot_id")


def changed_bases(lots: pl.DataFrame, found: pl.DataFrame, comparison: Comparison) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of tonight's lots.

    Parameters
    ----------
    lots
        Lots of the holdings that changed (``changed_lots``).
    found
        Those holdings (``holdings``).
    """
    accounts = comparison.tonight["accounts"].filter(pl.col("tax_status") == TaxStatus.TAXABLE).select("account_id")
    wide = (
        lots.filter(pl.col("row_number").is_not_null())
        .join(accounts, on="account_id", how="semi")
        .join(found.drop("quantity", "quantity_then"), on=HOLDING)
        .filter(~pl.col("is_exchanged"))
        .join(_loss_sales(comparison), on=HOLDING, how="left")
        .with_columns(pl.col("is_washed").fill_null(value=False))
    )
    return pl.concat([_costs(wide, comparison), _dates(wide), _totals(wide)])


def implausible_costs(
    lots: pl.DataFrame, accounts: pl.DataFrame, prices: pl.DataFrame, history: History | None, *, limit: float
) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of lots whose unit cost is more than ``limit`` times the price, or the price that many times the cost.

    Parameters
    ----------
    lots, accounts
        Landed rows of the accounts.
    prices
        ``security_id, price_usd`` that the gate accepted.
    history
        The night before; null on the first night.
    limit
        Above 1; touching it is within it.
    """
    taxable = accounts.filter(pl.col("tax_status") == TaxStatus.TAXABLE).select("account_id").unique()
    cost, price = pl.col("unit_cost_usd"), pl.col("price_usd")
    is_off = (cost > share(limit, price)) | (share(limit, cost) < price)
    found = (
        lots.filter(pl.col("quantity") > 0, cost > 0)
        .join(prices.select("security_id", "price_usd").filter(price > 0), on="security_id")
        .filter(is_off)
        .join(taxable, on="account_id", how="semi")
    )
    if history is not None:
        accepted = history.lots.join(history.accepted, on="account_id", how="semi")
        stood = found.join(accepted.select(*_LOT, then="unit_cost_usd"), on=_LOT)
        stood = stood.filter((cost - pl.col("then")).abs() <= share(_ROUNDING, pl.col("then")))
        found = found.join(stood, on="row_number", how="anti", maintain_order="left")
    sentence = pl.format(
        "unit_cost_usd is {} where the price is {}; needed a cost between one part in {} of the price and as many times the price.",
        plain("unit_cost_usd"),
        plain("price_usd"),
        pl.lit(f"{limit:g}"),
    )
    return found.select("row_number", rule=pl.lit(COST_PLAUSIBLE), sentence=sentence).cast(BROKEN)  # type: ignore[arg-type]


def _costs(lots: pl.DataFrame, comparison: Comparison) -> pl.DataFrame:
    is_split = pl.col("change") == HoldingChange.SPLIT
    new, old = (pl.when(is_split).then(name).otherwise(1) for name in ("new_shares", "old_shares"))
    cost, then = pl.col("unit_cost_usd"), pl.col("unit_cost_usd_then")
    limit = comparison.limits.max_basis_change_fraction
    is_moved = (cost * new - then * old).abs() > share(limit, then * old)
    is_excused = (pl.col("is_washed") & (cost * new > then * old)) | (pl.col("is_parent") & (cost * new < then * old))
    is_lost = cost.is_null() | ((cost == 0) & (then > 0))
    broken = lots.filter(then.is_not_null() & (is_lost | (is_moved & ~is_excused)))
    sentence = pl.format(
        "unit_cost_usd is {}, {} on {}{}; needed a cost within {} % of what it was.",
        plain("unit_cost_usd"),
        plain("unit_cost_usd_then"),
        "accepted_date",
        _split_words(),
        pl.lit(f"{limit * 100:g}"),
    )
    return _broken_rule(broken, sentence)


def _dates(lots: pl.DataFrame) -> pl.DataFrame:
    date, then = pl.col("acquired_date"), pl.col("acquired_date_then")
    broken = lots.filter(then.is_not_null() & date.ne_missing(then) & ~pl.col("is_washed"))
    found = date.cast(pl.String).fill_null("empty")
    needed = pl.format("acquired_date is {}, {} on {}; needed the same date.", found, then, "accepted_date")
    return _broken_rule(broken, needed)


def _totals(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots of a holding that split and does not cost what it did; lots of unknown cost are not compared."""
    is_known = pl.col("known_count_then") > 0
    is_rated = (pl.col("change") == HoldingChange.SPLIT) | (pl.col("words").is_not_null() & pl.col("is_rated"))
    broken = lots.filter(is_rated & is_known & ~is_cost_kept())
    sentence = pl.format(
        "unit_cost_usd is {}, which makes a cost of {} of all {}, {} on {}{}; needed the same total cost.",
        plain("unit_cost_usd"),
        plain("cost_usd"),
        "security_id",
        plain("cost_then_usd"),
        "accepted_date",
        _split_words(),
    )
    return _broken_rule(broken, sentence)


def _split_words() -> pl.Expr:
    inferred = pl.format(" before a split of {} for {}", "new_shares", "old_shares")
    return pl.when(pl.col("change") == HoldingChange.SPLIT).then(inferred).otherwise(pl.col("words").fill_null(""))


def _loss_sales(comparison: Comparison) -> pl.DataFrame:
    """Holdings sold at a loss lately."""
    recent = pl.col("trade_date").is_between(comparison.as_of - timedelta(days=WASH_DAYS), comparison.as_of)
    is_loss = (pl.col("side") == Side.SELL) & (pl.col("realized_gain_usd") < 0)
    sold = comparison.tonight["trades"].filter(recent & is_loss)
    return sold.select(HOLDING).unique().with_columns(is_washed=pl.lit(value=True))


def _broken_rule(lots: pl.DataFrame, sentence: pl.Expr) -> pl.DataFrame:
    return lots.select("row_number", rule=pl.lit(BASIS_UNCHANGED), sentence=sentence)
