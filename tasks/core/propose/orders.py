"""From solved accounts to what order systems read: orders and the lots they close, each with why.

Money and shares are Decimal: an order's value is exactly quantity times reference price times price factor, and its lots sum to it. Ids are the
first 20 hex digits of SHA-256 over run, account, security and side, so that a replay gives the same bytes.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import polars as pl

from schemas.enums import OrderUnit, Reason, Side
from schemas.tables import PUBLIC, USD
from schemas.units import EXACT
from tasks.core.facts import BPS, CLASS, cents, rounded_usd, usd, usd_sum
from tasks.core.propose.order_worth import IS_FUND, PRICES, sale_sums, with_worth_of_purchases, with_worth_of_sales
from tasks.core.propose.realized import with_tax
from tasks.core.propose.solved import Solved

HARVEST: Final = "harvest"
ORDER: Final = (
    "account_id",
    "side",
    "security_id",
    "symbol",
    "quantity",
    "price_usd",
    "price_factor",
    "value_usd",
    "amount_usd",
    "est_tax_usd",
    "half_spread_bps",
    "reason",
    "marginal_benefit_bps",
    "marginal_cost_bps",
)
"""What sells and buys have in common."""


def order_rows(solved: Solved, run_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the tables ``orders`` (sorted: an account's sells first, then by symbol) and ``lot_relief``."""
    selling, lots = sells(solved)
    orders = pl.concat([selling.select(ORDER), buys(solved).select(ORDER)]).sort(
        "account_id", pl.col("side") == Side.BUY, "symbol", "security_id"
    )
    orders = _with_ids(orders, run_id).with_columns(
        pl.col("quantity").cast(EXACT),
        pl.col("est_tax_usd", "value_usd", "amount_usd").cast(USD),
        est_cost_usd=rounded_usd(pl.col("value_usd").cast(pl.Float64) * pl.col("half_spread_bps") * (1 / BPS)),
    )
    return orders.select(PUBLIC["orders"].keys()), _relief(lots, orders)


def _with_ids(orders: pl.DataFrame, run_id: str) -> pl.DataFrame:
    """Orders with ``order_id`` and ``proposal_id``."""
    keys = orders.select("account_id", "security_id", "side").iter_rows()
    accounts = orders.select("account_id").unique(maintain_order=True)
    proposals = accounts.with_columns(
        proposal_id=short_hashes((run_id, account) for (account,) in accounts.iter_rows())
    )
    return orders.with_columns(order_id=short_hashes((run_id, *key) for key in keys)).join(
        proposals, on="account_id", how="left", maintain_order="left"
    )


