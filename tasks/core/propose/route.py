"""Where each proposal goes: to a person, or straight to approval by its policy's limits."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.enums import LookReason, Route, Trigger
from tasks.core.gate import UNUSUAL

TURNOVER: Final = "turnover_above_limit"
TAX: Final = "tax_above_limit"
PERSON: Final = "policy_asks_for_a_person"
FOUR_EYES: Final = "four_eyes"
HOUSEHOLD: Final = "household_reviewed"
"""Another proposal of the household that is managed together goes to a person, and this one with it."""
FIRST_SEEN: Final = "first_seen"
"""Nothing but the account's own rows of tonight says what it holds."""

LARGE_TAX_WEIGHT: Final = 0.005
"""Tax above this share of NAV is worth a look."""
LARGE_TURNOVER: Final = 0.10
ROUNDING: Final = 1e-9
"""Added to a logarithm: that of a power of ten may come out just below."""
LEAST_IMPROVEMENT: Final = 0.005
"""Trades that bring one-way drift down by less are worth a look."""

POINTS: Final = {
    LookReason.HOLD: 40,
    LookReason.SHORT_CASH: 30,
    LookReason.ANOMALY: 30,
    LookReason.LARGE_TAX: 25,
    LookReason.NEW_MODEL: 20,
    LookReason.LARGE_TURNOVER: 15,
    LookReason.LOW_IMPROVEMENT: 10,
    LookReason.FIRST_TRADE: 5,
    LookReason.HARVEST: 5,
    LookReason.TILT_CUT: 15,
    LookReason.INDEX_NOT_HELD: 15,
}
"""What each reason to look adds to the priority."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Accounts that something is known of beyond their trades; null: nothing is.

    ``held``: somebody held the account's last undecided proposal. ``exported``: something was exported for it before.
    """

    unusual: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    exported: frozenset[str] | None = None
    vouched: frozenset[str] | None = None
    """Checked against the custodian's totals or an earlier night."""
    cut: frozenset[str] = frozenset()
    """With a tilt that is not done as asked."""
    without_index: frozenset[str] = frozenset()
    """That should hold an index and do not."""


def noticed_accounts(
    anomalies: pl.DataFrame,
    held: pl.DataFrame,
    last_exports: pl.DataFrame,
    vouched: pl.DataFrame,
    *,
    tilted_targets: pl.DataFrame,
    index_baskets: pl.DataFrame,
) -> Noticed:
    """From the tables ``anomalies``, ``held_accounts``, ``last_exports``, ``vouched``, ``tilted_targets`` and ``index_baskets``."""
    unusual = anomalies.filter(pl.col("score").abs() > UNUSUAL)
    noted = (each.filter(pl.col("note").is_not_null()) for each in (tilted_targets, index_baskets))
    known = (unusual, held, last_exports, vouched, *noted)
    return Noticed(*(frozenset(frame["account_id"].to_list()) for frame in known))


def with_look(proposals: pl.DataFrame, known: Noticed) -> pl.DataFrame:
    """Proposals with ``look_reasons`` and ``priority``: points of the reasons, and 5 for each power of ten of USD traded."""
    nav, account = pl.col("nav_usd").cast(pl.Float64), pl.col("account_id")
    conditions = {
        LookReason.HOLD: account.is_in(sorted(known.held)),
        LookReason.SHORT_CASH: pl.col("cash_before_usd") < pl.col("cash_floor_usd"),
        LookReason.ANOMALY: account.is_in(sorted(known.unusual)),
        LookReason.LARGE_TAX: pl.col("est_tax_usd").cast(pl.Float64) > LARGE_TAX_WEIGHT * nav,
        LookReason.NEW_MODEL: _has_trigger(Trigger.MODEL_CHANGE),
        LookReason.LARGE_TURNOVER: pl.col("turnover") > LARGE_TURNOVER,
        LookReason.LOW_IMPROVEMENT: pl.col("one_way_drift_before") - pl.col("one_way_drift_after") < LEAST_IMPROVEMENT,
        LookReason.FIRST_TRADE: pl.lit(value=False)
        if known.exported is None
        else account.is_in(sorted(known.exported)).not_(),
        LookReason.HARVEST: _has_trigger(Trigger.HARVEST),
        LookReason.TILT_CUT: account.is_in(sorted(known.cut)),
        LookReason.INDEX_NOT_HELD: account.is_in(sorted(known.without_index)),
    }
    words = [pl.when(condition).then(pl.lit(str(word))) for word, condition in conditions.items()]
    points = [pl.when(condition).then(POINTS[word]).otherwise(0) for word, condition in conditions.items()]
    size = 5 * (pl.max_horizontal(pl.col("gross_value_usd").cast(pl.Float64), 1.0).log10() + ROUNDING).floor()
    return proposals.with_columns(
        look_reasons=pl.concat_str(words, separator="|", ignore_nulls=True),
        priority=(pl.sum_horizontal(points) + size).cast(pl.Int64),
    )


