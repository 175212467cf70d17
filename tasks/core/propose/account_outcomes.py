"""The one outcome of every account: settled without solving, found by solving, or stopped at the gate."""

from datetime import date
from typing import Final

import polars as pl

from schemas.enums import AccountStatus, Outcome, Reason, Trigger
from tasks.core.propose.solved import Solved
from tasks.core.solver import CANNOT_RAISE_CASH, TRADED

HOUSEHOLD: Final = "managed_household_id"
WAITING: Final = ("waiting_reason", "waiting_sessions", "open_orders", "open_sessions")
"""Pairs: why an account waits, and for how many trading days."""


def with_standing(
    accounts: pl.DataFrame,
    account_drift: pl.DataFrame,
    last_exports: pl.DataFrame,
    members: pl.DataFrame,
    *,
    models: pl.Series,
    waiting: pl.DataFrame,
    open_orders: pl.DataFrame,
    as_of: date,
) -> pl.DataFrame:
    """Accounts with NAV and triggers, and ``outcome``/``reason`` where they are settled without solving; null: to be solved.

    An account whose model is not among ``models``, those that have targets, is never traded: it would be sold to cash. One
    exported for this date already is cooling down whatever its policy: its holdings do not show those trades yet. So is one
    whose holdings do not show the reported fills of its orders; its household waits with it. An account is blocked, and its
    household, while orders of it are open: once traded already, for all that is known. After ``open_order_sessions`` of its policy
    either is overdue, which is for a person to look at.

    A managed household trades as one: while an account of it is quarantined or waits, all wait. An account that is frozen,
    closed or without investable value delays no other account: ``is_locked`` is true where it stays as it is while others trade.

    Parameters
    ----------
    accounts
        ``facts.account_parameters``.
    account_drift
        The table of that name.
    last_exports, members
        Of the shard's facts.
    models
        Models that have targets.
    waiting
        ``reconcile.waiting``: accounts whose holdings are behind, and why.
    open_orders
        ``reconcile.waiting_orders``: accounts with open orders, which, and for how long.
    as_of
        The night.
    """
    ranked = (
        accounts.join(account_drift.select("account_id", "nav_usd", "triggers"), on="account_id", how="left")
        .join(last_exports.select("account_id", "exported_date"), on="account_id", how="left")
        .join(waiting, on="account_id", how="left")
        .join(open_orders, on="account_id", how="left")
        .join(_landed_counts(members), on=HOUSEHOLD, how="left")
    )
    is_joint = pl.col(HOUSEHOLD).is_not_null()
    settled = ranked.with_columns(_unsolved_outcomes(models, as_of))
    is_traded = is_joint & pl.col("outcome").is_null().any().over(HOUSEHOLD)
    return (
        settled.with_columns(is_locked=is_traded & pl.col("outcome").is_not_null())
        .drop("exported_date", "landed_count", *WAITING)
        .sort("account_id")
    )


def _landed_counts(members: pl.DataFrame) -> pl.DataFrame:
    """How many accounts of each household were landed, quarantined or not."""
    households = members.filter(pl.col("household_key").str.starts_with("h "))
    return households.group_by(pl.col("household_key").str.strip_prefix("h ").alias(HOUSEHOLD)).agg(
        landed_count=pl.col("account_id").n_unique()
    )


