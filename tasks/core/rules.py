"""Every rule as a bound or a price: which lots may be sold at what cost, what each class may buy.

Lots. A lot is locked (its cap is 0, the reason kept) where selling is restricted, the security is not tradable, the basis is
missing in a taxable account, the class is not in the model and policy holds such classes, or a short-term gain is avoided.
Otherwise its cost per dollar is half the spread plus tax. A loss whose security the household bought within the wash-sale
window saves no tax. With harvesting off a loss never pays for a sale: the tax is floored at minus the cost of a round trip.

Purchases. Of the class's buy list the first security that the account may buy: for its tax status, tradable, priced, of the
class, not restricted, and not sold at a loss by the household within the wash-sale window.

Known limits: partial replacement within the window counts as whole; this run's own loss sales do not bar purchases by the
other accounts of the household.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Reason, RestrictionRule, ShortTermGains, Side, Term, Unmodelled
from schemas.landing import CASH
from tasks.core.facts import Facts
from tasks.core.kernel import Book
from tasks.core.tax import gain_fraction, is_basis_missing, is_taxed, tax_rate, term

BPS: Final = 1e4
CLASS: Final = ("account_id", "asset_class")


@dataclass(frozen=True)
class Problem:
    """Accounts to be solved, as frames whose row order is that of the arrays in ``book``.

    ``accounts``: one row an account. ``classes``: one row a class but cash, with its destination and what it may buy.
    ``lots``: one row a lot, cheapest to sell first within its class, with ``lock`` (null: free).
    """

    accounts: pl.DataFrame
    classes: pl.DataFrame
    lots: pl.DataFrame
    book: Book


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


def with_locks(lots: pl.DataFrame, facts: Facts, as_of: date) -> pl.DataFrame:
    """Lots with ``lock``: the reason a lot may not be sold, null where it may."""
    pairs, everyone = bars(facts, as_of, (RestrictionRule.NO_SELL, RestrictionRule.NO_TRADE))
    is_gain = pl.col("gain_fraction") > 0
    return (
        lots.join(pairs.with_columns(is_barred=pl.lit(value=True)), on=["account_id", "security_id"], how="left")
        .with_columns(
            lock=pl.when(pl.col("is_barred").fill_null(value=False) | pl.col("security_id").is_in(everyone.implode()))
            .then(pl.lit(str(Reason.RESTRICTED)))
            .when(~pl.col("is_tradable"))
            .then(pl.lit(str(Reason.NOT_TRADABLE)))
            .when((pl.col("asset_class") != CASH) & pl.col("is_unmodelled") & (pl.col("unmodelled") == Unmodelled.HOLD))
            .then(pl.lit(str(Reason.UNMODELLED_HELD)))
            .when(is_taxed() & is_basis_missing())
            .then(pl.lit(str(Reason.MISSING_BASIS)))
            .when(
                (pl.col("short_term_gains") == ShortTermGains.AVOID)
                & is_taxed()
                & is_gain
                & (pl.col("term") == Term.SHORT)
            )
            .then(pl.lit(str(Reason.SHORT_TERM_GAIN_AVOIDED)))
        )
        .drop("is_barred")
    )


def choices(facts: Facts, securities: pl.DataFrame) -> pl.DataFrame:
    """The buy list in order of preference: rank, then one made for the tax status, then by security; only what can be bought."""
    can_buy = securities.filter(pl.col("is_tradable") & pl.col("price_usd").is_not_null())
    return (
        facts.buy_list.rename({"tax_status": "for_tax_status"})
        .join(can_buy, on=["security_id", "asset_class"], how="inner")
        .with_columns(is_general=pl.col("for_tax_status").is_null())
        .sort("model_id", "asset_class", "rank", "is_general", "security_id")
    )


def purchases(
    classes: pl.DataFrame, facts: Facts, securities: pl.DataFrame, households: pl.DataFrame, as_of: date
) -> pl.DataFrame:
    """Classes with the security each may buy (``buy_security_id`` and its facts) or ``buy_lock``, why there is none.

    ``classes`` has account_id, asset_class, model_id and tax_status; row order is kept.
    """
    pairs, everyone = bars(facts, as_of, (RestrictionRule.NO_BUY, RestrictionRule.NO_TRADE))
    restricted = pairs.with_columns(bar=pl.lit(str(Reason.RESTRICTED)))
    washed = loss_sales(facts, households, as_of).with_columns(bar=pl.lit(str(Reason.WASH_SALE_WINDOW)))
    barred = pl.concat([restricted, washed]).unique(["account_id", "security_id"], keep="first", maintain_order=True)
    listed = choices(facts, securities)
    is_open = ~pl.col("security_id").is_in(everyone.implode())
    group = ["model_id", "asset_class", "tax_status"]
    wanted = (
        classes.select(group)
        .unique()
        .join(listed, on=["model_id", "asset_class"])
        .filter(pl.col("for_tax_status").is_null() | (pl.col("for_tax_status") == pl.col("tax_status")))
        .sort(*group, "rank", "is_general", "security_id")
    )
    first = wanted.filter(is_open).unique(group, keep="first", maintain_order=True)
    is_listed = wanted.select(group).unique().with_columns(is_listed=pl.lit(value=True))
    plain = classes.join(first.select(*group, "security_id"), on=group, how="left", maintain_order="left")
    touched = plain.join(barred, on=["account_id", "security_id"], how="semi").select(*CLASS, *group[:1], "tax_status")
    alternates = (
        touched.join(wanted.filter(is_open), on=group)
        .join(barred, on=["account_id", "security_id"], how="anti")
        .sort(*CLASS, "rank", "is_general", "security_id")
        .unique(CLASS, keep="first", maintain_order=True)
    )
    why = (
        touched.join(wanted, on=group)
        .join(barred, on=["account_id", "security_id"])
        .sort(*CLASS, "rank", "is_general", "security_id")
        .unique(CLASS, keep="first", maintain_order=True)
        .select(*CLASS, "bar")
    )
    chosen = (
        plain.join(
            touched.select(CLASS).with_columns(is_touched=pl.lit(value=True)),
            on=CLASS,
            how="left",
            maintain_order="left",
        )
        .join(alternates.select(*CLASS, alternate="security_id"), on=CLASS, how="left", maintain_order="left")
        .join(why, on=CLASS, how="left", maintain_order="left")
        .join(is_listed, on=group, how="left", maintain_order="left")
        .with_columns(
            buy_security_id=pl.when(pl.col("is_touched")).then("alternate").otherwise("security_id"),
        )
    )
    no_list = (
        pl.when(pl.col("is_listed")).then(pl.lit(str(Reason.RESTRICTED))).otherwise(pl.lit(str(Reason.NOTHING_TO_BUY)))
    )
    facts_of = securities.select(
        buy_security_id="security_id",
        buy_symbol="symbol",
        buy_price_usd="price_usd",
        buy_step="quantity_step",
        buy_half_spread_bps="half_spread_bps",
    )
    return (
        chosen.with_columns(
            buy_lock=pl.when(pl.col("buy_security_id").is_null()).then(pl.coalesce("bar", no_list)),
        )
        .drop("security_id", "alternate", "bar", "is_touched", "is_listed")
        .join(facts_of, on="buy_security_id", how="left", maintain_order="left")
    )


def destinations(drift: pl.DataFrame) -> pl.DataFrame:
    """Drift rows with ``destination_usd = NAV * (target + clip(drift, -trade_to * band, trade_to * band))``; no band counts as 0."""
    reach = (pl.col("trade_to") * pl.col("band")).fill_null(0.0)
    weight = pl.col("target_weight") + pl.col("drift").clip(-reach, reach)
    return drift.with_columns(destination_usd=weight * pl.col("nav_usd").cast(pl.Float64))


def compile_book(
    accounts: pl.DataFrame,
    drift: pl.DataFrame,
    lots: pl.DataFrame,
    facts: Facts,
    securities: pl.DataFrame,
    as_of: date,
) -> Problem:
    """The accounts to be solved as bounds and prices.

    Parameters
    ----------
    accounts
        ``facts.account_parameters`` of the accounts to trade, with ``nav_usd``; NAV > 0.
    drift
        ``drift.drift_by_class`` of all accounts.
    lots
        ``facts.valued_lots`` of all accounts.
    facts, securities
        The shard's facts (households are looked at whole) and ``facts.priced_securities``.
    as_of
        Date of the sale.
    """
    accounts = accounts.sort("account_id")
    households = accounts.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    rows = accounts.select("account_id", "model_id", "tax_status", "trade_to")
    aimed = destinations(drift.join(rows, on="account_id")).sort(CLASS)
    cash = aimed.filter(pl.col("asset_class") == CASH)
    classes = purchases(aimed.filter(pl.col("asset_class") != CASH), facts, securities, households, as_of)
    modelled = facts.model_targets.select("model_id", "asset_class", is_unmodelled=pl.lit(value=False))
    selling = (
        lots.join(
            accounts.select(
                "account_id",
                "model_id",
                "tax_status",
                "short_term_rate",
                "long_term_rate",
                "unmodelled",
                "short_term_gains",
                "wash_sale_days",
            ),
            on="account_id",
        )
        .join(modelled, on=["model_id", "asset_class"], how="left")
        .with_columns(
            pl.col("is_unmodelled").fill_null(value=True),
            term=term(pl.col("acquired_date"), as_of),
            gain_fraction=gain_fraction(),
        )
        .with_columns(tax_rate=tax_rate())
        .join(classes.select(*CLASS, "buy_half_spread_bps"), on=CLASS, how="left")
        .join(recent_purchases(facts, households, as_of), on=["account_id", "security_id"], how="left")
    )
    selling = with_costs(with_locks(selling, facts, as_of), as_of)
    held_as_cash = selling.filter(pl.col("asset_class") == CASH)
    selling = selling.filter(pl.col("asset_class") != CASH).sort(*CLASS, "cost", "security_id", "lot_id")
    accounts = with_cash_target(accounts, cash, held_as_cash)
    return Problem(accounts, classes, selling, to_arrays(accounts, classes, selling))


def with_costs(lots: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Lots with ``spread``, ``tax`` (per dollar sold, as the solver sees it) and ``cost``, their sum."""
    spread = pl.col("half_spread_bps") / BPS
    round_trip = spread + pl.col("buy_half_spread_bps").fill_null(0.0) / BPS
    is_recent = pl.col("acquired_date") >= pl.lit(as_of) - pl.duration(days="wash_sale_days")
    own = pl.when(is_recent).then("quantity").otherwise(0)
    is_replaced = (pl.col("recent_quantity").fill_null(0) > own) & (pl.col("gain_fraction") < 0)
    tax = (pl.col("tax_rate") * pl.col("gain_fraction")).fill_null(0.0)
    return (
        lots.with_columns(spread=spread, is_replaced=is_replaced.fill_null(value=False))
        .with_columns(
            tax=pl.when(pl.col("is_replaced")).then(0.0).otherwise(pl.max_horizontal(tax, -round_trip)),
        )
        .with_columns(cost=pl.col("spread") + pl.col("tax"))
    )


