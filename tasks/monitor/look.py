"""One look between the nights: drift of every account that the newest night accepted, on fresh prices, shard by shard.

Where late files were added to the night, the accounts of the later runs are looked at as those landed them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import polars as pl

from schemas.enums import Trigger
from schemas.errors import WrongUsage
from schemas.landing_columns import dtypes
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.stored import INTERNAL
from tasks.core.facts import Facts, household_key, in_changed_models, model_hashes, with_policy_defaults
from tasks.core.gate import accepted_rows, check_table, gate_globals, in_current_terms
from tasks.core.monitor import HELD, KnownToday, Verdict, seen_accounts, verdict
from tasks.core.reconcile import waiting_orders
from tasks.known import actions_of, landed_rows, places, unshown_fills
from tasks.monitor.intraday_inputs import BaseNight, FreshInputs, fresh_inputs, newest_night
from tasks.pull import run_ref
from tasks.runtime import Stores
from warehouse.lake import Lake

POLICY: Final = (
    *("policy_id", "band_rule", "is_threshold_triggered", "calendar", "cool_down_days"),
    *("open_order_sessions", "is_pending_invested", "cash_tolerance_usd"),
)
"""What of a policy decides whether an account is looked at."""
ACCOUNT: Final = (
    "account_id",
    "household_id",
    "model_id",
    "policy_id",
    "status",
    "cash_reserve_usd",
    "loss_carryforward_short_usd",
    "loss_carryforward_long_usd",
)
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "landed_accounts": (*ACCOUNT, "row_number"),
    "landed_lots": (*HELD, "acquired_date", "row_number"),
    "landed_cash": ("account_id", "settled_usd", "pending_usd", "row_number"),
    "landed_tilts": (*dtypes("tilts"), "row_number"),
    "landed_direct_indexes": (*dtypes("direct_indexes"), "row_number"),
    "quarantine": ("table_name", "landed_row"),
    "gate": ("account_id",),
    "scope": ("account_id",),
    "account_drift": ("account_id", "triggers"),
    "open_orders": (),
}
"""What is read of each shard."""
UNREAD: Final = ("buy_list", "restrictions", "trades", "location_preferences")
"""Tables that drift does not depend on."""


@dataclass(frozen=True, slots=True)
class DriftLook:
    """What one look found; counts are of accounts.

    ``skipped``: accepted by the night, and not valued: a holding has no fresh price, or the account's household has such a one.
    """

    night: BaseNight
    day: date
    looked_at: int
    skipped: int
    out_of_band: int
    verdict: Verdict
    fresh: FreshInputs


def look(at: Stores, day: date, now: datetime) -> DriftLook:
    """Look at every account on ``day``. Nothing is written.

    Raises
    ------
    WrongUsage
        No night is done yet.
    InputRefused
        A restriction for every account cannot be read.
    """
    night = newest_night(at, day)
    if night is None:
        raise WrongUsage(f"no night up to {day} is done yet\n\nHint: `trimtab nightly --as-of DATE` runs one.")
    fresh = fresh_inputs(at, night, day)
    shared = look_inputs(at, night, fresh, day, now)
    breaches = at.ledger.breaches.lasting_breaches(night.base.started_at)
    sought = breaches["account_id"].implode()
    looked_at = skipped = out = 0
    parts: list[pl.DataFrame] = []
    for facts, known in book_shards(at, night, shared):
        seen = seen_accounts(facts, known, as_of=day)
        looked_at += seen.height
        skipped += facts.accounts.height - seen.height
        out += seen.filter(pl.col("triggers").str.contains(rf"\b({Trigger.DRIFT}|{Trigger.CASH})\b")).height
        parts.append(seen.filter((pl.col("triggers") != "") | pl.col("account_id").is_in(sought)))
    found = verdict(pl.concat(parts), breaches, rearm=at.settings.monitor_rearm_fraction)
    return DriftLook(night, day, looked_at, skipped, out, found, fresh)


@dataclass(frozen=True, slots=True)
class LookInputs:
    """What a look reads once. ``facts``: what belongs to no account. ``cash``: rows that replace those of the night, whose prices are ``night_prices``. ``is_other``: targets are others than the night's."""

    facts: Facts
    cash: pl.DataFrame
    night_targets: pl.DataFrame
    is_other: bool
    handled: pl.DataFrame
    busy: pl.DataFrame
    night_prices: pl.DataFrame


