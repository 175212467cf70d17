"""One night of some accounts as performance sees it: what each class is worth, what moved, what it cost and owes.

Values are of the whole account: lots, settled and pending cash, its reserve too. What an account may invest (NAV) is less: a reserve and cash on its way
earn nothing for the client, and that is part of what he earned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import polars as pl

from schemas.enums import Side, Term
from schemas.landing_columns import CASH
from schemas.tables import USD
from tasks.core.facts import BPS, Facts, account_parameters, priced_securities, usd, valued_lots, with_own_classes
from tasks.core.performance.after_tax import taxed_accounts

MOVES: Final[dict[str, pl.DataType]] = {
    "account_id": pl.String(),
    "security_id": pl.String(),
    "asset_class": pl.String(),
    "trade_date": pl.Date(),
    "quantity": USD,
    "paid_usd": USD,
    "cost_usd": pl.Float64(),
    "gain_usd": pl.Float64(),
}
"""Trades: ``quantity`` and ``paid_usd`` above 0 where bought, below where sold; ``cost_usd``: half the spread on their value; ``gain_usd``: realized, 0 where unknown."""


@dataclass(frozen=True)
class Night:
    """A night of the accounts that passed its gate."""

    day: date
    accounts: pl.DataFrame
    """``account_id, model_id, household_id, nav_usd, value_usd, year_tax_usd, year_short_usd, year_long_usd, liquidation_tax_usd``, sorted."""
    classes: pl.DataFrame
    """``account_id, asset_class, value_usd``; cash with what the account holds of funds of that class."""
    cash: pl.DataFrame
    """``account_id, cash_usd``, settled and pending."""
    holdings: pl.DataFrame
    """``account_id, security_id, asset_class, quantity, unit_usd``."""
    trades: pl.DataFrame
    """``MOVES``."""
    targets: pl.DataFrame
    """``model_id, asset_class, target_weight, security_id``: the last is the first choice of the buy list, null where it has none with a price."""
    prices: pl.DataFrame
    """``security_id, asset_class, unit_usd``, what one unit is worth."""
    factors: pl.DataFrame
    """``security_id, price_factor``."""


def night_of(facts: Facts, nav: pl.DataFrame) -> Night:
    """The night of a shard's facts; ``nav``: ``account_id, nav_usd``."""
    accounts = account_parameters(facts).sort("account_id")
    securities = priced_securities(facts)
    lots = valued_lots(facts, securities)
    own = accounts.select("account_id")
    cash = facts.cash.join(own, on="account_id", how="semi").select(
        "account_id", cash_usd=pl.col("settled_usd").cast(USD) + pl.col("pending_usd").cast(USD)
    )
    classes = (
        pl.concat(
            [
                lots.select("account_id", "asset_class", "value_usd"),
                cash.select("account_id", asset_class=pl.lit(CASH), value_usd="cash_usd"),
            ]
        )
        .group_by("account_id", "asset_class")
        .agg(pl.col("value_usd").sum())
        .sort("account_id", "asset_class")
    )
    totals = classes.group_by("account_id").agg(pl.col("value_usd").sum())
    taxes = taxed_accounts(_of_own_year(accounts, facts), lots, facts.as_of)
    prices = securities.select("security_id", "asset_class", "unit_usd").drop_nulls()
    return Night(
        day=facts.as_of,
        accounts=accounts.select("account_id", "model_id", "household_id")
        .join(nav, on="account_id", how="left")
        .join(totals, on="account_id", how="left")
        .join(taxes, on="account_id", how="left")
        .with_columns(pl.col("value_usd").fill_null(0)),
        classes=classes,
        cash=cash,
        holdings=lots.group_by("account_id", "security_id").agg(
            pl.col("asset_class").first(), pl.col("quantity").cast(USD).sum(), pl.col("unit_usd").first()
        ),
        trades=moves(facts.trades.join(own, on="account_id", how="semi"), securities).pipe(
            with_own_classes, facts.index_members
        ),
        targets=_targets(facts, prices),
        prices=prices,
        factors=securities.select("security_id", "price_factor"),
    )


def joined_nights(parts: Sequence[Night]) -> Night:
    """The nights of several shards of a run as one; what belongs to no account is the same in all, but for the models of single accounts."""
    frames = ("accounts", "classes", "cash", "holdings", "trades")
    targets = pl.concat([part.targets for part in parts]).unique(maintain_order=True)
    joined = {name: pl.concat([getattr(part, name) for part in parts]) for name in frames}
    return replace(parts[0], targets=targets, **joined)


def moves(trades: pl.DataFrame, securities: pl.DataFrame) -> pl.DataFrame:
    """``MOVES`` of trades; ``securities``: ``facts.priced_securities``."""
    described = securities.select("security_id", "asset_class", "price_factor", "half_spread_bps")
    sign = pl.when(pl.col("side") == Side.BUY).then(1).otherwise(-1)
    worth = usd(pl.col("quantity"), pl.col("price_usd"))
    return trades.join(described, on="security_id").select(
        "account_id",
        "security_id",
        "asset_class",
        "trade_date",
        quantity=sign * pl.col("quantity").cast(USD),
        paid_usd=sign * worth,
        cost_usd=worth.cast(pl.Float64) * pl.col("half_spread_bps") / BPS,
        gain_usd=pl.col("realized_gain_usd").cast(pl.Float64).fill_null(0.0),
    )


def _of_own_year(accounts: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Accounts with the year's gains of the as-of date: ``account_parameters`` has those of the trade date, of the next year on its last night."""
    gains = [f"ytd_{term}_gain_usd" for term in Term]
    losses = [f"loss_carryforward_{term}_usd" for term in Term]
    return accounts.drop(*gains, *losses).join(
        facts.accounts.select("account_id", *gains, *losses), on="account_id", how="left", maintain_order="left"
    )


def _targets(facts: Facts, prices: pl.DataFrame) -> pl.DataFrame:
    first = (
        facts.buy_list.join(prices, on="security_id", how="semi")
        .sort("model_id", "asset_class", "rank", "security_id")
        .unique(["model_id", "asset_class"], keep="first", maintain_order=True)
        .select("model_id", "asset_class", "security_id")
    )
    return facts.model_targets.select("model_id", "asset_class", "target_weight").join(
        first, on=["model_id", "asset_class"], how="left"
    )