def _relief(lots: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    ids = orders.filter(pl.col("side") == Side.SELL).select("account_id", "security_id", "order_id")
    return (
        lots.join(ids, on=["account_id", "security_id"], how="left")
        .with_columns(quantity=pl.col("sold").cast(EXACT), gain_usd=pl.col("gain_usd").cast(USD))
        .select(PUBLIC["lot_relief"].keys())
        .sort("account_id", "security_id", "lot_id")
    )


def sells(solved: Solved) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sell orders (one a security of an account) and the lots they close, keyed by account and security.

    Tax is what the sales add to the account's tax (``realized``): a loss that the wash-sale window disallows saves none.
    """
    price = pl.col("price_usd")
    gain = usd(pl.col("sold"), price) - usd(pl.col("sold"), pl.col("unit_cost_usd"))
    lots = with_tax(solved.lots, solved.accounts).with_columns(
        pl.col("tax_usd").pipe(rounded_usd), value_usd=usd(pl.col("sold"), price), gain_usd=gain
    )
    orders = (
        lots.group_by("account_id", "security_id", maintain_order=True)
        .agg(
            pl.col("symbol", "asset_class", "price_usd", "price_factor", "half_spread_bps").first(),
            quantity=pl.col("sold").sum(),
            value_usd=pl.col("value_usd").sum(),
            est_tax_usd=pl.col("tax_usd").sum(),
            **sale_sums(),
            outright_reason=pl.col("outright_reason").drop_nulls().first(),
            harvested_usd=-usd_sum(pl.col("allowed_gain_usd").filter(pl.col("outright_reason") == HARVEST)),
        )
        .pipe(_with_class_facts, solved)
        .pipe(with_worth_of_sales, solved)
        .with_columns(side=pl.lit(str(Side.SELL)), amount_usd=pl.lit(None, USD), reason=_sell_reason())
    )
    return orders, lots


def buys(solved: Solved) -> pl.DataFrame:
    """Buy orders, one a class of an account; in dollars where the security is bought so."""
    return (
        solved.classes.filter(pl.col("bought") > 0)
        .select(
            *CLASS,
            security_id="buy_security_id",
            symbol="buy_symbol",
            price_usd="buy_price_usd",
            price_factor="buy_price_factor",
            half_spread_bps="buy_half_spread_bps",
            quantity="bought",
            value_usd="bought_usd",
            amount_usd=pl.when(pl.col("buy_order_in") == OrderUnit.USD).then(cents("bought_usd")),
            est_tax_usd=pl.lit(0).cast(USD),
            location="location",
            dear_symbol="dear_symbol",
            dear_unit_usd="dear_unit_usd",
        )
        .pipe(_with_class_facts, solved)
        .pipe(with_worth_of_purchases)
        .join(_harvested_symbols(solved), on=CLASS, how="left", maintain_order="left")
        .with_columns(side=pl.lit(str(Side.BUY)), reason=_buy_reason())
    )


def _with_class_facts(orders: pl.DataFrame, solved: Solved) -> pl.DataFrame:
    """Orders with what is known of their class and account; funds of the class cash have no row of a class."""
    columns = [*PRICES, "is_owing", "managed_household_id"]
    classes = solved.classes.select(
        *CLASS, "weight", "target_weight", "destination_usd", "governed_value_usd", "governed_after_usd"
    )
    return orders.join(classes, on=CLASS, how="left", maintain_order="left").join(
        solved.accounts.select("account_id", *columns), on="account_id", how="left", maintain_order="left"
    )


def _harvested_symbols(solved: Solved) -> pl.DataFrame:
    """By class: ``harvested``, the symbols of what is harvested."""
    return (
        solved.lots.filter((pl.col("outright_reason") == HARVEST) & (pl.col("sold") > 0))
        .group_by(CLASS)
        .agg(harvested=pl.col("symbol").unique().sort().str.join(", "))
    )


def _percent(weight: pl.Expr) -> pl.Expr:
    return (weight * 100).round(2).cast(pl.String) + "%"


def _position_words() -> pl.Expr:
    """``technology at 26.2% against a target of 20.0%; after the trade 21.0%``; of a household managed together its own weights."""
    after = pl.col("governed_after_usd") * (1.0 / pl.col("governed_nav_usd").cast(pl.Float64))
    whose = pl.when(pl.col("managed_household_id").is_null()).then(pl.lit("")).otherwise(pl.lit(" of the household"))
    return pl.format(
        "{}{} at {} against a target of {}; after the trade {}",
        "asset_class",
        whose,
        _percent(pl.col("weight")),
        _percent(pl.col("target_weight")),
        _percent(after),
    )


def _sell_reason() -> pl.Expr:
    is_over = pl.col("governed_value_usd") > pl.col("destination_usd")
    harvests = pl.format("harvests a loss of {} USD; {}", pl.col("harvested_usd").round(2), _position_words())
    owes = pl.format("raises the cash owed; {}", _position_words())
    needed = pl.when("is_owing").then(pl.lit("raises the cash owed; it is held as cash"))
    fund = (
        pl.when(pl.col("outright_reason") == Reason.HOLD_RANGE)
        .then(pl.lit("more is held than may be"))
        .otherwise(needed.otherwise(pl.lit("pays for purchases; it is held as cash")))
    )
    return (
        pl.when(IS_FUND)
        .then(fund)
        .when(pl.col("outright_reason") == HARVEST)
        .then(harvests)
        .when(pl.col("outright_reason").is_not_null())
        .then(pl.format("more is held than may be; {}", _position_words()))
        .when(is_over)
        .then(_position_words())
        .when("is_owing")
        .then(owes)
        .otherwise(pl.format("pays for purchases further from target; {}", _position_words()))
    )


def _buy_reason() -> pl.Expr:
    replaces = pl.format("in place of {}, harvested; {}", "harvested", _position_words())
    unit = pl.col("dear_unit_usd").round(2)
    dear = pl.format(
        "in place of {}, of which a unit at {} USD is more than the class wants; {}",
        "dear_symbol",
        unit,
        _position_words(),
    )
    words = pl.format("; ordered in dollars: {} USD", cents("amount_usd").cast(pl.String))
    in_dollars = pl.when(pl.col("amount_usd").is_not_null()).then(words).otherwise(pl.lit(""))
    return (
        pl.when(pl.col("harvested").is_not_null())
        .then(replaces)
        .when(pl.col("dear_symbol").is_not_null())
        .then(dear)
        .otherwise(_position_words())
        + in_dollars
    )


def short_hashes(parts: Iterable[tuple[str, ...]]) -> pl.Series:
    """SHA-256 of each tuple's parts joined by a bar, 20 hex digits."""
    digests = [hashlib.sha256("|".join(row).encode()).hexdigest()[:20] for row in parts]
    return pl.Series(digests, dtype=pl.String)