def look_inputs(at: Stores, night: BaseNight, fresh: FreshInputs, day: date, now: datetime) -> LookInputs:
    """What belongs to no account, judged anew by the gate with what is fresh in its place; and what the ledger knows."""
    newest = run_ref(night.runs[-1])
    then = landed_rows(at.lake, newest, GLOBAL_SHARD)
    broken_then = at.lake.read("quarantine", newest.run_id, GLOBAL_SHARD, COLUMNS["quarantine"])
    tables = {**then, **{table: rows for table, rows in fresh.tables.items() if table in then}}
    broken = gate_globals(tables, places(at.ledger.inputs, newest), as_of=day).quarantine
    good = {table: accepted_rows(table, rows, broken).select(dtypes(table).keys()) for table, rows in tables.items()}
    del good["corporate_actions"]
    good |= {table: pl.DataFrame(schema=dtypes(table)) for table in (*UNREAD, "accounts", "lots", "cash")}
    good["policies"] = with_policy_defaults(good["policies"]).select(POLICY)
    cash = good["cash"]
    if "cash" in fresh.tables:
        cash = check_table("cash", fresh.tables["cash"]).good.select(cash.columns)
    night_targets = accepted_rows("model_targets", then["model_targets"], broken_then).select(
        dtypes("model_targets").keys()
    )
    is_other = not model_hashes(night_targets).equals(model_hashes(good["model_targets"]))
    nobody = pl.DataFrame(schema={"account_id": pl.String(), "household_key": pl.String()})
    return LookInputs(
        Facts(
            **good,
            as_of=day,
            trade_date=day,
            last_exports=at.ledger.exports.last_exports(),
            members=nobody,
            pending_orders=pl.DataFrame(schema=INTERNAL["pending_orders"]),
        ),
        cash,
        night_targets=night_targets,
        is_other=is_other,
        handled=handled_models(at, night, is_other=is_other),
        busy=at.ledger.breaches.accounts_with_open_proposals(now).to_frame(),
        night_prices=accepted_rows("prices", then["prices"], broken_then),
    )


def handled_models(at: Stores, night: BaseNight, *, is_other: bool) -> pl.DataFrame:
    """``KnownToday.handled``; read only where targets are, or were since the night, others than the night's: it may be long."""
    since = night.base.started_at
    if is_other or at.ledger.breaches.has_model_changes(since):
        return at.ledger.breaches.models_handled(since)
    return pl.DataFrame(schema={"account_id": pl.String(), "model_hash": pl.String()})


def book_shards(at: Stores, night: BaseNight, shared: LookInputs) -> Iterator[tuple[Facts, KnownToday]]:
    """Facts of each shard, and what else is known of its accounts; one shard in memory at a time."""
    later = pl.DataFrame(schema=INTERNAL["scope"])
    for row in reversed(night.runs):
        run = run_ref(row)
        scope, gate = (at.lake.read(table, run.run_id, columns=("account_id",)) for table in ("scope", "gate"))
        mine = scope.join(later, on="account_id", how="anti").join(gate, on="account_id", how="anti")
        fills = unshown_fills(at, row, mine["account_id"])
        for shard in run.shards:
            yield _shard(at.lake, (run, shard), mine, shared, fills)
        later = pl.concat([later, scope])


def _shard(
    lake: Lake, part: tuple[RunRef, int], mine: pl.DataFrame, shared: LookInputs, fills: pl.DataFrame
) -> tuple[Facts, KnownToday]:
    """``part``: a run, and one of its shards. ``mine``: accounts that the run knows newest and that passed its gate."""
    run, shard = part
    rows = lake.read_tables(COLUMNS, run.run_id, shard)
    in_force = lake.read("changed_models", run.run_id, GLOBAL_SHARD)
    rows["landed_accounts"] = in_changed_models({"accounts": rows["landed_accounts"]}, in_force)["accounts"]
    rows["landed_lots"] = in_current_terms({"lots": rows["landed_lots"]}, actions_of(lake, run))["lots"]
    good = {
        name: accepted_rows(name, rows[f"landed_{name}"], rows["quarantine"])
        for name in ("accounts", "lots", "cash", "tilts", "direct_indexes")
    }
    accounts = good["accounts"].join(mine, on="account_id", how="semi")
    own = accounts.select("account_id")
    cash = pl.concat([_of(shared.cash, own), _of(good["cash"].select(shared.cash.columns), own)])
    landed_accounts = rows["landed_accounts"].drop_nulls("account_id")
    facts = replace(
        shared.facts,
        accounts=accounts.select(ACCOUNT),
        lots=good["lots"].select(HELD),
        cash=cash.unique("account_id", keep="first", maintain_order=True),
        members=landed_accounts.select("account_id", household_key=household_key()).unique(),
    )
    tilts = good["tilts"].select(dtypes("tilts").keys())
    indexes = good["direct_indexes"].select(dtypes("direct_indexes").keys())
    then, facts = (
        replace(facts, model_targets=targets).with_tilts(tilts).with_indexes(indexes, facts.index_weights)
        for targets in (shared.night_targets, facts.model_targets)
    )
    models = model_hashes(then.model_targets)
    night = rows["account_drift"]
    waits = waiting_orders(rows["open_orders"])
    return facts, KnownToday(night, _of(fills, own), shared.busy, models, _of(shared.handled, own), waits)


def _of(rows: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    return rows.join(accounts, on="account_id", how="semi", maintain_order="left")
