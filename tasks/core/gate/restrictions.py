"""The rules of restrictions and tilts that look at more than one cell: what a ``hold_range`` must say, and what the others must not; and what each forbids.

Only rows whose cells are sound are looked at: a limit that cannot be read is that, and not also missing.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import polars as pl

from schemas.enums import RestrictionRule, Side
from schemas.landing_columns import dtypes
from tasks.core.gate.contract import Rule
from tasks.core.gate.corporate_actions import Actions, after_actions
from tasks.core.gate.rows import Checked, breaches, check_table, with_unknown
from tasks.core.gate.strays import could_be_lost, lost_actions

LIMITS: Final = ("min_quantity", "max_quantity", "min_value_usd", "max_value_usd")
_GIVEN: Final = Rule(
    "limit_given", ", ".join(LIMITS), f"one limit at least, where the rule is {RestrictionRule.HOLD_RANGE}"
)
_ALONE: Final = Rule("limit_of_hold_range", "rule", f"{RestrictionRule.HOLD_RANGE}, the only rule that has limits")
_QUANTITIES: Final = Rule("quantities_in_order", "min_quantity, max_quantity", "a least that is not above the most")
_VALUES: Final = Rule("values_in_order", "min_value_usd, max_value_usd", "a least that is not above the most")

CLASS_KNOWN: Final = Rule("asset_class_known", "asset_class", "a class that a model in the table model_targets has")
EXCLUDED_KNOWN: Final = Rule("excluded_known", "exclude", "securities with good rows in the table securities")

_FORBIDS: Final = {
    RestrictionRule.NO_TRADE: ("buy", "sell"),
    RestrictionRule.NO_BUY: ("buy",),
    RestrictionRule.NO_SELL: ("sell",),
    RestrictionRule.NO_NEW: ("new",),
    RestrictionRule.HOLD_RANGE: ("range",),
}
_FORBIDS_TOO: Final = {RestrictionRule.NO_TRADE: ("new", "range"), RestrictionRule.NO_BUY: ("new",)}
"""What a rule forbids that others are there for."""
_DONE_IN: Final = {"buy": {Side.BUY}, "new": {Side.BUY}, "sell": {Side.SELL}, "range": {Side.BUY, Side.SELL}}
"""The sides of orders that do what is forbidden."""


def check_restrictions(parsed: pl.DataFrame) -> Checked:
    """Restrictions and the rules they broke by themselves."""
    checked = check_table("restrictions", parsed)
    rows = checked.good
    is_range = pl.col("rule") == RestrictionRule.HOLD_RANGE
    has_limit = pl.any_horizontal(pl.col(LIMITS).is_not_null())
    broken = {
        _GIVEN: is_range & ~has_limit,
        _ALONE: ~is_range & has_limit,
        _QUANTITIES: is_range & (pl.col("min_quantity") > pl.col("max_quantity")),
        _VALUES: is_range & (pl.col("min_value_usd") > pl.col("max_value_usd")),
    }
    return checked.with_broken(*(breaches(rows.filter(condition), rule) for rule, condition in broken.items()))


def rules_about(side: Side) -> list[RestrictionRule]:
    """Rules that forbid something which an order of this side does."""
    return [rule for rule, acts in _FORBIDS.items() if any(side in _DONE_IN[act] for act in acts)]


def unforbidden(then: pl.DataFrame, tonight: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``then`` that forbade something which nothing forbids ``tonight``: no row of the account, and none for everyone.

    Both have ``account_id`` (null: everyone), ``security_id, rule``. Limits and last days are not compared: who changes one says so.
    """
    key = ["account_id", "security_id", "rule"]
    needed = _acts(then.select(key).unique(), _FORBIDS)
    there = pl.concat([_acts(tonight.select(key), each) for each in (_FORBIDS, _FORBIDS_TOO)])
    for_everyone = there.filter(pl.col("account_id").is_null())
    left = needed.join(there, on=["account_id", "security_id", "act"], how="anti", nulls_equal=True)
    left = left.join(for_everyone, on=["security_id", "act"], how="anti")
    return then.join(left, on=key, how="semi", nulls_equal=True, maintain_order="left")


