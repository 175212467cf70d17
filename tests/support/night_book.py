"""A night without stores: the sample book gated, measured and proposed in memory."""

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from schemas.enums import Outcome, RunKind
from schemas.landing import OPTIONAL_COLUMNS
from schemas.landing_columns import PROFILE_TABLES, dtypes
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.stored import INTERNAL
from tasks.core.facts.facts import Facts, with_policy_defaults
from tasks.core.facts.shards import household_key
from tasks.core.gate import accepted_rows
from tasks.core.gate.parsing import parse
from tasks.core.propose.route import Noticed
from tasks.demo.book import book_parts
from tasks.demo.book_reference import reference_tables
from tasks.demo.sample import read_market
from tasks.propose.measure import measure_frames
from tasks.propose.propose import propose_frames
from tests.support.landing_book import gated

Tables = dict[str, pl.DataFrame]
NO_EXPORTS = pl.DataFrame(schema=INTERNAL["last_exports"])


def landed_book(account_count: int, seed: int = 1) -> tuple[Tables, date]:
    """Every landing table of a sample book, parsed, and its as-of date."""
    market = read_market()
    (part,) = book_parts(market, account_count=account_count, seed=seed)
    raw = {**reference_tables(market), **part.tables}
    return {table: parse(table, _whole(table, rows), is_text=False) for table, rows in raw.items()}, market.as_of_date


def _whole(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the columns that a source may leave out."""
    missing = [name for name in dtypes(table) if name in OPTIONAL_COLUMNS.get(table, ()) and name not in rows.columns]
    return rows.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)


def facts_of(tables: Mapping[str, pl.DataFrame], last_exports: pl.DataFrame = NO_EXPORTS) -> tuple[Facts, pl.DataFrame]:
    """What passed the gate, and the accounts that did not."""
    common, own = gated(tables)
    broken = pl.concat([common.quarantine, own.quarantine])
    good = {
        name: accepted_rows(name, rows, broken).select(dtypes(name).keys())
        for name, rows in tables.items()
        if name not in {"account_totals", "corporate_actions", "flows", *PROFILE_TABLES}
    }
    good["policies"] = with_policy_defaults(good["policies"])
    good["accounts"] = good["accounts"].join(own.accounts, on="account_id", how="anti")
    landed = tables["accounts"].filter(pl.col("account_id").is_not_null())
    members = landed.select("account_id", household_key=household_key()).unique()
    nothing = pl.DataFrame(schema=INTERNAL["pending_orders"])
    as_of = good["prices"]["price_date"].max()
    assert isinstance(as_of, date)
    facts = Facts(
        **good,
        as_of=as_of,
        trade_date=as_of + timedelta(days=1),
        last_exports=last_exports,
        members=members,
        pending_orders=nothing,
    )
    return facts, own.accounts.with_columns(outcome=pl.lit(str(Outcome.QUARANTINED)))


def night(tables: Mapping[str, pl.DataFrame], as_of: date, last_exports: pl.DataFrame = NO_EXPORTS) -> Tables:
    """Every public table that a night over these accounts writes, of one shard."""
    facts, gate = facts_of(tables, last_exports)
    run = RunRef("night", as_of, RunKind.NIGHTLY, 1)
    drifts = measure_frames(facts, run, Settings())
    frames = propose_frames(
        facts,
        drifts["drift"],
        drifts["account_drift"],
        gate=gate,
        run_id=run.run_id,
        known=Noticed(),
        always=(),
    )
    return {**drifts, **frames}
