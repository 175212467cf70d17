"""Each account's twin, a night further: what it holds is carried over, paid into, traded by the reference policy with the night's own engine, and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from schemas.enums import Calendar
from schemas.errors import WrongUsage
from schemas.landing_columns import dtypes
from schemas.policy import Policy
from schemas.stored import INTERNAL
from schemas.tables import USD
from tasks.core.drift import drift_by_class, one_way
from tasks.core.facts import (
    Facts,
    account_parameters,
    household_key,
    priced_securities,
    valued_lots,
    with_policy_defaults,
)
from tasks.core.performance import (
    Night,
    after_splits,
    begun_states,
    book_trades,
    in_new_year,
    taxed_accounts,
    twin_rows,
    with_moved,
    with_tax,
    year_taxes,
)
from tasks.core.propose import order_rows, realized_by_account
from tasks.performance.before import NightRecord, carried_lots, table_columns
from tasks.propose import measure_frames, solve_ready_accounts
from tasks.pull import run_ref
from warehouse.ledger import RunRow

TWINS: Final = ("twins", "twin_state", "twin_lots")
NEVER: Final = "never"
CALENDAR: Final = "calendar"
REFERENCE: Final = "the-reference"
"""The policy's name in the twins' facts."""
BY_CALENDAR: Final = Policy(calendar=Calendar.QUARTERLY, is_threshold_triggered=False)
_RATES: Final = ("account_id", "tax_status", "short_term_rate", "long_term_rate")


@dataclass(frozen=True)
class TwinNight:
    """What a night has for twins: its run, the facts of its shards, the account's own rows, and what the twins were."""

    record: NightRecord
    row: RunRow
    night: Night
    facts: Sequence[Facts]
    before: Mapping[str, pl.DataFrame]
    own: pl.DataFrame
    """Rows of ``performance`` tonight."""
    moved: pl.DataFrame
    splits: pl.DataFrame


def twin_tables(given: TwinNight) -> dict[str, pl.DataFrame]:
    """The tables ``TWINS`` of the night; empty where the settings want none."""
    policy = given.record.at.settings.twin_policy
    parts = [{name: pl.DataFrame(schema=table_columns(name)) for name in TWINS}]
    if policy:
        parts += [_of_facts(given, facts, policy) for facts in given.facts]
    return {name: pl.concat([part[name] for part in parts]) for name in TWINS}


def _of_facts(given: TwinNight, facts: Facts, policy: str) -> dict[str, pl.DataFrame]:
    """The twins of a shard's accounts."""
    accounts = account_parameters(facts)
    mine = given.own.join(accounts.select("account_id"), on="account_id", how="semi")
    known = _states_before(given, mine, policy)
    new = mine.join(known, on="account_id", how="anti")
    day = pl.lit(given.night.day)
    begun = begun_states(
        facts.accounts.join(new, on="account_id", how="semi", maintain_order="left")
        .join(given.night.cash, on="account_id", how="left", maintain_order="left")
        .with_columns(night_date=day)
    )
    own_lots = facts.lots.join(begun, on="account_id", how="semi").with_columns(night_date=day)
    kept, due = _lots_carried_over(given, known)
    moved = given.moved.join(due, on="account_id", how="left").with_columns(
        moved_usd=pl.col("moved_usd") + pl.col("due_usd").fill_null(0)
    )
    last = known.with_columns(night_date=day)
    is_new_year = pl.col("since_date").dt.year() != given.night.day.year
    rates = accounts.select(_RATES)
    tax_then = year_taxes(known.filter(~is_new_year), rates)
    names = list(table_columns("twin_state"))
    states = pl.concat(
        [
            begun.select(names),
            with_moved(
                pl.concat(
                    [in_new_year(last.filter(is_new_year)).select(names), last.filter(~is_new_year).select(names)]
                ),
                moved.drop("due_usd"),
            ).select(names),
        ]
    ).sort("account_id")
    columns = list(table_columns("twin_lots"))
    lots = pl.concat([own_lots.select(columns), kept.with_columns(night_date=day).select(columns)])
    twins = _twin_facts(facts, accounts, lots, states, policy)
    drift = drift_by_class(valued_lots(twins, priced_securities(twins)), account_parameters(twins), twins.model_targets)
    lots, states, orders = _after_trades(given, twins, lots, states, policy)
    taxed_then = pl.concat([tax_then, year_taxes(begun, rates)])
    with_year = with_tax(states, rates, taxed_then)
    after = _twin_facts(facts, accounts, lots, states, policy)
    valued = valued_lots(after, priced_securities(after))
    worth = valued.group_by("account_id").agg(lots_usd=pl.col("value_usd").sum())
    owed = taxed_accounts(account_parameters(replace(after, trade_date=after.as_of)), valued, facts.as_of)
    drifts = drift.group_by("account_id").agg(twin_drift=one_way()).join(_own_drift(given), on="account_id", how="left")
    rows = twin_rows(
        with_year.join(orders, on="account_id", how="left").with_columns(
            pl.col("order_count").fill_null(0).cast(pl.Int64), twin_policy=pl.lit(policy)
        ),
        worth,
        owed.select("account_id", twin_owed_usd="liquidation_tax_usd"),
        given.night.accounts.select("account_id", own_value_usd="value_usd", own_owed_usd="liquidation_tax_usd"),
        drifts,
    )
    return {"twins": rows, "twin_state": with_year.select(names), "twin_lots": lots.select(columns)}


