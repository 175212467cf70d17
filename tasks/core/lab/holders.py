"""The firm's own accounts as they stand on a night, for the lab: their lots, cash, rates, buy lists and what may not be sold or bought of theirs.

An account that the lab's engine cannot hold as a night does is left out with its reason, never taken in part. Its policy is not taken: the study's are tried instead.

Known limits: what else its household does is not followed, so that an account that pays tax and has others beside it is left out.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from schemas.enums import AccountStatus, OrderUnit, RestrictionRule, Side, TaxStatus
from schemas.landing_columns import CASH
from tasks.core.facts import BPS, Facts, account_parameters, priced_securities, valued_lots
from tasks.core.lab.arrays import Holders
from tasks.core.solver import MILLIONTHS
from tasks.core.tax import is_basis_missing, is_taxed

LOOKED_BACK: Final = 61
"""Days before the night in which a sale at a loss leaves lots whose losses have moved, or a security that may not be bought yet."""
LEFT_OUT: Final = {"account_id": pl.String(), "reason": pl.String()}
NO_BUYING: Final = (RestrictionRule.NO_BUY, RestrictionRule.NO_TRADE)
NO_SELLING: Final = (RestrictionRule.NO_SELL, RestrictionRule.NO_TRADE)


def hold_accounts(facts: Facts, wanted: Sequence[str], classes: Sequence[str]) -> tuple[Holders, pl.DataFrame]:
    """Those of the accounts ``wanted`` that the lab can hold, sorted, and ``LEFT_OUT``: the others, each with its first reason.

    Parameters
    ----------
    facts
        The shard's facts, households whole; ``trade_date`` the first date on which an account may be looked at.
    wanted
        Accounts by name.
    classes
        Classes that the market has, but cash.
    """
    accounts = account_parameters(facts).filter(pl.col("account_id").is_in(list(wanted)))
    reasons = _reasons(facts, accounts, classes)
    left_out = (
        reasons.sort("account_id", "place")
        .unique("account_id", keep="first", maintain_order=True)
        .select(list(LEFT_OUT))
    )
    lost = pl.DataFrame(
        {"account_id": sorted(set(wanted) - set(accounts["account_id"]))}, schema={"account_id": pl.String()}
    ).with_columns(reason=pl.lit("it was quarantined, or is not the night's"))
    held = accounts.join(left_out, on="account_id", how="anti").sort("account_id")
    return _holders(facts, held, classes), pl.concat([left_out, lost]).sort("account_id")


def _reasons(facts: Facts, accounts: pl.DataFrame, classes: Sequence[str]) -> pl.DataFrame:
    """``account_id, reason, place``: every reason for which an account cannot be held, the more telling first."""
    securities = priced_securities(facts)
    own = accounts.select("account_id")
    lots = valued_lots(facts, securities).join(accounts.select("account_id", "model_id", "tax_status"), on="account_id")
    modelled = facts.model_targets.select("model_id", "asset_class")
    aimed = accounts.select("account_id", "model_id").join(modelled, on="model_id")
    touched = _securities_of(facts, accounts, securities, lots)
    many = facts.members.filter(pl.len().over("household_key") > 1)
    value = lots.group_by("account_id").agg(value=pl.col("value_usd").sum().cast(pl.Float64))
    nav = pl.col("value").fill_null(0.0) + pl.col("cash_usd").cast(pl.Float64)
    losses = facts.trades.filter(
        pl.col("side") == Side.SELL,
        pl.col("realized_gain_usd") < 0,
        pl.col("trade_date") >= facts.trade_date - timedelta(days=LOOKED_BACK),
    )
    found: list[tuple[str, pl.DataFrame]] = [
        ("it is not active", accounts.filter(pl.col("status") != AccountStatus.ACTIVE)),
        ("it holds a class as an index", accounts.join(facts.index_members, on="account_id", how="semi")),
        ("it is managed together with its household", accounts.filter(pl.col("managed_household_id").is_not_null())),
        (
            "its household has other accounts, whose trades count in its wash-sale window",
            accounts.filter(pl.col("tax_status") == TaxStatus.TAXABLE).join(many, on="account_id", how="semi"),
        ),
        (
            "orders of it are under way",
            pl.concat(
                [
                    facts.pending_orders.select("account_id"),
                    *(each.select("account_id") for each in (facts.unshown_fills, facts.open_orders)),
                ]
            ),
        ),
        ("its NAV is not above 0", accounts.join(value, on="account_id", how="left").filter(~(nav > 0))),
        (
            "its model has a class of which the market has nothing",
            aimed.filter(~pl.col("asset_class").is_in([*classes, CASH])),
        ),
        ("it holds what its model has no class for", lots.join(aimed, on=["account_id", "asset_class"], how="anti")),
        ("it holds securities of the class cash", lots.filter(pl.col("asset_class") == CASH)),
        ("a lot of it is frozen", lots.filter("is_frozen")),
        (
            "the cost or the date of a lot is unknown",
            lots.filter(is_taxed(), is_basis_missing()),
        ),
        (
            "a security of it, or that it would buy, is not tradable or has no price",
            touched.filter(~(pl.col("is_tradable") & (pl.col("unit_usd") > 0)).fill_null(value=False)),
        ),
        (
            "a security of it, or that it would buy, is priced per hundred or ordered in dollars",
            touched.filter(
                (pl.col("price_factor") != 1) | (pl.col("order_in") == OrderUnit.USD).fill_null(value=False)
            ),
        ),
        ("a restriction of it ends, asks for a range, or exempts holders", touched.filter("is_restricted_otherwise")),
        ("it sold at a loss within two wash-sale windows", losses),
        ("it bought what it no longer holds within the wash-sale window", _bought_and_gone(facts, own)),
    ]
    parts = [
        rows.select("account_id")
        .unique()
        .join(own, on="account_id", how="semi")
        .with_columns(reason=pl.lit(reason), place=pl.lit(place))
        for place, (reason, rows) in enumerate(found)
    ]
    return pl.concat(parts)


def _securities_of(facts: Facts, accounts: pl.DataFrame, securities: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """Securities that each account holds or may buy: ``account_id, asset_class, security_id, rank`` (null: not on its buy list), what they are, and restrictions.

    ``is_unbuyable, is_unsellable``: by a restriction without an end; ``is_restricted_otherwise``: by another.
    """
    choices = (
        accounts.select("account_id", "model_id", "tax_status")
        .join(facts.buy_list.rename({"tax_status": "for_tax_status"}), on="model_id")
        .filter(pl.col("for_tax_status").is_null() | (pl.col("for_tax_status") == pl.col("tax_status")))
        .sort("account_id", "asset_class", "rank", pl.col("for_tax_status").is_null(), "security_id")
        .unique(["account_id", "asset_class", "security_id"], keep="first", maintain_order=True)
        .select(
            "account_id",
            "asset_class",
            "security_id",
            rank=pl.int_range(1, pl.len() + 1).over("account_id", "asset_class"),
        )
    )
    held = lots.select("account_id", "asset_class", "security_id").unique()
    both = choices.join(
        securities.select("security_id", "asset_class"), on=["security_id", "asset_class"], how="semi"
    ).join(held, on=["account_id", "asset_class", "security_id"], how="full", coalesce=True)
    described = securities.select(
        *("security_id", "unit_usd", "price_factor", "quantity_step", "half_spread_bps", "is_tradable", "order_in")
    )
    active = facts.restrictions.filter(
        pl.col("until_date").is_null() | (pl.col("until_date") >= facts.trade_date)
    ).with_columns(
        is_plain=pl.col("rule").is_in([str(rule) for rule in {*NO_BUYING, *NO_SELLING}])
        & pl.col("until_date").is_null()
    )
    flags = {
        "is_unbuyable": pl.col("is_plain") & pl.col("rule").is_in([str(rule) for rule in NO_BUYING]),
        "is_unsellable": pl.col("is_plain") & pl.col("rule").is_in([str(rule) for rule in NO_SELLING]),
        "is_restricted_otherwise": ~pl.col("is_plain"),
    }
    own = active.filter(pl.col("account_id").is_not_null()).select("account_id", "security_id", **flags)
    common = active.filter(pl.col("account_id").is_null()).select("security_id", **flags)
    everyone = both.select("account_id", "security_id").join(common, on="security_id")
    bars = (
        pl.concat([own, everyone.select(own.columns)])
        .group_by("account_id", "security_id")
        .agg(pl.col(list(flags)).any())
    )
    return (
        both.join(described, on="security_id", how="left")
        .join(bars, on=["account_id", "security_id"], how="left")
        .with_columns(pl.col(list(flags)).fill_null(value=False))
        .sort("account_id", "asset_class", "security_id")
    )


def _bought_and_gone(facts: Facts, own: pl.DataFrame) -> pl.DataFrame:
    """Purchases of late of which the lots show less than was bought."""
    key = ["account_id", "security_id", "date"]
    bought = (
        facts.trades.filter(
            pl.col("side") == Side.BUY, pl.col("trade_date") >= facts.trade_date - timedelta(days=LOOKED_BACK)
        )
        .join(own, on="account_id", how="semi")
        .group_by("account_id", "security_id", date="trade_date")
        .agg(bought=pl.col("quantity").sum())
    )
    held = facts.lots.group_by("account_id", "security_id", date="acquired_date").agg(held=pl.col("quantity").sum())
    return bought.join(held, on=key, how="left").filter(pl.col("bought") > pl.col("held").fill_null(0))


def _holders(facts: Facts, accounts: pl.DataFrame, classes: Sequence[str]) -> Holders:
    """The arrays of accounts, which can all be held."""
    securities = priced_securities(facts)
    lots = valued_lots(facts, securities).join(accounts.select("account_id"), on="account_id", how="semi")
    touched = _securities_of(
        facts, accounts, securities, lots.join(accounts.select("account_id", "model_id", "tax_status"), on="account_id")
    )
    number = {name: place for place, name in enumerate(classes)}
    places = touched.with_columns(
        c=pl.col("asset_class").replace_strict(number, return_dtype=pl.Int64),
        choice=pl.when("is_unbuyable").then(0).otherwise(pl.col("rank").fill_null(0)).cast(pl.Int64),
    ).sort("account_id", "c", "security_id")
    names = accounts["account_id"].to_list()
    by_account = {str(key[0]): rows for key, rows in places.partition_by("account_id", as_dict=True).items()}
    shape = (len(names), max((rows.height for rows in by_account.values()), default=1))
    columns: dict[str, Any] = {
        "class_of": np.full(shape, -1, np.int64),
        "price": np.ones(shape),
        "spread": np.zeros(shape),
        "step": np.ones(shape),
        "choice": np.zeros(shape, np.int64),
        "can_sell": np.ones(shape, np.bool_),
    }
    at: dict[tuple[str, str], int] = {}
    for k, name in enumerate(names):
        rows = by_account.get(name, places.clear())
        count = rows.height
        at |= {(name, security): s for s, security in enumerate(rows["security_id"])}
        columns["class_of"][k, :count] = rows["c"].to_numpy()
        columns["price"][k, :count] = rows["unit_usd"].to_numpy()
        columns["spread"][k, :count] = rows["half_spread_bps"].cast(pl.Float64).to_numpy() / BPS
        columns["step"][k, :count] = rows["quantity_step"].cast(pl.Float64).to_numpy()
        columns["choice"][k, :count] = rows["choice"].to_numpy()
        columns["can_sell"][k, :count] = ~rows["is_unsellable"].to_numpy()
    target, has_band = _targets(facts.model_targets, accounts["model_id"].to_list(), classes)
    own = _sorted_lots(lots, accounts)
    rates = accounts.select(
        *(pl.when(is_taxed()).then(rate).otherwise(0.0).alias(rate) for rate in ("short_term_rate", "long_term_rate"))
    )
    return Holders(
        names=names,
        **columns,
        target=target,
        location=_locations(facts.location_preferences, accounts, classes),
        has_cash_band=has_band,
        rates=rates.to_numpy().astype(np.float64),
        is_taxed=accounts.select(is_taxed()).to_series().to_numpy(),
        cash=accounts["cash_usd"].cast(pl.Float64).to_numpy(),
        gains=_floats(accounts, "ytd_short_gain_usd", "ytd_long_gain_usd"),
        carried=_floats(accounts, "loss_carryforward_short_usd", "loss_carryforward_long_usd"),
        lot_start=np.append(0, np.cumsum([int((own["account_id"] == name).sum()) for name in names])).astype(np.int64),
        lot_security=np.array([at[key] for key in own.select("account_id", "security_id").iter_rows()], np.int64),
        lot_units=(own["quantity"].cast(pl.Float64).to_numpy() * MILLIONTHS).round().astype(np.int64),
        lot_cost=own["cost"].to_numpy(),
        lot_date=own["bought"].to_list(),
        flow_usd=np.zeros(0),
    )


def _sorted_lots(lots: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Lots in order of account and acquisition, with ``cost`` and ``bought``; where they count for nothing, those of today."""
    order = accounts.select("account_id").with_row_index("place")
    return (
        lots.join(order, on="account_id")
        .with_columns(
            cost=pl.coalesce("unit_cost_usd", "price_usd").cast(pl.Float64),
            bought=pl.col("acquired_date").fill_null(date(1970, 1, 1)),
        )
        .sort("place", "bought", "lot_id", "security_id")
    )