def with_cash_target(accounts: pl.DataFrame, cash: pl.DataFrame, held_as_cash: pl.DataFrame) -> pl.DataFrame:
    """Accounts with ``cash_target_usd``: the destination of the class cash less securities that are of that class."""
    fund = held_as_cash.group_by("account_id").agg(fund_usd=pl.col("value_usd").sum().cast(pl.Float64))
    return (
        accounts.join(cash.select("account_id", "destination_usd"), on="account_id", how="left", maintain_order="left")
        .join(fund, on="account_id", how="left", maintain_order="left")
        .with_columns(cash_target_usd=pl.col("destination_usd") - pl.col("fund_usd").fill_null(0.0))
        .drop("destination_usd", "fund_usd")
    )


def to_arrays(accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame) -> Book:
    """Flat arrays of the three frames, which are sorted by account and class."""
    floor = pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * pl.col("nav_usd").cast(pl.Float64))

    def numbers(frame: pl.DataFrame, expr: pl.Expr) -> np.ndarray:
        return frame.select(expr.cast(pl.Float64)).to_series().to_numpy()

    free = pl.when(pl.col("lock").is_null()).then("value_usd").otherwise(0)
    return Book(
        nav=numbers(accounts, pl.col("nav_usd")),
        tracking_penalty=numbers(accounts, pl.col("tracking_penalty")),
        cash=numbers(accounts, pl.col("cash_usd")),
        cash_target=numbers(accounts, pl.col("cash_target_usd")),
        min_trade=numbers(accounts, floor),
        class_start=starts(accounts, classes, "account_id"),
        class_value=numbers(classes, pl.col("value_usd")),
        class_target=numbers(classes, pl.col("destination_usd")),
        buy_cap=numbers(classes, pl.when(pl.col("buy_lock").is_null()).then(float("inf")).otherwise(0.0)),
        buy_cost=numbers(classes, pl.col("buy_half_spread_bps").fill_null(0.0) / BPS),
        buy_price=numbers(classes, pl.col("buy_price_usd").fill_null(1)),
        buy_step=numbers(classes, pl.col("buy_step").fill_null(1)),
        lot_start=starts(classes, lots, *CLASS),
        lot_quantity=numbers(lots, pl.col("quantity")),
        lot_price=numbers(lots, pl.col("price_usd")),
        lot_step=numbers(lots, pl.col("quantity_step")),
        lot_spread=numbers(lots, pl.col("spread")),
        lot_cost=numbers(lots, pl.col("cost")),
        lot_cap=numbers(lots, free),
        lot_security=lots.select(pl.col("security_id").rank("dense")).to_series().cast(pl.Int64).to_numpy(),
    )


def starts(parents: pl.DataFrame, children: pl.DataFrame, *key: str) -> np.ndarray:
    """Offsets (parents + 1) of each parent's children, both frames sorted by ``key``."""
    counts = children.group_by(*key).len("count")
    ordered = parents.select(key).join(counts, on=key, how="left", maintain_order="left")["count"].fill_null(0)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(ordered.to_numpy(), dtype=np.int64)])
