"""The gate for what belongs to no account: securities, prices, models, policies, buy lists, households, restrictions for everyone.

1. Each row must keep its contract. A security with a broken row, a bond without a price factor, or one without an accepted price is
   lost to its holders.
2. A model is used whole or not at all: one broken row of it, of its buy list or of its preferences, weights that do not sum to 1
   or a missing class ``cash`` breaks it. Where only the row or the price of a listed security is broken, the next one stands in.
3. A household of which a row is broken, or whose model or policy is, is lost to its accounts: they are not traded apart.
4. A row whose model, class, household or security is none, or none that can be read, costs what it could mean (``spellings``);
   where it cannot be read at all that is every model, or every household that has no row, unless the rest of the row means
   nothing of ours either.
5. Corporate actions are judged row by row; what a broken one could be about is lost to its holders (``corporate_actions``).
6. Profiles, the ladder and glide paths cost nobody a trade (``profile_tables``); a rung's model is one that is whole.
7. An index is used whole or not at all (``indexes``): the accounts that hold it wait.
8. Nothing may trade while a restriction for everyone cannot be read: that refuses the input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from schemas.enums import OrderUnit, SecurityType
from schemas.errors import InputRefused
from schemas.landing_columns import CASH, WEIGHT_SUM_TOLERANCE, dtypes
from schemas.stored import LANDED_COLUMNS
from tasks.core.gate.classes import with_strange_classes
from tasks.core.gate.contract import Rule
from tasks.core.gate.corporate_actions import check_actions
from tasks.core.gate.indexes import INDEXES, check_index_weights, whole_indexes
from tasks.core.gate.profile_tables import check_profiles
from tasks.core.gate.restrictions import check_restrictions
from tasks.core.gate.rows import (
    SECURITY_KNOWN,
    Checked,
    Places,
    breaches,
    check_table,
    quarantine_rows,
    with_future,
    with_unknown,
    wrong_sums,
)
from tasks.core.gate.spellings import could_mean
from tasks.core.gate.strays import STRAY, could_be_lost, lost_actions, lost_names, stray_names

_BOND_FACTOR: Final = Rule(
    "bond_has_price_factor",
    "price_factor",
    "what a bond's quantity times price is multiplied by: 0.01 for face at percent of par",
)
_BOND_UNIT: Final = Rule(
    "bond_ordered_in_shares",
    "order_in",
    "shares, or nothing: a bond's quantity is its face amount, which is dollars already",
)
_HAS_CASH: Final = Rule("model_has_cash", "model_id", f"a model with the class {CASH}")
MODEL_WHOLE: Final = Rule("model_whole", "model_id", "a model without a broken row")
MODEL_KNOWN: Final = Rule("model_known", "model_id", "a model with good rows in the table model_targets")
_CLASS: Final = Rule("asset_class_in_model", "asset_class", "a class of the model")
POLICY_KNOWN: Final = Rule("policy_known", "policy_id", "a policy with a good row in the table policies")


@dataclass(frozen=True, slots=True)
class Gated:
    """What accounts may rely on, and the quarantine rows of the tables that belong to no account."""

    quarantine: pl.DataFrame
    securities: pl.Series
    prices: pl.DataFrame
    """``security_id, price_usd, price_factor`` (1 where none is given), ``is_cash`` (of the class cash)."""
    models: pl.Series
    classes: pl.Series
    """Asset classes that a model has a good row of."""
    policies: pl.Series
    lost_households: pl.DataFrame
    """``text, is_anyones`` of what broken rows of households have for a name."""
    managed: pl.DataFrame
    """``household_id, model_id`` of households with a good row."""
    strays: pl.DataFrame
    """``STRAY`` of restrictions whose account could not be read."""
    lost_actions: pl.DataFrame
    """``text, is_anyones`` of what broken rows of corporate actions have for a security, old or new."""

    indexes: pl.DataFrame
    """``INDEXES`` that may be held."""
    choices: pl.DataFrame
    """``model_id, security_id`` that may be bought."""
    everyones: pl.DataFrame
    """``security_id, rule`` of restrictions for every account."""

    @property
    def households(self) -> pl.Series:
        """Households with a good row."""
        return self.managed["household_id"]

    @property
    def priced_ids(self) -> pl.Series:
        """Securities that have a price."""
        return self.prices["security_id"]


def gate_globals(tables: Mapping[str, pl.DataFrame], places: Places, as_of: date) -> Gated:
    """Judge the tables that belong to no account.

    Parameters
    ----------
    tables
        Parsed rows by table name; optional tables may be absent. Of ``restrictions`` only rows without an account count.
    places
        Where the rows of each table stand, for messages.
    as_of
        No price may be of a later day.

    Raises
    ------
    InputRefused
        A restriction for every account is broken.
    """
    models = _check_models(tables["model_targets"])
    classes = models.good["asset_class"].unique().sort()
    securities = with_strange_classes(_check_securities(tables["securities"]), classes, tables.get("buy_list"))
    known = securities.good["security_id"]
    prices = with_unknown(check_table("prices", tables["prices"]), SECURITY_KNOWN, known)
    prices = with_future(prices, "price_date", as_of)
    policies = check_table("policies", tables["policies"])
    checked = [securities, prices, policies]
    of_models = []
    if "buy_list" in tables:
        listed = with_unknown(check_table("buy_list", tables["buy_list"]), SECURITY_KNOWN, known)
        of_models.append(_with_strays(listed, models.good))
    if "location_preferences" in tables:
        preferences = check_table("location_preferences", tables["location_preferences"])
        of_models.append(_with_strays(preferences, models.good))
    whole = _whole_models(models, of_models, securities)
    households = _check_households(tables, whole, policies.good)
    checked += [models, *of_models, households]
    strays = pl.DataFrame(schema=STRAY)
    if "restrictions" in tables:
        everyones = _check_for_everyone(tables["restrictions"], known, places)
        strays = _without_readable_account(everyones)
        checked.append(everyones)
    profiles = check_profiles(tables, as_of)
    if "ladder" in profiles:
        profiles["ladder"] = with_unknown(profiles["ladder"], MODEL_KNOWN, whole)
    checked += profiles.values()
    indexes = pl.DataFrame(schema=INDEXES)
    if "index_weights" in tables:
        weights = check_index_weights(tables["index_weights"], securities.good, as_of)
        indexes = whole_indexes(weights, securities.good)
        checked.append(weights)
    actions = None
    if "corporate_actions" in tables:
        actions = check_actions(tables["corporate_actions"])
        checked.append(actions)
    return Gated(
        quarantine=quarantine_rows(checked, places),
        securities=known,
        prices=_with_factors(prices.good, securities.good),
        models=whole,
        classes=classes,
        policies=policies.good["policy_id"],
        lost_households=lost_names(_broken_rows(households), "household_id", "model_id", whole),
        managed=households.good.select("household_id", "model_id"),
        strays=strays,
        lost_actions=lost_actions(None if actions is None else _broken_rows(actions)),
        indexes=indexes,
        choices=_good("buy_list", checked).select("model_id", "security_id"),
        everyones=_good("restrictions", checked).select("security_id", "rule"),
    )


def _good(table: str, checked: Sequence[Checked]) -> pl.DataFrame:
    """Good rows of a table that may be absent."""
    found = [each.good for each in checked if each.table == table]
    return found[0] if found else pl.DataFrame(schema=dtypes(table))


def _check_securities(parsed: pl.DataFrame) -> Checked:
    checked = check_table("securities", parsed)
    bonds = checked.good.filter(pl.col("security_type") == SecurityType.BOND)
    without_factor, in_dollars = bonds.filter(pl.col("price_factor").is_null()), bonds.filter(order_in=OrderUnit.USD)
    return checked.with_broken(breaches(without_factor, _BOND_FACTOR), breaches(in_dollars, _BOND_UNIT))


def _with_factors(prices: pl.DataFrame, securities: pl.DataFrame) -> pl.DataFrame:
    factors = securities.select(
        "security_id", pl.col("price_factor").fill_null(1), is_cash=pl.col("asset_class") == CASH
    )
    return prices.select("security_id", "price_usd").join(factors, on="security_id", maintain_order="left")


def _check_models(parsed: pl.DataFrame) -> Checked:
    checked = check_table("model_targets", parsed)
    lost = _names_in_broken_rows(checked, "model_id")
    whole = checked.good.filter(~pl.col("model_id").is_in(lost.implode()))
    partial = checked.good.filter(pl.col("model_id").is_in(lost.implode()))
    has_cash = (pl.col("asset_class") == CASH).any().over("model_id")
    return checked.with_broken(
        breaches(partial, MODEL_WHOLE),
        breaches(whole.filter(~has_cash), _HAS_CASH),
        wrong_sums(
            whole,
            rule="model_weights_sum_to_one",
            of="model_id",
            part="asset_class",
            weight="target_weight",
            within=WEIGHT_SUM_TOLERANCE,
        ),
    )


def _names_in_broken_rows(checked: Checked, column: str) -> pl.Series:
    """What the column names in rows that are broken."""
    return _broken_rows(checked)[column].drop_nulls().unique()


def _whole_models(models: Checked, of_models: Sequence[Checked], securities: Checked) -> pl.Series:
    """Models with good rows that no broken row of any of the tables could belong to, but for choices that lost only their security."""
    known = models.good["model_id"].unique(maintain_order=True)
    classes = models.good["asset_class"].unique()
    lost_securities = _names_in_broken_rows(securities, "security_id")
    lost = [lost_names(_broken_rows(models), "model_id", "asset_class", classes)]
    for each in of_models:
        broken = _broken_rows(each)
        if each.table == "buy_list":
            own = each.broken.filter(pl.col("rule") != SECURITY_KNOWN.name)
            is_own = pl.col("row_number").is_in(own["row_number"].implode())
            broken = broken.filter(is_own | ~pl.col("security_id").is_in(lost_securities.implode()))
        lost.append(lost_names(broken, "model_id", "asset_class", classes))
    return known.filter(~could_be_lost(known, pl.concat(lost)))


def _broken_rows(checked: Checked) -> pl.DataFrame:
    return checked.rows.join(checked.broken, on="row_number", how="semi")


def _without_readable_account(everyones: Checked) -> pl.DataFrame:
    """``STRAY`` of restrictions that name an account which cannot be read."""
    broken = everyones.broken.filter(pl.col("rule") == "account_id_readable")
    return stray_names("restrictions", everyones.rows.join(broken, on="row_number", how="semi"))


def _check_households(tables: Mapping[str, pl.DataFrame], models: pl.Series, policies: pl.DataFrame) -> Checked:
    schema = {**dtypes("households"), **LANDED_COLUMNS}
    checked = check_table("households", tables.get("households", pl.DataFrame(schema=schema)))
    checked = with_unknown(checked, MODEL_KNOWN, models)
    return with_unknown(checked, POLICY_KNOWN, policies["policy_id"])


def _with_strays(checked: Checked, models: pl.DataFrame) -> Checked:
    """Rows of a model that is not there, or of a class that it does not have."""
    checked = with_unknown(checked, MODEL_KNOWN, models["model_id"].unique())
    strays = checked.good.join(models, on=["model_id", "asset_class"], how="anti")
    return checked.with_broken(breaches(strays, _CLASS))


def _check_for_everyone(parsed: pl.DataFrame, securities: pl.Series, places: Places) -> Checked:
    """Restrictions without an account. One whose account could not be read is somebody's, not everyone's.

    One of a security that is not delivered forbids nothing, unless its security is a respelling of one that is.
    """
    checked = with_unknown(
        check_restrictions(parsed.filter(pl.col("account_id").is_null())), SECURITY_KNOWN, securities
    )
    strange = checked.rows.filter(~pl.col("security_id").is_in(securities.implode()))["security_id"]
    is_respelt = pl.col("security_id").is_in(could_mean(strange, securities)["text"].implode()).fill_null(value=False)
    foreign = checked.rows.filter(~is_respelt).select("row_number", rule=pl.lit(SECURITY_KNOWN.name))
    somebodys = checked.broken.filter(pl.col("rule") == "account_id_readable")
    fatal = checked.broken.join(somebodys, on="row_number", how="anti").join(
        foreign, on=["row_number", "rule"], how="anti"
    )
    if fatal.height:
        first = quarantine_rows([Checked("restrictions", checked.rows, fatal)], places)["message"][0]
        raise InputRefused(
            f"{first} The row restricts every account, and nothing may trade while it cannot be read.\n\n"
            "Hint: mend the row, or name the account it is meant for."
        )
    return checked