def _states_before(given: TwinNight, own: pl.DataFrame, policy: str) -> pl.DataFrame:
    """States of the night that each account's row stands on, under the same policy; with ``since_date`` and ``since_run_id``."""
    same = given.before["twins"].filter(pl.col("twin_policy") == policy).select("account_id", "night_date")
    stands = own.select("account_id", "since_date", "since_run_id", night_date="since_date").drop_nulls()
    states = given.before["twin_state"].join(same, on=["account_id", "night_date"], how="semi")
    return states.join(stands, on=["account_id", "night_date"])


def _lots_carried_over(given: TwinNight, known: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The twins' lots of the night before in tonight's terms, and ``account_id, due_usd`` of what mergers are to bring them."""
    lots = [pl.DataFrame(schema=INTERNAL["carried_lots"])]
    due = [pl.DataFrame(schema={"account_id": pl.String, "due_usd": USD})]
    before = given.before["twin_lots"]
    for (run_id,), some in known.sort("since_run_id").group_by("since_run_id", maintain_order=True):
        then = next(row for row in given.record.known.rows if row.run_id == run_id)
        mine = before.join(some, on=["account_id", "night_date"], how="semi").select(INTERNAL["carried_lots"].keys())
        found = carried_lots(given.record, then, given.row, mine)
        held = after_splits(found.lots.select(INTERNAL["carried_lots"].keys()), given.splits)
        lots.append(held.filter(pl.col("quantity") > 0))
        due.append(found.due.select("account_id", "due_usd"))
    return pl.concat(lots), pl.concat(due)


def _twin_facts(facts: Facts, accounts: pl.DataFrame, lots: pl.DataFrame, states: pl.DataFrame, policy: str) -> Facts:
    """The facts as the twins would have them: each account alone, its lots, cash and gains those of the twin, under the reference."""
    effective = accounts.select("account_id", "model_id", managed="managed_household_id")
    own = (
        facts.accounts.join(states.select("account_id"), on="account_id", how="semi", maintain_order="left")
        .drop("model_id")
        .join(effective, on="account_id", how="left", maintain_order="left")
        .join(states, on="account_id", how="left", maintain_order="left")
        .with_columns(
            policy_id=pl.lit(REFERENCE),
            household_id=pl.lit(None, pl.String),
            ytd_short_gain_usd=pl.col("year_short_usd"),
            ytd_long_gain_usd=pl.col("year_long_usd"),
            loss_carryforward_short_usd=pl.col("carried_short_usd"),
            loss_carryforward_long_usd=pl.col("carried_long_usd"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in dtypes("accounts").items())
    )
    pending = pl.col("pending_usd").fill_null(0)
    cash = (
        states.select("account_id", "cash_usd")
        .join(facts.cash.select("account_id", "pending_usd"), on="account_id", how="left", maintain_order="left")
        .with_columns(settled_usd=pl.col("cash_usd") - pending, pending_usd=pending)
        .select(pl.col(name).cast(dtype) for name, dtype in dtypes("cash").items())
    )
    none = {
        name: getattr(facts, name).clear()
        for name in ("trades", "last_exports", "households", "pending_orders", "unshown_fills", "open_orders")
    }
    return replace(
        facts,
        accounts=own,
        lots=lots.with_columns(is_frozen=pl.lit(value=False)).select(dtypes("lots").keys()),
        cash=cash,
        policies=_reference(facts.policies, policy),
        members=own.select("account_id", household_key=household_key()),
        **none,
    )


def _reference(policies: pl.DataFrame, policy: str) -> pl.DataFrame:
    """The reference as the only policy: by the calendar, or the policy of that name without its harvesting.

    Raises
    ------
    WrongUsage
        There is no policy of that name.
    """
    if policy in {NEVER, CALENDAR}:
        row = {"policy_id": REFERENCE, **BY_CALENDAR.model_dump(mode="json")}
        return with_policy_defaults(pl.DataFrame([row], schema=dtypes("policies")))
    own = policies.filter(pl.col("policy_id") == policy)
    if own.is_empty():
        raise WrongUsage(
            f"twin_policy is {policy}, which is no policy of the night\n\nHint: never, calendar, or a policy_id of the table policies."
        )
    return own.with_columns(policy_id=pl.lit(REFERENCE), is_harvesting=pl.lit(value=False))


def _after_trades(
    given: TwinNight, twins: Facts, lots: pl.DataFrame, states: pl.DataFrame, policy: str
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Lots and states after the reference policy has traded; ``account_id, order_count``."""
    nothing = pl.DataFrame(schema={"account_id": pl.String, "order_count": pl.Int64})
    if policy == NEVER:
        return lots, states, nothing
    run = replace(run_ref(given.row), run_id=f"{given.row.run_id}-twins")
    measured = measure_frames(twins, run, given.record.at.settings)
    accounts = account_parameters(twins)
    _, solved = solve_ready_accounts(accounts, twins, measured["drift"], measured["account_drift"])
    orders, relief = order_rows(solved, run.run_id)
    realized = realized_by_account(solved.lots)
    booked = book_trades(lots, states, orders, relief, realized)
    return *booked, orders.group_by("account_id").agg(order_count=pl.len().cast(pl.Int64))


def _own_drift(given: TwinNight) -> pl.DataFrame:
    """``account_id, own_drift``: one-way drift of the accounts tonight."""
    rows = given.record.at.lake.read("account_drift", given.row.run_id, columns=("account_id", "one_way_drift"))
    return rows.rename({"one_way_drift": "own_drift"})
