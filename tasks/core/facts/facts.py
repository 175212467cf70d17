"""The accepted facts of one shard, as frames, and what is derived from them once: lot values and account parameters."""

from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Final

import polars as pl

from schemas.enums import RestrictionRule
from schemas.landing_columns import dtypes
from schemas.policy import Policy
from schemas.stored import INTERNAL
from schemas.tables import PUBLIC, USD
from schemas.units import EXACT
from tasks.core.facts.changed_models import in_changed_models
from tasks.core.facts.indexes import MEMBERS, hold_indexes, listed_members, of_effective, with_own_classes
from tasks.core.facts.tilts import TILTED_MODELS, tilt_models

BPS: Final = 1e4
"""Basis points in one."""
CLASS: Final = ("account_id", "asset_class")
"""Grain of what is said about a class of an account."""


@dataclass(frozen=True)
class Facts:
    """What passed the gate, for one shard.

    Columns are those of the landing contract. ``accounts`` are those to be looked at; ``lots``, ``cash`` and ``trades`` are of
    every account of their households. ``policies`` has every parameter filled with its default.
    """

    as_of: date
    """The date that the facts describe."""
    trade_date: date
    """The first session after it, on which orders trade: terms, wash-sale windows and restrictions are judged on it."""
    accounts: pl.DataFrame
    lots: pl.DataFrame
    cash: pl.DataFrame
    securities: pl.DataFrame
    prices: pl.DataFrame
    model_targets: pl.DataFrame
    buy_list: pl.DataFrame
    policies: pl.DataFrame
    restrictions: pl.DataFrame
    trades: pl.DataFrame
    last_exports: pl.DataFrame
    members: pl.DataFrame
    """``account_id, household_key`` of every account landed."""
    households: pl.DataFrame
    """Households whose accounts are rebalanced together."""
    location_preferences: pl.DataFrame
    pending_orders: pl.DataFrame
    """Orders proposed or sent by other runs and not yet among the trades: they count in the wash-sale window."""
    unshown_fills: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=INTERNAL["unshown_fills"]))
    """Fills that the holdings do not show yet: their accounts wait."""
    open_orders: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=INTERNAL["open_orders"]))
    """Orders that left, have no final word, and that the holdings do not show: their accounts wait."""
    tilts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dtypes("tilts")))
    tilted_models: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TILTED_MODELS))
    """``TILTED_MODELS``: the effective models of accounts with a tilt or an index; their targets are among ``model_targets``."""
    tilted_targets: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PUBLIC["tilted_targets"]))
    direct_indexes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dtypes("direct_indexes")))
    index_weights: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dtypes("index_weights")))
    index_members: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=MEMBERS))
    """``MEMBERS``: of accounts that hold a class as an index, the class of each of its securities."""
    index_baskets: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PUBLIC["index_baskets"]))

    @cached_property
    def restricted_holders(self) -> pl.DataFrame:
        """``account_id, security_id`` that is held of securities with a restriction ``no_new``, whatever its date; found once."""
        closed = self.restrictions.filter(pl.col("rule") == RestrictionRule.NO_NEW)["security_id"].unique()
        held = self.lots.filter(pl.col("security_id").is_in(closed.implode())) if len(closed) else self.lots.clear()
        return held.select("account_id", "security_id").unique()

    def in_models(self, changes: pl.DataFrame) -> "Facts":
        """The facts with accounts and households in other models; ``changes`` as for ``in_changed_models``."""
        found = in_changed_models({"accounts": self.accounts, "households": self.households}, changes)
        moved = replace(
            self,
            accounts=found["accounts"],
            households=found["households"],
            tilted_models=self.tilted_models.clear(),
            index_members=self.index_members.clear(),
        )
        return moved.with_tilts(self.tilts).with_indexes(self.direct_indexes, self.index_weights)

    def with_tilts(self, tilts: pl.DataFrame) -> "Facts":
        """The facts with effective models in the place of those of accounts that have a tilt; of accounts without one nothing changes."""
        if tilts.is_empty():
            return self
        found = tilt_models(_with_household_terms(self), tilts, self.model_targets)
        named = found.models.select("model_id", "tilted_model_id")
        known = self.model_targets.join(found.targets, on="model_id", how="anti", maintain_order="left")
        return replace(
            self,
            model_targets=pl.concat([known, found.targets]),
            buy_list=_of_tilted(self.buy_list, named),
            location_preferences=_of_tilted(self.location_preferences, named),
            tilts=tilts,
            tilted_models=found.models,
            tilted_targets=found.rows,
        )

    def with_indexes(self, direct_indexes: pl.DataFrame, index_weights: pl.DataFrame) -> "Facts":
        """The facts with a class held as its index where an account asks for it; of the others nothing changes. Tilts come before."""
        if direct_indexes.is_empty():
            return self
        owners = _with_household_terms(self).join(self.tilted_models, on=("account_id", "model_id"), how="left")
        described = self.securities.select("security_id", "asset_class")
        held = self.lots.select("account_id", "security_id").unique().join(described, on="security_id")
        found = hold_indexes(owners, direct_indexes, index_weights, self.model_targets, held)
        known = self.model_targets.join(found.targets, on="model_id", how="anti", maintain_order="left")
        models = self.tilted_models.join(found.models, on="account_id", how="anti", maintain_order="left")
        listed = listed_members(found).with_columns(rank=pl.lit(1, pl.Int64), tax_status=pl.lit(None, pl.String))
        choices = of_effective(self.buy_list, found, is_split=False)
        return replace(
            self,
            model_targets=pl.concat([known, found.targets]),
            buy_list=pl.concat([choices, listed.select(choices.columns)]),
            location_preferences=of_effective(self.location_preferences, found, is_split=True),
            tilted_models=pl.concat([models, found.models.select(TILTED_MODELS.keys())]),
            direct_indexes=direct_indexes,
            index_weights=index_weights,
            index_members=found.members,
            index_baskets=found.rows,
        )

    def of_households(self, account_ids: pl.Series) -> "Facts":
        """The facts of the households of these accounts; what is said of everyone stays."""
        of_accounts = self.members.filter(pl.col("account_id").is_in(account_ids.implode())).select("household_key")
        members = self.members.join(of_accounts.unique(), on="household_key", how="semi")
        names = (
            "accounts",
            "lots",
            "cash",
            "trades",
            "last_exports",
            "pending_orders",
            "unshown_fills",
            "open_orders",
            "tilts",
            "direct_indexes",
            "index_members",
        )
        own = {
            name: getattr(self, name).join(members, on="account_id", how="semi", maintain_order="left")
            for name in names
        }
        theirs = pl.col("account_id").is_null() | pl.col("account_id").is_in(members["account_id"].implode())
        return replace(self, members=members, restrictions=self.restrictions.filter(theirs), **own)