def _has_trigger(trigger: Trigger) -> pl.Expr:
    return pl.col("triggers").str.split("|").list.contains(trigger.value)


def with_route(
    proposals: pl.DataFrame,
    limits: pl.DataFrame,
    always: Collection[LookReason] = (),
    vouched: frozenset[str] | None = None,
) -> pl.DataFrame:
    """Proposals with ``route``, ``route_reasons`` and ``approvals_needed``; row order kept.

    ``limits``: account_id, household_id, auto_approve_max_turnover, auto_approve_max_tax_usd, four_eyes_above_usd. A null limit of
    the first two means always a person; orders above the third need two approvers. An account with a reason to look that is among
    ``always``, or with a tilt or an index that is not as asked, goes to a person too, and so does one that is not among ``vouched``: policy approves only what was checked. Proposals
    of a household (null: alone) are one decision: all go to a person where one does, and it is the sum of their orders that four
    eyes are needed above.
    """
    unit = pl.coalesce("household " + pl.col("household_id"), "account " + pl.col("account_id"))
    worth = pl.col("gross_value_usd").sum().over(unit).cast(pl.Float64)
    needs_two = (worth > pl.col("four_eyes_above_usd")).fill_null(value=False).any().over(unit)
    is_asked = pl.col("auto_approve_max_turnover").is_null() | pl.col("auto_approve_max_tax_usd").is_null()
    looks = pl.col("look_reasons").str.split("|")
    conditions = {
        PERSON: is_asked,
        TURNOVER: pl.col("turnover") > pl.col("auto_approve_max_turnover"),
        TAX: pl.col("est_tax_usd").cast(pl.Float64) > pl.col("auto_approve_max_tax_usd"),
        FOUR_EYES: needs_two,
        FIRST_SEEN: pl.lit(value=False) if vouched is None else pl.col("account_id").is_in(sorted(vouched)).not_(),
        **{
            str(reason): looks.list.contains(str(reason))
            for reason in LookReason
            if reason in {*always, LookReason.TILT_CUT, LookReason.INDEX_NOT_HELD}
        },
    }
    words = [pl.when(condition).then(pl.lit(word)) for word, condition in conditions.items()]
    return (
        proposals.join(limits, on="account_id", how="left", maintain_order="left")
        .with_columns(
            route_reasons=pl.concat_str(words, separator="|", ignore_nulls=True),
            approvals_needed=pl.when(needs_two).then(2).otherwise(1).cast(pl.Int64),
        )
        .with_columns(
            route_reasons=pl.when((pl.col("route_reasons") == "") & (pl.col("route_reasons") != "").any().over(unit))
            .then(pl.lit(HOUSEHOLD))
            .otherwise("route_reasons")
        )
        .with_columns(
            route=pl.when(pl.col("route_reasons") == "")
            .then(pl.lit(str(Route.AUTO)))
            .otherwise(pl.lit(str(Route.REVIEW)))
        )
        .drop("auto_approve_max_turnover", "auto_approve_max_tax_usd", "four_eyes_above_usd")
    )
