"""Validate: set aside the rows that break the landing contract, and the accounts that cannot be trusted without them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import task_run as this_task

from schemas.enums import Outcome, RunKind, Step
from schemas.landing_columns import dtypes
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.tables import PUBLIC
from tasks.core.facts import odd_label_notice
from tasks.core.gate import (
    CASH_PRESENT,
    STRAY_TABLES,
    Actions,
    History,
    anomalies,
    carry_history,
    gate_accounts,
    gate_globals,
    holdings_of_both,
    in_current_terms,
    split_candidates,
    stray_rows,
    without_foreign,
    without_values,
)
from tasks.core.guards import row_names
from tasks.core.reconcile import presumed_fills, renamed_securities
from tasks.known import (
    actions_of,
    agreed_splits,
    carried_tables,
    landed_rows,
    last_night,
    late_prices,
    places,
    read_before,
    read_vanished,
)
from tasks.runtime import Stores, give_notice, made_with, open_stores, retry_quietly, timed_step
from warehouse.ledger import RunRow

STRAY_SHARD: Final = 0
"""Where rows of accounts that no source delivered are landed."""
ABSENT_WITH_ITS_FILE: Final = CASH_PRESENT.name
"""The rule that an account breaks because its custodian's file has not come."""


def task_name() -> str:
    """``validate-<shard>``, or ``validate-common`` of what belongs to no account."""
    shard = this_task.parameters["shard"]
    return f"validate-{'common' if shard == GLOBAL_SHARD else shard}"


@task(name="validate", cache_policy=NO_CACHE, task_run_name=task_name, **retry_quietly)
def validate_task(run: RunRef, shard: int) -> None:
    """Write ``quarantine``, ``released_rows``, ``gate``, ``anomalies`` and ``carried*`` of one shard; ``GLOBAL_SHARD``: ``quarantine`` and ``vanished_rows`` of what belongs to no account.

    Raises
    ------
    InputRefused
        A restriction for every account is broken: nothing may trade without it.
    """
    with open_stores() as at, timed_step(at.ledger.locks, at.ledger.runs, run, Step.VALIDATE, shard) as step:
        step.rows = validate_shard(at, run, shard)


def validate_shard(at: Stores, run: RunRef, shard: int) -> int:
    """What ``validate_task`` does, on stores that are open; the rows looked at."""
    where = places(at.ledger.inputs, run)
    commons = landed_rows(at.lake, run, GLOBAL_SHARD, has_profiles=shard == GLOBAL_SHARD)
    gated = gate_globals(commons, where, as_of=run.as_of_date)
    if shard == GLOBAL_SHARD:
        if notice := odd_label_notice(commons["securities"]):
            give_notice(notice)
        with_it = made_with(at.settings, Step.VALIDATE)
        renamed = renamed_securities(actions_of(at.lake, run).effective)
        since = _since_last_night(at, run)
        frames = {"quarantine": gated.quarantine, **since, "renamed_securities": renamed, "made_with": with_it}
        at.lake.replace(run, shard, frames)
        return gated.quarantine.height
    tables = landed_rows(at.lake, run, shard)
    if run.kind is RunKind.THRESHOLD and "account_totals" in tables:
        tables["account_totals"] = without_values(tables["account_totals"])
    strays = _stray_rows(at, run)
    if shard == STRAY_SHARD and _is_named(at, run):
        tables = without_foreign(tables, tables["accounts"]["account_id"].drop_nulls().unique())
    awaiting = at.lake.read("awaiting", run.run_id, shard)
    before = read_before(at, run, tables["accounts"]["account_id"].drop_nulls().unique())
    actions = actions_of(at.lake, run)
    fills = _explaining_fills(at, run, shard, tables, commons["prices"], actions=actions)
    history = None
    if before is not None:
        carried = replace(carry_history(before.history, actions), fills=fills)
        history = replace(
            carried, splits=_splits(at, run, before.last, carried, lots=tables["lots"], prices=commons["prices"])
        )
    released = at.ledger.readmissions.released_rows(run.as_of_date)
    verdicts = gate_accounts(
        tables,
        gated,
        where,
        as_of=run.as_of_date,
        history=_without_comparing(history, awaiting),
        released=released["quarantine_id"],
        max_cost_to_price=at.settings.max_cost_to_price,
        strays=strays,
        max_total_difference=at.settings.max_total_difference_fraction,
        actions=actions,
    )
    if verdicts.small_changes:
        give_notice(
            f"{verdicts.small_changes:,} holdings changed with nothing to explain it, each by at most "
            f"{at.settings.max_unexplained_position_fraction:.3g} of itself; accepted"
        )
    quarantine = _without_awaited(verdicts.quarantine, awaiting)
    nameless = strays.filter(~pl.col("is_name")).height
    if shard == STRAY_SHARD and nameless:
        give_notice(
            f"{nameless:,} rows name no account that can be read; they cost every account that they could belong to"
        )
    scope = at.lake.read("scope", run.run_id, shard)
    gate = _stopped_accounts(verdicts.accounts, awaiting).join(scope, on="account_id", how="semi")
    frames = {
        "quarantine": quarantine,
        "released_rows": _released_rows(verdicts.released, released),
        "gate": gate,
        "vouched": verdicts.vouched.to_frame(),
    }
    frames |= carried_tables(None if before is None else before.history, gate)
    if before is not None and history is not None:
        traded = pl.concat([tables["trades"], fills], how="diagonal_relaxed")
        frames["anomalies"] = _anomalies({**tables, "trades": traded}, commons, history, before.recent, gate)
    at.lake.replace(run, shard, frames)
    return sum(frame.height for frame in tables.values())


