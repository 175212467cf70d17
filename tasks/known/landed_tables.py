"""What the lake holds of a run's inputs: rows as landed, and the facts that passed the gate."""

from collections.abc import Mapping
from itertools import groupby
from typing import Final

import polars as pl

from schemas.landing_columns import LANDING, PROFILE_TABLES, SHARDED_TABLES, dtypes
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.core.facts import Facts, household_key, in_changed_models, with_policy_defaults
from tasks.core.gate import (
    Actions,
    FilePlace,
    Places,
    ProfileTables,
    accepted_rows,
    bound_under_both,
    closed_to_trade,
    exclusions,
    in_current_terms,
    usable_profiles,
)
from tasks.core.reconcile import unshown
from tasks.known.corporate_actions import actions_of
from tasks.known.history import trade_date_of
from warehouse.lake import Lake
from warehouse.ledger import InputRow, Inputs

GLOBAL_TABLES: Final = tuple(table for table in LANDING if table not in {*SHARDED_TABLES, *PROFILE_TABLES})
"""Tables that belong to no account and that trades depend on."""


def landed_rows(
    lake: Lake,
    run: RunRef,
    shard: int,
    *,
    is_typed_only: bool = False,
    has_profiles: bool = False,
    actions: Actions | None = None,
) -> dict[str, pl.DataFrame]:
    """Landed rows, good and bad: of the shard's accounts, or of what belongs to no account (``GLOBAL_SHARD``).

    They are in the identifiers and shares of the night (``tasks.core.gate.corporate_actions``), and in the models that people approved
    (``tasks.core.facts.changed_models``); ``raw`` is as they were read.
    ``is_typed_only`` leaves out the rows as they were read, which only the gate needs; ``has_profiles`` adds the tables of profiles to those that
    belong to no account; ``actions`` are ``actions_of``, where known.
    """
    more = PROFILE_TABLES if has_profiles else ()
    names = (*GLOBAL_TABLES, *more, "restrictions") if shard == GLOBAL_SHARD else SHARDED_TABLES
    columns = {f"landed_{table}": (*dtypes(table), "row_number") if is_typed_only else () for table in names}
    landed = lake.read_tables(columns, run.run_id, shard)
    rows = {table.removeprefix("landed_"): found for table, found in landed.items()}
    current = in_current_terms(rows, actions_of(lake, run) if actions is None else actions)
    return in_changed_models(current, lake.read("changed_models", run.run_id, GLOBAL_SHARD))


def facts(lake: Lake, run: RunRef, shard: int) -> Facts:
    """What passed the gate, for the accounts of one shard.

    ``accounts`` are those in scope that are not quarantined; those with a tilt or an index have their effective model. The rest is of every account landed, because the wash-sale
    window looks across a household whatever became of its accounts tonight.
    """
    names = ("table_name", "landed_row")
    known = lake.read_tables(
        {
            "quarantine": names,
            "gate": ("account_id",),
            "scope": (),
            "last_exports": (),
            "pending_orders": (),
            "known_fills": (),
            "fills_to_show": (),
            "orders_to_show": (),
        },
        run.run_id,
        shard,
    )
    actions = actions_of(lake, run)
    known = in_current_terms(known, actions)
    broken = pl.concat([lake.read("quarantine", run.run_id, GLOBAL_SHARD, names), known["quarantine"]])
    commons, own = (
        landed_rows(lake, run, number, is_typed_only=True, actions=actions) for number in (GLOBAL_SHARD, shard)
    )
    rows = {**commons, **own, "restrictions": pl.concat([commons["restrictions"], own["restrictions"]])}
    good = {table: accepted_rows(table, frame, broken).select(dtypes(table).keys()) for table, frame in rows.items()}
    members = (
        rows["accounts"].filter(pl.col("account_id").is_not_null()).select("account_id", household_key=household_key())
    )
    trade_date = trade_date_of(lake, run)
    told = lake.read("landed_corporate_actions", run.run_id, GLOBAL_SHARD) if rows["corporate_actions"].height else None
    broken_actions = (
        rows["corporate_actions"].clear() if told is None else _quarantined("corporate_actions", told, broken)
    )
    found = Facts(
        as_of=run.as_of_date,
        trade_date=trade_date,
        accounts=good["accounts"]
        .join(known["scope"], on="account_id", how="semi")
        .join(known["gate"], on="account_id", how="anti"),
        lots=good["lots"].filter(pl.col("quantity") > 0),
        cash=good["cash"],
        securities=good["securities"],
        prices=good["prices"],
        model_targets=good["model_targets"],
        buy_list=good["buy_list"],
        policies=with_policy_defaults(good["policies"]),
        restrictions=pl.concat(
            [
                bound_under_both(
                    pl.concat([good["restrictions"], exclusions(good["tilts"], good["direct_indexes"])]), actions
                ),
                closed_to_trade(actions, broken_actions, good["securities"]["security_id"], trade_date),
            ]
        ),
        trades=pl.concat([good["trades"], known["known_fills"].select(good["trades"].columns)]),
        last_exports=known["last_exports"],
        members=members.unique(),
        households=good["households"],
        location_preferences=good["location_preferences"],
        pending_orders=known["pending_orders"],
        unshown_fills=_unshown(known["fills_to_show"], good, known["gate"]),
        open_orders=_unshown(known["orders_to_show"], good, known["gate"]),
    )
    return found.with_tilts(good["tilts"]).with_indexes(good["direct_indexes"], good["index_weights"])


