"""An account as a whole: what it holds, its drift and outcomes over nights, its proposals, orders and fills, and what stands around it.

Amounts, prices and quantities are exact decimals, weights and drifts numbers; a program gets decimals as text.
"""

from typing import Any, Final

import polars as pl

from schemas.run import RunRef
from tasks.core.explain import (
    Page,
    cash_moves,
    household_facts,
    index_rows,
    lots_held,
    outcome_sentences,
    positions,
    tilt_rows,
)
from tasks.core.facts import Facts
from tasks.known import facts as read_facts
from tasks.review.explain import find_run_of
from tasks.review.household import AccountStores, household_section
from warehouse.ledger import RunRow, SentFilter

DESCRIBED: Final = (
    *(
        "household_id",
        "custodian",
        "tax_status",
        "status",
        "model_id",
        "policy_id",
        "short_term_rate",
        "long_term_rate",
    ),
    *("cash_reserve_usd", "ytd_short_gain_usd", "ytd_long_gain_usd"),
    *("loss_carryforward_short_usd", "loss_carryforward_long_usd"),
)
"""Columns of ``accounts`` that say who it is and how it is taxed."""
PROPOSAL: Final = (
    *("proposal_id", "run_id", "as_of_date", "state", "version", "triggers", "route_reasons", "order_count"),
    *("gross_value_usd", "turnover", "est_tax_usd", "est_cost_usd", "one_way_drift_before", "one_way_drift_after"),
    *("created_at", "state_changed_at", "held_by", "export_id"),
)
ORDER: Final = (
    *(
        "order_id",
        "proposal_id",
        "export_id",
        "side",
        "security_id",
        "symbol",
        "quantity",
        "amount_usd",
        "price_usd",
        "state",
    ),
    *("filled_quantity", "average_price_usd", "fees_usd", "first_trade_date", "last_trade_date", "is_closed"),
)
RESTRICTION: Final = (
    *("account_id", "security_id", "rule", "until_date"),
    *("min_quantity", "max_quantity", "min_value_usd", "max_value_usd"),
)
MOST_PROPOSALS: Final = 100
MOST_ORDERS: Final = 500
MOST_NIGHTS: Final = 260
"""A year of nights."""


def account_page(at: AccountStores, account_id: str, *, run_id: str | None = None) -> Page:
    """All that is known of an account, as of a run; the newest that has the account where none is named.

    Raises
    ------
    WrongUsage
        There is no such run, or no run has the account.
    """
    row, shard = find_run_of(at.lake, at.runs, account_id, run_id)
    facts = household_facts(
        read_facts(at.lake, RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count), shard), account_id
    )
    nights = nights_of(at, account_id)
    then = nights.filter(run_id=row.run_id).row(0, named=True)
    lots = lots_held(facts, account_id)
    described = _account_row(at, row, account_id)
    orders = at.answers.answers(SentFilter(account=account_id), limit=MOST_ORDERS).rows
    proposals = at.proposals.list_proposals(account_id=account_id).sort(
        "as_of_date", "created_at", "version", descending=True
    )
    own = pl.col("account_id") == account_id
    drift = at.lake.read_account("drift", row.run_id, account_id).drop("account_id")
    classes = drift.sort("asset_class").to_dicts()
    return {
        "account": {"account_id": account_id, **described},
        "run": {"run_id": row.run_id, "as_of_date": row.as_of_date, "kind": str(row.kind), "state": str(row.state)},
        "outcome": {
            "outcome": then["outcome"],
            "reason": then["reason"],
            "sentences": outcome_sentences(then["outcome"], then["reason"]),
        },
        "value": {name: then[name] for name in ("nav_usd", "one_way_drift", "max_abs_drift")},
        "cash": {
            **{name: then[name] for name in ("settled_usd", "pending_usd")},
            "reserve_usd": described["cash_reserve_usd"],
        },
        "classes": classes,
        "tilts": tilt_rows(at.lake.read_account("tilted_targets", row.run_id, account_id)),
        "indexes": index_rows(at.lake.read_account("index_baskets", row.run_id, account_id), classes),
        "holdings": _holdings(lots),
        "restrictions": _restrictions(facts, account_id),
        "trades": facts.trades.filter(own)
        .drop("account_id")
        .sort("trade_date", "security_id", "side", descending=[True, False, False])
        .to_dicts(),
        "nights": _flows(nights, facts, account_id).sort("as_of_date", descending=True).to_dicts(),
        "proposals": proposals.select(PROPOSAL).head(MOST_PROPOSALS).to_dicts(),
        "orders": orders.select(ORDER).to_dicts(),
        "quarantine": at.lake.read_account("quarantine", row.run_id, account_id)
        .drop("account_id")
        .sort("table_name", "row_number")
        .to_dicts(),
        "household": household_section(at, row, shard, facts, account_id),
    }


def nights_of(at: AccountStores, account_id: str) -> pl.DataFrame:
    """What became of the account in each run, with ``started_at`` and ``state`` of the run; by date, then by start."""
    known = pl.DataFrame(
        [(run.run_id, run.started_at, str(run.state), str(run.kind)) for run in at.runs.list_runs(None)],
        schema={"run_id": pl.String, "started_at": pl.Datetime("us", "UTC"), "state": pl.String, "kind": pl.String},
        orient="row",
    )
    found = at.lake.rows_found("account_nights", account_id=account_id)
    return found.join(known, on="run_id", how="inner").sort("as_of_date", "started_at", "run_id")


def _flows(nights: pl.DataFrame, facts: Facts, account_id: str) -> pl.DataFrame:
    """The newest run of each night, with what its cash did since the night before."""
    newest = nights.group_by("as_of_date", maintain_order=True).last().sort("as_of_date").tail(MOST_NIGHTS)
    trades = facts.trades.filter(pl.col("account_id") == account_id)
    return cash_moves(newest, trades, facts.securities)


def _account_row(at: AccountStores, row: RunRow, account_id: str) -> dict[str, Any]:
    """The account's row as landed; nulls where the source has none, or two."""
    found = at.lake.read_account("landed_accounts", row.run_id, account_id)
    return {name: found[name][0] if found.height == 1 else None for name in DESCRIBED}


def _holdings(lots: pl.DataFrame) -> list[Page]:
    by_security: dict[str, list[Page]] = {}
    for lot in lots.iter_rows(named=True):
        said = {
            name: value
            for name, value in lot.items()
            if name not in {"symbol", "name", "asset_class", "price_usd", "price_date"}
        }
        by_security.setdefault(said.pop("security_id"), []).append(said)
    return [{**row, "lots": by_security[row["security_id"]]} for row in positions(lots).iter_rows(named=True)]


def _restrictions(facts: Facts, account_id: str) -> list[Page]:
    """The account's own, and those of everyone's that are about what it holds."""
    held = facts.lots.filter(pl.col("account_id") == account_id)["security_id"].unique()
    is_own = pl.col("account_id") == account_id
    is_about = pl.col("account_id").is_null() & pl.col("security_id").is_in(held.implode())
    found = facts.restrictions.filter(is_own | is_about).select(RESTRICTION).unique()
    return (
        found.with_columns(is_everyones=pl.col("account_id").is_null())
        .drop("account_id")
        .sort("is_everyones", "security_id", "rule", "until_date", nulls_last=True)
        .to_dicts()
    )