def _since_last_night(at: Stores, run: RunRef) -> dict[str, pl.DataFrame]:
    """The tables ``vanished_rows`` and ``late_prices``, with a notice of each landing table that lost rows."""
    last = last_night(at, run)
    if last is None:
        return {"vanished_rows": pl.DataFrame(schema=PUBLIC["vanished_rows"])}
    gone = read_vanished(at.lake, run, last)
    for table, expected in gone.expected.items():
        rows = gone.of(table)
        if rows.height:
            names = row_names(rows)
            give_notice(
                f"{rows.height:,} of {expected:,} rows of {table} of {last.as_of_date} that would still hold are gone"
                f"{names and f': {names}'}; the table vanished_rows lists them"
            )
    return {"vanished_rows": gone.rows, "late_prices": late_prices(at, run, last)}


def _explaining_fills(
    at: Stores, run: RunRef, shard: int, tables: Mapping[str, pl.DataFrame], prices: pl.DataFrame, *, actions: Actions
) -> pl.DataFrame:
    """Trades beside the landed ones that explain changes: fills that brokers reported, and open orders as far as holdings moved by them."""
    reported = {"known_fills": tuple(dtypes("trades")), "orders_to_show": ()}
    known = in_current_terms(at.lake.read_tables(reported, run.run_id, shard), actions)
    fills, left = known["known_fills"], known["orders_to_show"]
    traded = pl.concat([tables["trades"], fills], how="diagonal_relaxed")
    priced = prices.drop_nulls("price_usd").unique("security_id", keep="none")
    return pl.concat([fills, presumed_fills(left, tables["lots"], traded, priced, run.as_of_date)])


def _splits(
    at: Stores, run: RunRef, last: RunRow, history: History, *, lots: pl.DataFrame, prices: pl.DataFrame
) -> pl.DataFrame:
    """``SPLITS`` of the night, as far as these accounts ask for them."""
    known = prices.drop_nulls(["security_id", "price_usd"]).unique("security_id", keep="none")
    both = known.join(history.prices.rename({"price_usd": "price_then_usd"}), on="security_id")
    held = holdings_of_both(lots, history.lots, pl.DataFrame(schema=dtypes("trades")))
    asked = known.join(split_candidates(held, both).to_frame(), on="security_id", how="semi")
    if asked.is_empty():
        return history.splits
    return agreed_splits(at, run, last, history, asked.select("security_id", "price_usd"))


def _stray_rows(at: Stores, run: RunRef) -> pl.DataFrame:
    """``STRAY`` of the run: rows whose account no source delivered."""
    rows = {table: at.lake.stray_rows(table, run.run_id) for table in STRAY_TABLES}
    return stray_rows(rows, pl.Series("account_id", [], dtype=pl.String))


def _is_named(at: Stores, run: RunRef) -> bool:
    """Whether somebody named the accounts of the run: rows that are nobody's belong to the night's other runs then."""
    row = at.ledger.runs.get_run(run.run_id)
    return row is not None and row.scope is not None


def _without_comparing(history: History | None, awaiting: pl.DataFrame) -> History | None:
    """Accounts whose file has not come are not compared with anything."""
    if history is None:
        return None
    return replace(history, accepted=history.accepted.join(awaiting, on="account_id", how="anti"))


def _without_awaited(quarantine: pl.DataFrame, awaiting: pl.DataFrame) -> pl.DataFrame:
    """Quarantined rows but for accounts that lack only what is in a file that has not come."""
    is_awaited = pl.col("account_id").is_in(awaiting["account_id"].implode()).fill_null(value=False)
    return quarantine.filter(~(is_awaited & (pl.col("broken_rules") == ABSENT_WITH_ITS_FILE)))


def _stopped_accounts(quarantined: pl.DataFrame, awaiting: pl.DataFrame) -> pl.DataFrame:
    """``account_id, outcome, reason`` of the accounts that go no further; one that waits is not judged."""
    waiting = awaiting.select("account_id", outcome=pl.lit(str(Outcome.BLOCKED)), reason="reason")
    judged = quarantined.join(waiting, on="account_id", how="anti")
    return pl.concat(
        [judged.select("account_id", outcome=pl.lit(str(Outcome.QUARANTINED)), reason="reason"), waiting]
    ).sort("account_id")


def _anomalies(
    tables: Mapping[str, pl.DataFrame],
    commons: Mapping[str, pl.DataFrame],
    then: History,
    recent: pl.DataFrame,
    gate: pl.DataFrame,
) -> pl.DataFrame:
    """Rows of the table ``anomalies``; accounts that were stopped keep what is known of them."""
    passed = {table: tables[table].join(gate, on="account_id", how="anti") for table in ("lots", "cash", "trades")}
    good = commons["prices"].drop_nulls("price_usd").unique("security_id", keep="none")
    factors = commons["securities"].drop_nulls("price_factor").unique("security_id", keep="none")

    def per_unit(frame: pl.DataFrame) -> pl.DataFrame:
        """Prices of one unit of quantity, in dollars."""
        of_factor = frame.join(factors.select("security_id", "price_factor"), on="security_id", how="left")
        return of_factor.with_columns(pl.col("price_usd") * pl.col("price_factor").fill_null(1)).drop("price_factor")

    passed["trades"] = per_unit(passed["trades"])
    return anomalies(passed, per_unit(good), replace(then, prices=per_unit(then.prices)), recent)


def _released_rows(rows: pl.DataFrame, released: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table ``released_rows``: with who let them pass, why and when."""
    words = released.select(
        "quarantine_id",
        released_by="actor",
        release_note="note",
        released_at=pl.col("released_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return rows.join(words, on="quarantine_id").select(PUBLIC["released_rows"].keys())
