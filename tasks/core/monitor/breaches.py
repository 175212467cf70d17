"""One look at drift on fresh prices: which accounts are newly out of band, and which are armed again.

1. Values, weights, drift, bands and triggers are the night's own (``tasks.core.drift.drift``), so that a look at the prices of a night
   finds what that night found. So is what keeps an account from being traded (``outcomes.with_standing``): frozen, closed, cooling
   down, without a target, fills that its holdings do not show. An account with an open proposal waits for people.
2. Holdings are those that the night accepted, and what is known to be filled since: bought adds to them, and takes cash.
3. nearness = max over classes of |drift| / band. A breach lasts until nearness is below ``rearm`` and cash is not negative, or
   until a night after it found the account in band. While it lasts the account is not new again, however often it crosses.
4. What the night found out of band, the night has handled. A model that changed since is new whatever else is known.

Known limits: an account with a holding that the fresh prices lack, and the household it is managed with, is not looked at.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import polars as pl

from schemas.enums import Trigger
from tasks.core.drift import account_drift, drift_by_class, household_drift
from tasks.core.facts import Facts, account_parameters, model_hashes, priced_securities, usd, with_own_classes
from tasks.core.propose import HOUSEHOLD, with_standing

HELD: Final = ("account_id", "security_id", "quantity")
SEEN: Final = ("account_id", "triggers", "nearness", "is_overdrawn", "is_free", "is_changed", "model_hash", "was_out")
NEW: Final = ("account_id", "causes", "model_hash")
_OUT: Final = (Trigger.DRIFT, Trigger.CASH)


@dataclass(frozen=True, slots=True)
class KnownToday:
    """What is known of a shard's accounts beside its facts.

    ``night``: the night's ``account_drift``. ``fills``: ``fills_shown.MISSING``. ``busy``: ``account_id`` of accounts with an open
    proposal. ``night_models``: ``facts.model_hashes`` of the night. ``handled``: ``account_id, model_hash`` that runs were started
    on since. ``open_orders``: ``reconcile.waiting_orders`` of the night.
    """

    night: pl.DataFrame
    fills: pl.DataFrame
    busy: pl.DataFrame
    night_models: pl.DataFrame
    handled: pl.DataFrame
    open_orders: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Verdict:
    """``new``: columns ``NEW``, sorted by account. ``cleared``: ``breach_id`` of breaches that are over."""

    new: pl.DataFrame
    cleared: pl.Series


def seen_accounts(facts: Facts, known: KnownToday, *, as_of: date) -> pl.DataFrame:
    """What a look sees of each account of a shard that it can value.

    Parameters
    ----------
    facts
        The night's facts with fresh prices; of ``lots`` only ``HELD`` is read.
    known
        What else is known of them.
    as_of
        The day of the look.

    Returns
    -------
    pl.DataFrame
        Columns ``SEEN``, sorted by account. ``nearness`` is null where no class has a band or a weight; ``is_free``: a run
        would propose trades for it; ``was_out``: the night found it out of band.
    """
    held = held_values(facts, known.fills)
    priced = _without_unpriced(facts, held)
    if priced.height < facts.accounts.height:
        held = held.join(priced, on="account_id", how="semi")
    facts = replace(facts, accounts=priced, cash=with_fills(facts.cash, known.fills))
    accounts = account_parameters(facts)
    by_class = drift_by_class(held, accounts, facts.model_targets)
    households = household_drift(by_class, accounts, facts.model_targets)
    models = models_now(accounts, facts, known)
    changed = models.filter("is_changed").select("account_id")
    by_account = account_drift(by_class, accounts, households, due=(), changed_models=changed)
    standing = with_standing(
        accounts,
        by_account,
        facts.last_exports,
        facts.members,
        models=facts.model_targets["model_id"].unique(),
        waiting=_waiting(known.fills),
        open_orders=known.open_orders,
        as_of=as_of,
    )
    return (
        standing.with_columns(is_busy=pl.col("account_id").is_in(known.busy["account_id"].implode()))
        .with_columns(is_busy=_in_household(pl.col("is_busy")))
        .join(_nearness(by_class, households, accounts), on="account_id", how="left")
        .join(models, on="account_id", how="left")
        .join(known.night.select("account_id", was_out=is_out("triggers")), on="account_id", how="left")
        .with_columns(
            pl.col("was_out").fill_null(value=False),
            is_overdrawn=_in_household(pl.col("is_owing")),
            is_free=pl.col("outcome").is_null() & ~pl.col("is_busy"),
            is_changed=_has("triggers", Trigger.MODEL_CHANGE),
        )
        .select(SEEN)
        .sort("account_id")
    )


def held_values(facts: Facts, fills: pl.DataFrame) -> pl.DataFrame:
    """``account_id, asset_class, value_usd`` of each lot and fill of ``facts.accounts``; value null where there is no price."""
    securities = priced_securities(facts).select("security_id", "asset_class", "price_usd", "price_factor")
    held = facts.lots.select(HELD)
    if fills.height:
        exact = pl.col("quantity").cast(fills.schema["quantity"])
        held = pl.concat([held.with_columns(exact), fills.select(HELD)])
    return (
        held.join(facts.accounts.select("account_id"), on="account_id", how="semi")
        .join(securities, on="security_id", how="left", maintain_order="left")
        .pipe(with_own_classes, facts.index_members)
        .select("account_id", "asset_class", value_usd=usd(pl.col("quantity"), pl.col("price_usd")))
    )


def verdict(seen: pl.DataFrame, breaches: pl.DataFrame, *, rearm: float) -> Verdict:
    """Which accounts are newly out of band, and which breaches are over.

    Parameters
    ----------
    seen
        ``seen_accounts``; every account with a breach that lasts is among them, or its breach goes on.
    breaches
        ``breach_id, account_id, is_before_night``: those that last, at most one an account. ``is_before_night``: a night over all
        accounts began after it.
    rearm
        Share of the band below which an account is armed again.
    """
    is_near = pl.col("nearness") >= rearm
    is_calm = (~is_near & ~pl.col("is_overdrawn")) | (pl.col("is_before_night") & ~pl.col("was_out"))
    is_replaced = pl.col("is_changed") & pl.col("is_free")
    over = breaches.join(seen, on="account_id").filter((is_calm | is_replaced).fill_null(value=False))
    lasting = breaches.join(over, on="breach_id", how="anti")
    is_lasting = pl.col("account_id").is_in(lasting["account_id"].implode())
    is_news = (is_out("triggers") & ~pl.col("was_out") & ~is_lasting) | pl.col("is_changed")
    new = seen.filter(is_news & pl.col("is_free")).select("account_id", "model_hash", causes="triggers")
    return Verdict(new.select(NEW).sort("account_id"), over["breach_id"].sort())


def _without_unpriced(facts: Facts, held: pl.DataFrame) -> pl.DataFrame:
    """The accounts without those that hold what has no price, and without the households these are managed with."""
    unpriced = held.filter(pl.col("value_usd").is_null()).select("account_id").unique()
    if unpriced.is_empty():
        return facts.accounts
    lost = facts.accounts.join(unpriced, on="account_id", how="semi").select("household_id").drop_nulls()
    joint = lost.join(facts.households, on="household_id", how="semi").unique()
    return facts.accounts.join(unpriced, on="account_id", how="anti").join(joint, on="household_id", how="anti")


def with_fills(cash: pl.DataFrame, fills: pl.DataFrame) -> pl.DataFrame:
    """Cash without what was paid, and with what was earned, by fills."""
    if fills.is_empty():
        return cash
    moved = fills.group_by("account_id").agg(moved=pl.col("value_usd").sum())
    settled = pl.col("settled_usd").cast(moved.schema["moved"]) + pl.col("moved").fill_null(0)
    return cash.join(moved, on="account_id", how="left").with_columns(settled_usd=settled).drop("moved")


def models_now(accounts: pl.DataFrame, facts: Facts, known: KnownToday) -> pl.DataFrame:
    """``account_id, model_hash, is_changed``: the targets now, and whether they are others than a run has looked at."""
    then = known.night_models.select("model_id", night_hash="model_hash")
    handled = known.handled.select("account_id", handled_hash="model_hash")
    last = pl.coalesce("handled_hash", "night_hash")
    return (
        accounts.select("account_id", "model_id")
        .join(model_hashes(facts.model_targets), on="model_id")
        .join(then, on="model_id", how="left")
        .join(handled, on="account_id", how="left")
        .select("account_id", "model_hash", is_changed=(pl.col("model_hash") != last).fill_null(value=False))
    )


def _waiting(fills: pl.DataFrame) -> pl.DataFrame:
    reason = pl.lit("fills_not_shown")
    nothing = pl.lit(None, pl.Int64)
    return fills.select("account_id").unique().with_columns(waiting_reason=reason, waiting_sessions=nothing)


def _nearness(by_class: pl.DataFrame, households: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id, nearness``: of the household where the account is managed with others."""
    ratio = pl.col("drift").abs() / pl.col("band")
    nearest = pl.when(pl.col("drift") == 0).then(0.0).otherwise(ratio).filter(pl.col("band").is_not_null()).max()
    alone = by_class.group_by("account_id").agg(alone=nearest)
    jointly = households.group_by(pl.col("household_id").alias(HOUSEHOLD)).agg(jointly=nearest)
    return (
        accounts.select("account_id", HOUSEHOLD)
        .join(alone, on="account_id", how="left")
        .join(jointly, on=HOUSEHOLD, how="left")
        .select("account_id", nearness=pl.coalesce("jointly", "alone"))
    )


def _in_household(flag: pl.Expr) -> pl.Expr:
    """True of an account of a managed household where it is of any of its accounts."""
    return pl.when(pl.col(HOUSEHOLD).is_null()).then(flag).otherwise(flag.any().over(HOUSEHOLD))


def is_out(triggers: str) -> pl.Expr:
    """Whether the triggers say out of band: a class, or cash."""
    return pl.any_horizontal(_has(triggers, word) for word in _OUT)


def _has(triggers: str, word: Trigger) -> pl.Expr:
    return pl.col(triggers).str.split("|").list.contains(str(word))