def with_policy_defaults(policies: pl.DataFrame) -> pl.DataFrame:
    """Policies with each null parameter replaced by its default; parameters whose default is null stay null."""
    defaults = Policy()
    return policies.with_columns(
        pl.col(name).fill_null(value)
        for name, value in defaults.model_dump(mode="json").items()
        if value is not None and name in policies.columns
    )


def priced_securities(facts: Facts) -> pl.DataFrame:
    """Securities with ``price_usd`` (null where there is none), ``price_factor`` and ``unit_usd`` (Float64), what one unit is worth."""
    return (
        facts.securities.join(facts.prices.select("security_id", "price_usd"), on="security_id", how="left")
        .with_columns(pl.col("price_factor").fill_null(1).cast(EXACT))
        .with_columns(unit_usd=pl.col("price_usd").cast(pl.Float64) * pl.col("price_factor").cast(pl.Float64))
    )


def valued_lots(facts: Facts, securities: pl.DataFrame) -> pl.DataFrame:
    """Lots of ``facts.accounts`` with their security's class, price, factor, step, spread and ``value_usd`` (``usd``, exact)."""
    own = facts.lots.join(facts.accounts.select("account_id"), on="account_id", how="semi", maintain_order="left")
    described = securities.select(
        *("security_id", "symbol", "asset_class", "price_usd", "price_factor", "unit_usd"),
        *("quantity_step", "half_spread_bps", "is_tradable"),
    )
    joined = own.join(described, on="security_id", how="left", maintain_order="left")
    return with_own_classes(joined, facts.index_members).with_columns(
        pl.col("is_frozen").fill_null(value=False), value_usd=usd(pl.col("quantity"), pl.col("price_usd"))
    )


def usd(quantity: pl.Expr, price: pl.Expr, factor: pl.Expr | None = None) -> pl.Expr:
    """``quantity * price * factor`` as Decimal(38, 6), rounded half-even at the sixth digit; the factor is that of the row's security."""
    return quantity.cast(USD) * price.cast(USD) * (pl.col("price_factor") if factor is None else factor).cast(USD)