def _targets(targets: pl.DataFrame, models: Sequence[str], classes: Sequence[str]) -> tuple[Any, Any]:
    """(K, C + 1) targets, the last of cash; (K) whether cash has a row."""
    rows = {
        (model, name): weight
        for model, name, weight in targets.select("model_id", "asset_class", "target_weight").iter_rows()
    }
    found = np.array([[rows.get((model, name), 0.0) for name in (*classes, CASH)] for model in models])
    return found.reshape(len(models), len(classes) + 1), np.array([(model, CASH) in rows for model in models], np.bool_)


def _locations(preferences: pl.DataFrame, accounts: pl.DataFrame, classes: Sequence[str]) -> Any:
    """(K, C) cost of a dollar of each class in each account."""
    costs = {
        (model, status, name): bps / BPS
        for model, status, name, bps in preferences.select(
            "model_id", "tax_status", "asset_class", pl.col("cost_bps").cast(pl.Float64)
        ).iter_rows()
    }
    own = accounts.select("model_id", "tax_status").iter_rows()
    found = [[costs.get((model, status, name), 0.0) for name in classes] for model, status in own]
    return np.array(found, np.float64).reshape(accounts.height, len(classes))


def _floats(frame: pl.DataFrame, *columns: str) -> Any:
    return frame.select(pl.col(columns).cast(pl.Float64)).to_numpy()