def read_profiles(lake: Lake, run: RunRef) -> ProfileTables | None:
    """What of the tables of profiles advice may rest on; null where no ladder was delivered, or no investor."""
    names = {f"landed_{table}": () for table in PROFILE_TABLES}
    landed = lake.read_tables(names, run.run_id, GLOBAL_SHARD)
    if landed["landed_ladder"].is_empty() or landed["landed_investors"].is_empty():
        return None
    broken = lake.read("quarantine", run.run_id, GLOBAL_SHARD, ("table_name", "landed_row"))
    return usable_profiles({table.removeprefix("landed_"): rows for table, rows in landed.items()}, broken)


def _quarantined(table: str, rows: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
    """Rows of a table that the gate set aside."""
    lost = quarantine.filter(pl.col("table_name") == table).select(row_number="landed_row")
    return rows.join(lost, on="row_number", how="semi")


def _unshown(fills: pl.DataFrame, good: Mapping[str, pl.DataFrame], gate: pl.DataFrame) -> pl.DataFrame:
    """The table ``unshown_fills``, or ``open_orders``. What an account that goes no further holds is not known: it shows nothing."""
    is_stopped = pl.col("account_id").is_in(gate["account_id"].implode())
    if fills.is_empty():
        return unshown(fills, good["lots"].clear(), good["trades"].clear())
    found = unshown(fills.filter(~is_stopped), good["lots"], good["trades"])
    stopped = fills.filter(is_stopped).with_columns(moved=pl.lit(None, found.schema["moved"]))
    return pl.concat([found, stopped.select(found.columns)])


def drifts_of(lake: Lake, run: RunRef, shard: int, facts: Facts) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables ``drift`` and ``account_drift`` of the accounts of ``facts``, which are among those of the shard."""
    own = facts.accounts.select("account_id")
    drift, by_account = (
        lake.read(table, run.run_id, shard).join(own, on="account_id", how="semi")
        for table in ("drift", "account_drift")
    )
    return drift, by_account


def places(inputs: Inputs, run: RunRef) -> Places:
    """Which file each row of a landed table stood in, for messages."""
    found = {
        table: [FilePlace(row.name, row.first_row) for row in rows]
        for table, rows in groupby(
            sorted((row for row in inputs.inputs_of(run.run_id) if row.row_count), key=_table_and_row),
            key=_table,
        )
    }
    return {table: found.get(table, [FilePlace(table, 1)]) for table in LANDING}


def _table(row: InputRow) -> str:
    return row.table_name


def _table_and_row(row: InputRow) -> tuple[str, int]:
    return row.table_name, row.first_row
