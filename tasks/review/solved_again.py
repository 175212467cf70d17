"""An account solved again from its night's facts, and whether that gives the orders that its night made."""

from typing import Final

import polars as pl

from schemas.run import RunRef
from tasks.core.facts import Facts, account_parameters
from tasks.core.propose import Solved, order_rows
from tasks.known import drifts_of
from tasks.propose import solve_ready_accounts
from warehouse.lake import Lake

COMPARED: Final = {"orders": ["order_id", "quantity", "price_usd"], "lot_relief": ["order_id", "lot_id", "quantity"]}


def solve_again(lake: Lake, run: RunRef, shard: int, facts: Facts, account_id: str) -> tuple[Solved, pl.DataFrame]:
    """The account as its night solved it, with its household where that is managed together, and the table ``account_drift``.

    ``facts``: of the account's household. An account that its night did not solve has no row.
    """
    drift, by_account = drifts_of(lake, run, shard, facts)
    _, every = solve_ready_accounts(account_parameters(facts), facts, drift, by_account)
    mine = every.accounts.filter(pl.col("account_id") == account_id)
    if mine["managed_household_id"].drop_nulls().len():
        mine = every.accounts.filter(pl.col("managed_household_id") == mine["managed_household_id"][0])
    return every.only(mine["account_id"]), by_account


def is_as_its_night(solved: Solved, lake: Lake, run_id: str, account_id: str) -> bool:
    """Whether the orders and lots are those that the night wrote: the program may have changed since."""
    again = dict(zip(COMPARED, order_rows(solved, run_id), strict=True))
    for table, columns in COMPARED.items():
        was = lake.read_account(table, run_id, account_id).select(columns).sort(columns)
        now = again[table].filter(pl.col("account_id") == account_id).select(columns).sort(columns)
        if not now.equals(was):
            return False
    return True