def rounded_usd(amount: pl.Expr) -> pl.Expr:
    """A Float64 amount as Decimal(38, 6), rounded half-even."""
    return amount.round(6).cast(USD)


def usd_sum(amounts: pl.Expr) -> pl.Expr:
    """Sum of Float64 amounts of money, each to six digits, that does not depend on their order: bytes repeat."""
    return rounded_usd(amounts).sum().cast(pl.Float64)


def account_parameters(facts: Facts) -> pl.DataFrame:
    """One row an account: its columns, its policy's parameters, its cash beyond the reserve ``cash_usd`` and ``is_owing``; sorted.

    Withdrawals that are pending count, contributions where policy invests them before they settle. Cash is owed where it is further below
    zero than policy tolerates.

    Accounts of a household that is managed together have the model and the policy of the household, and its name in
    ``managed_household_id``, which is null for the others. Those with a tilt have their effective model. Losses carried forward are 0 where there are none.
    """
    pending = (
        pl.when("is_pending_invested").then("pending_usd").otherwise(pl.min_horizontal("pending_usd", pl.lit(0, EXACT)))
    )
    return (
        _with_household_terms(facts)
        .pipe(_in_tilted_models, facts.tilted_models)
        .with_columns(pl.col("loss_carryforward_short_usd", "loss_carryforward_long_usd").fill_null(0))
        .pipe(_in_year_of_trade, facts)
        .join(facts.policies, on="policy_id", how="left")
        .join(facts.cash.select("account_id", "settled_usd", "pending_usd"), on="account_id", how="left")
        .with_columns(cash_usd=pl.col("settled_usd").cast(USD) + pending - pl.col("cash_reserve_usd"))
        .with_columns(is_owing=pl.col("cash_usd").cast(pl.Float64) < -pl.col("cash_tolerance_usd"))
        .drop("settled_usd", "pending_usd")
        .sort("account_id")
    )


def _in_year_of_trade(accounts: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Accounts with the gains and the losses carried forward of the year that the orders trade in.

    Where that is the year after the facts', none of its gains is realized yet, and what is left of the old year's losses, short
    and long netted and then set against each other, is carried into it (26 USC 1212(b)).
    """
    if facts.trade_date.year == facts.as_of.year:
        return accounts
    short, long = (
        pl.col(f"ytd_{term}_gain_usd") - pl.col(f"loss_carryforward_{term}_usd") for term in ("short", "long")
    )
    nothing = pl.lit(0, EXACT)
    left = {
        term: -pl.min_horizontal(own + pl.max_horizontal(other, nothing), nothing).cast(EXACT)
        for term, own, other in (("short", short, long), ("long", long, short))
    }
    return accounts.with_columns(
        **{f"ytd_{term}_gain_usd": nothing for term in left},
        **{f"loss_carryforward_{term}_usd": loss for term, loss in left.items()},
    )


def _with_household_terms(facts: Facts) -> pl.DataFrame:
    """Accounts under the model and policy that they are managed by, with ``managed_household_id``."""
    terms = facts.households.select(
        "household_id", managed_household_id="household_id", joint_model_id="model_id", joint_policy_id="policy_id"
    )
    return (
        facts.accounts.join(terms, on="household_id", how="left")
        .with_columns(
            model_id=pl.coalesce("joint_model_id", "model_id"), policy_id=pl.coalesce("joint_policy_id", "policy_id")
        )
        .drop("joint_model_id", "joint_policy_id")
    )


def _in_tilted_models(accounts: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """The accounts with their effective models for ``model_id``."""
    if models.is_empty():
        return accounts
    own = accounts.join(models, on=("account_id", "model_id"), how="left", maintain_order="left")
    return own.with_columns(model_id=pl.coalesce("tilted_model_id", "model_id")).drop("tilted_model_id")


def _of_tilted(rows: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """Rows of models, and once more for each effective model of theirs: ``models``: ``model_id, tilted_model_id``."""
    own = rows.join(models, on="model_id", maintain_order="left_right")
    known = rows.join(models, left_on="model_id", right_on="tilted_model_id", how="anti", maintain_order="left")
    return pl.concat([known, own.with_columns(model_id="tilted_model_id").select(rows.columns)])
