"""Land a run's tables in the lake, each row with its shard, all in one transaction."""

from collections.abc import Iterator

import polars as pl

from schemas.landing_columns import LANDING, SHARDED_TABLES
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.core.facts import shard_accounts
from tasks.known import last_night, remembered_actions
from tasks.pull.accounts import ChosenAccounts
from tasks.pull.landing import Landing
from tasks.pull.missing_files import waiting_accounts
from tasks.pull.orders_under_way import orders_under_way
from tasks.runtime import Stores, next_session, utc_now


def land_tables(run: RunRef, landing: Landing, chosen: ChosenAccounts, at: Stores) -> int:
    """Load the landing tables, and the tables that say what the run is about; the rows written."""
    shards = shard_accounts(chosen.known.accounts, run.shard_count)
    about = _tables_about(run, landing, chosen, shards, at)
    elsewhere = chosen.elsewhere.to_frame("account_id").with_columns(shard=pl.lit(None, pl.Int32))
    placing = pl.concat([shards, elsewhere])

    def batches() -> Iterator[tuple[str, pl.DataFrame]]:
        yield from about.items()
        for table, rows in _landed_rows(landing, chosen):
            yield f"landed_{table}", with_shard(table, rows, placing)

    return at.lake.load(
        run,
        [*(f"landed_{table}" for table in LANDING), *about],
        batches(),
        copies=lambda: landing.copies,
        shards=placing,
    )


def _landed_rows(landing: Landing, chosen: ChosenAccounts) -> Iterator[tuple[str, pl.DataFrame]]:
    yield "accounts", chosen.known.accounts
    yield "households", chosen.known.households
    yield from chosen.known.carried
    yield from landing.batches()


def _tables_about(
    run: RunRef, landing: Landing, chosen: ChosenAccounts, shards: pl.DataFrame, at: Stores
) -> dict[str, pl.DataFrame]:
    """What the run looks at, what waits, and what other runs have under way; by table."""
    under_way = orders_under_way(
        at,
        run,
        landed=shards["account_id"],
        scope=chosen.scope,
        trades=landing.read_typed("trades", at.lake),
        now=utc_now(),
    )
    by_account = {
        "awaiting": waiting_accounts(landing.taken, chosen.known.accounts),
        "last_exports": at.ledger.exports.last_exports(),
        "held_accounts": at.ledger.proposals.held_accounts(),
        **under_way,
    }
    scope = chosen.scope.to_frame("account_id").join(shards, on="account_id", how="left")
    return {
        **{table: rows.join(shards, on="account_id") for table, rows in by_account.items()},
        "scope": scope.with_columns(pl.col("shard").fill_null(0)),
        "always_review": _always_review(at),
        "remembered_actions": remembered_actions(at.lake, last_night(at, run)).with_columns(
            shard=pl.lit(GLOBAL_SHARD, pl.Int32)
        ),
        "trade_date": _trade_date(run, at),
        "changed_models": at.ledger.model_changes.changes_in_force().with_columns(shard=pl.lit(GLOBAL_SHARD, pl.Int32)),
    }


def with_shard(table: str, frame: pl.DataFrame, shards: pl.DataFrame) -> pl.DataFrame:
    """The rows with their shard; rows of accounts whose shard is null are left out.

    Rows of accounts that no source delivered go to shard 0: there they are quarantined, and cost the accounts that they could mean.
    """
    if table not in SHARDED_TABLES:
        return frame.with_columns(shard=pl.lit(GLOBAL_SHARD, pl.Int32))
    known = shards.with_columns(is_known=pl.lit(value=True))
    placed = frame.join(known, on="account_id", how="left", maintain_order="left")
    is_global = pl.col("account_id").is_null() & (table == "restrictions")
    is_stray = pl.col("is_known").is_null()
    wanted = is_global | pl.col("shard").is_not_null() | is_stray
    elsewhere = pl.when(is_global).then(GLOBAL_SHARD).otherwise(0)
    return placed.filter(wanted).drop("is_known").with_columns(shard=pl.coalesce("shard", elsewhere).cast(pl.Int32))


def _trade_date(run: RunRef, at: Stores) -> pl.DataFrame:
    """Landed with the run: every step, and a replay, judges by the same date."""
    day = next_session(run.as_of_date, at.settings.exchange)
    return pl.DataFrame({"trade_date": [day], "shard": GLOBAL_SHARD}, schema={"trade_date": pl.Date, "shard": pl.Int32})


def _always_review(at: Stores) -> pl.DataFrame:
    """The setting, landed with the run: its routes are the same whichever attempt decides them."""
    reasons = sorted(str(reason) for reason in at.settings.always_review)
    return pl.DataFrame({"reason": reasons, "shard": GLOBAL_SHARD}, schema={"reason": pl.String, "shard": pl.Int32})