def _unsolved_outcomes(models: pl.Series, as_of: date) -> list[pl.Expr]:
    """``outcome`` and ``reason`` of what needs no solving: the first rule that holds."""
    is_joint = pl.col(HOUSEHOLD).is_not_null()
    passed = pl.len().over(HOUSEHOLD)
    nav = (
        pl.when(is_joint)
        .then(pl.min_horizontal("nav_usd", pl.col("nav_usd").sum().over(HOUSEHOLD)))
        .otherwise("nav_usd")
    )
    exported = pl.when(is_joint).then(pl.col("exported_date").max().over(HOUSEHOLD)).otherwise("exported_date")
    since = (pl.lit(as_of) - exported).dt.total_days()
    waits = pl.lit([str(Trigger.DRIFT), str(Trigger.CALENDAR)])
    is_waiting = (since < pl.col("cool_down_days")) & (
        pl.col("triggers").str.split("|").list.set_difference(waits).list.len() == 0
    )
    unshown, unshown_sessions, orders, open_sessions = (_of_household(name) for name in WAITING)
    limit = pl.col("open_order_sessions")
    is_overdue = (unshown_sessions >= limit).fill_null(value=False)
    behind = pl.when(is_overdue).then(unshown.str.replace("fills_not_shown", "fills_overdue")).otherwise(unshown)
    overdue, still_open = pl.lit(str(Reason.ORDERS_OVERDUE)), pl.lit(str(Reason.ORDERS_OPEN))
    standing = pl.when((open_sessions >= limit).fill_null(value=False)).then(overdue).otherwise(still_open)
    is_sent_tonight = (since <= 0).fill_null(value=False)
    rules = [
        (pl.col("status") == AccountStatus.FROZEN, Outcome.FROZEN, pl.lit("account_frozen")),
        (pl.col("status") == AccountStatus.CLOSED, Outcome.FROZEN, pl.lit("account_closed")),
        (~pl.col("model_id").is_in(models.implode()), Outcome.BLOCKED, pl.lit(str(Reason.NO_TARGET))),
        (is_joint & (passed < pl.col("landed_count")), Outcome.BLOCKED, pl.lit(str(Reason.MEMBER_NOT_TRADED))),
        (orders.is_not_null() & ~is_sent_tonight, Outcome.BLOCKED, pl.format("{}: {}", standing, orders)),
        (behind.is_not_null(), Outcome.COOLING_DOWN, behind),
        (nav <= 0, Outcome.BLOCKED, pl.lit(str(Reason.NO_INVESTABLE_VALUE))),
        (pl.col("triggers") == "", Outcome.IN_BAND, pl.lit("no_trigger")),
        (since <= 0, Outcome.COOLING_DOWN, pl.lit("exported_for_this_date")),
        (is_waiting, Outcome.COOLING_DOWN, pl.format("cool_down: {} days since the last export", since)),
    ]
    outcome, reason = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for condition, word, why in reversed(rules):
        holds = condition.fill_null(value=False)
        outcome = pl.when(holds).then(pl.lit(str(word))).otherwise(outcome)
        reason = pl.when(holds).then(why).otherwise(reason)
    return [outcome.alias("outcome"), reason.alias("reason")]


def _of_household(column: str) -> pl.Expr:
    """The account's value; in a household that is managed together that of the account that has waited longest, then of the first."""
    sessions = WAITING[WAITING.index(column) | 1]
    keys = pl.struct(-pl.col(sessions).fill_null(-1), "account_id")
    first = pl.col(column).sort_by(keys).drop_nulls().first().over(HOUSEHOLD)
    return pl.when(pl.col(HOUSEHOLD).is_not_null()).then(first).otherwise(column)


def outcomes(standing: pl.DataFrame, solved: Solved, reasons: pl.DataFrame, gate: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table ``account_outcomes``: exactly one for every account pulled; sorted.

    Parameters
    ----------
    standing
        ``with_standing``; accounts that passed the gate.
    solved
        Those of them that were solved, and accounts of their households that are locked.
    reasons
        ``class_reasons``.
    gate
        ``account_id, outcome, reason`` of those that went no further: quarantined, or waiting for a file.
    """
    settled = standing.filter(pl.col("outcome").is_not_null()).select("account_id", "outcome", "reason")
    to_solve = standing.filter(pl.col("outcome").is_null())
    tried = _solved_outcomes(solved, to_solve.select("account_id", "triggers"), reasons)
    return pl.concat([settled, tried, gate.select(settled.columns)]).sort("account_id")


def _solved_outcomes(solved: Solved, triggers: pl.DataFrame, reasons: pl.DataFrame) -> pl.DataFrame:
    codes = reasons.group_by("account_id").agg(codes=pl.col("code").unique().sort().str.join("|"))
    owed = pl.format("{}: {} USD short", pl.lit(str(Reason.CANNOT_RAISE_CASH)), pl.col("shortfall_usd").round(2))
    is_traded, is_stuck = pl.col("status") == TRADED, pl.col("status") == CANNOT_RAISE_CASH
    blocked, no_trade = pl.lit(str(Outcome.BLOCKED)), pl.lit(str(Outcome.NO_TRADE))
    untraded = pl.col("codes").fill_null("nothing_worth_trading")
    return (
        solved.accounts.join(triggers, on="account_id")
        .join(codes, on="account_id", how="left")
        .select(
            "account_id",
            outcome=pl.when(is_traded)
            .then(pl.lit(str(Outcome.PROPOSED)))
            .when(is_stuck)
            .then(blocked)
            .otherwise(no_trade),
            reason=pl.when(is_traded).then("triggers").when(is_stuck).then(owed).otherwise(untraded),
        )
    )
