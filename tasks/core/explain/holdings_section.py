"""What an account holds, lot by lot, and what its cash did from night to night: facts, exact, which no trade depends on."""

import polars as pl

from schemas.enums import Side, Term
from schemas.tables import USD
from tasks.core.facts import Facts, priced_securities, usd
from tasks.core.tax import long_term_from, term

SECURITY = ("security_id", "symbol", "name", "asset_class", "price_usd", "price_date")
LOT = (
    "lot_id",
    "quantity",
    "unit_cost_usd",
    "cost_usd",
    "value_usd",
    "gain_usd",
    "acquired_date",
    "term",
    "long_term_from",
    "is_frozen",
)


def lots_held(facts: Facts, account_id: str) -> pl.DataFrame:
    """An account's lots with their security, value, cost and gain, usd exact; by class, symbol, date and lot.

    ``term`` is that of a sale on the trade date, ``long_term_from`` the first day on which one is long-term. Value is null without a price,
    cost and gain where the unit cost is unknown.
    """
    securities = priced_securities(facts).join(
        facts.prices.select("security_id", "price_date"), on="security_id", how="left"
    )
    described = securities.select(*SECURITY, "price_factor")
    value, cost = (
        usd(pl.col("quantity"), pl.col(price), pl.col("price_factor")) for price in ("price_usd", "unit_cost_usd")
    )
    return (
        facts.lots.filter(pl.col("account_id") == account_id)
        .join(described, on="security_id", how="left")
        .with_columns(pl.col("is_frozen").fill_null(value=False), value_usd=value, cost_usd=cost)
        .with_columns(
            gain_usd=pl.col("value_usd") - pl.col("cost_usd"),
            term=term(pl.col("acquired_date"), facts.trade_date),
            long_term_from=long_term_from(pl.col("acquired_date")),
        )
        .sort("asset_class", "symbol", "security_id", "acquired_date", "lot_id", nulls_last=True)
        .select(*SECURITY, *LOT)
    )


def positions(lots: pl.DataFrame) -> pl.DataFrame:
    """``lots_held`` by security: quantity, value, cost, gain, and gains by term; a sum is null where a lot of it is not known."""

    def whole(name: str) -> pl.Expr:
        return pl.when(pl.col(name).is_not_null().all()).then(pl.col(name).sum())

    def gain_of(term: Term) -> pl.Expr:
        return pl.col("gain_usd").filter(pl.col("term") == term).sum().alias(f"{term}_gain_usd")

    return lots.group_by(SECURITY, maintain_order=True).agg(
        quantity=pl.col("quantity").sum(),
        value_usd=whole("value_usd"),
        cost_usd=whole("cost_usd"),
        gain_usd=whole("gain_usd"),
        lot_count=pl.len(),
        **{f"{each}_gain_usd": gain_of(each) for each in Term},
    )


def cash_moves(nights: pl.DataFrame, trades: pl.DataFrame, securities: pl.DataFrame) -> pl.DataFrame:
    """``nights`` (``as_of_date``, ``settled_usd``, in order of their dates) with how cash changed since the night before, usd exact.

    ``change_usd``: null on the first night, or where cash is not known. ``traded_usd``: what sales brought less what purchases took, of
    trades dated since then. ``other_usd`` is the rest: contributions, withdrawals, dividends, fees, and trades whose cash comes on another day.
    """
    factors = securities.select("security_id", pl.col("price_factor").fill_null(1).alias("price_factor"))
    amount = usd(pl.col("quantity"), pl.col("price_usd"), pl.col("price_factor").fill_null(1))
    sign = pl.when(pl.col("side") == Side.SELL).then(1).otherwise(-1).cast(USD)
    traded = (
        trades.join(factors, on="security_id", how="left")
        .select("trade_date", traded_usd=(amount * sign).cast(USD))
        .sort("trade_date")
        .join_asof(
            nights.select("as_of_date"), left_on="trade_date", right_on="as_of_date", strategy="forward", coalesce=False
        )
        .group_by("as_of_date")
        .agg(pl.col("traded_usd").sum())
    )
    return (
        nights.join(traded, on="as_of_date", how="left", maintain_order="left")
        .with_columns(change_usd=pl.col("settled_usd").cast(USD) - pl.col("settled_usd").cast(USD).shift(1))
        .with_columns(
            traded_usd=pl.when(pl.col("change_usd").is_not_null()).then(pl.col("traded_usd").fill_null(0).cast(USD))
        )
        .with_columns(other_usd=pl.col("change_usd") - pl.col("traded_usd"))
    )