def _acts(rows: pl.DataFrame, of_rules: Mapping[RestrictionRule, Sequence[str]]) -> pl.DataFrame:
    """The rows once for each ``act`` that their rule forbids."""
    pairs = [(str(rule), act) for rule, acts in of_rules.items() for act in acts]
    return rows.join(pl.DataFrame(pairs, {"rule": pl.String, "act": pl.String}, orient="row"), on="rule")


def bound_under_both(restrictions: pl.DataFrame, actions: Actions) -> pl.DataFrame:
    """Restrictions, and once more under the identifier that came of theirs."""
    swaps = actions.effective.filter(pl.col("new_security_id").is_not_null())
    renamed = after_actions(restrictions, swaps, pl.lit(value=True), ("min_quantity", "max_quantity"), ())
    return pl.concat([restrictions, renamed]).unique(maintain_order=True)


def closed_to_trade(actions: Actions, broken: pl.DataFrame, securities: pl.Series, trade_date: date) -> pl.DataFrame:
    """Restrictions for everyone: an order made on tonight's shares would trade in those of after an action, or in nobody knows what.

    Parameters
    ----------
    actions
        Those after the as-of date and up to ``trade_date`` count.
    broken
        Landed rows of the actions that were set aside: they close what they could be about, and every security where that cannot be read.
    securities
        What can be traded.
    trade_date
        When orders trade.
    """
    near = actions.rows.filter(pl.col("effective_date").is_between(actions.as_of, trade_date, closed="right"))
    lost = securities.filter(could_be_lost(securities, lost_actions(broken))) if broken.height else securities.clear()
    names = pl.concat([near["security_id"], near["new_security_id"], lost])
    closed = pl.DataFrame({"security_id": names.drop_nulls().unique().sort()})
    schema = dtypes("restrictions")
    rows = closed.with_columns(rule=pl.lit(str(RestrictionRule.NO_TRADE)))
    return pl.concat([pl.DataFrame(schema=schema), rows], how="diagonal").select(schema.keys())


def check_tilts(checked: Checked, classes: pl.Series, securities: pl.Series, actions: Actions | None) -> Checked:
    """Tilts and the rules they broke, of which nobody else knows: a class of no model, and excluded what there is not.

    A security may be excluded under the identifier that it had before a corporate action.
    """
    return with_unknown_exclusions(with_unknown(checked, CLASS_KNOWN, classes), securities, actions)


def with_unknown_exclusions(checked: Checked, securities: pl.Series, actions: Actions | None) -> Checked:
    """The rule broken by rows whose ``exclude`` names what there is not, tonight or before a corporate action."""
    known = securities if actions is None else pl.concat([securities, actions.effective["security_id"]])
    named = _each_excluded(checked.good)
    strange = named.filter(~pl.col("security_id").is_in(known.implode()))
    return checked.with_broken(breaches(checked.rows.join(strange, on="row_number", how="semi"), EXCLUDED_KNOWN))


def exclusions(*tables: pl.DataFrame) -> pl.DataFrame:
    """What rows of tilts, and of classes that are held as an index, exclude, as restrictions of their accounts."""
    schema = dtypes("restrictions")
    told = pl.concat([table.select("account_id", "exclude") for table in tables])
    rows = _each_excluded(told).select(
        "account_id", "security_id", rule=pl.lit(str(RestrictionRule.NO_BUY)), until_date=pl.lit(None, pl.Date)
    )
    return pl.concat([pl.DataFrame(schema=schema), rows.unique(maintain_order=True)], how="diagonal").select(
        schema.keys()
    )


def _each_excluded(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that exclude something, once for each ``security_id``."""
    told = rows.filter(pl.col("exclude").is_not_null())
    return told.with_columns(security_id=pl.col("exclude").str.split("|")).explode("security_id")
