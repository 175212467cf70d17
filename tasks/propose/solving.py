"""What is solved of a shard, and that it adds up; whoever solves an account again comes here, and loads no Prefect for it."""

import polars as pl

from schemas.errors import ConservationBroken
from tasks.core.facts import Facts
from tasks.core.propose import Solved, conservation, shard_of, solve_accounts, with_standing
from tasks.core.reconcile import waiting, waiting_orders


def solve_ready_accounts(
    accounts: pl.DataFrame, facts: Facts, drift: pl.DataFrame, by_account: pl.DataFrame
) -> tuple[pl.DataFrame, Solved]:
    """Where each account stands before anything is solved, and the best trades of those that are."""
    models = facts.model_targets["model_id"].unique()
    standing = with_standing(
        accounts,
        by_account,
        facts.last_exports,
        facts.members,
        models=models,
        waiting=waiting(facts.unshown_fills),
        open_orders=waiting_orders(facts.open_orders),
        as_of=facts.as_of,
    )
    to_solve = standing.filter(pl.col("outcome").is_null() | pl.col("is_locked")).drop("outcome", "reason", "triggers")
    return standing, solve_accounts(to_solve, shard_of(facts, drift, by_account))


def need_conserved(proposals: pl.DataFrame, orders: pl.DataFrame, relief: pl.DataFrame, lots: pl.DataFrame) -> None:
    """Stop where shares or cash do not add up; ``proposals`` with the solver's ``cash_after``.

    Raises
    ------
    ConservationBroken
        They do not.
    """
    need_none("sell orders whose lots do not sum to them", conservation.relief_gaps(orders, relief))
    need_none("lots of which more is sold than held", conservation.oversold(relief, lots))
    need_none("proposals whose cash does not add up", conservation.cash_gaps(proposals, orders))


def need_none(what: str, offenders: pl.DataFrame) -> None:
    """Stop where something does not add up, saying of how many; the ledger will name the first.

    Raises
    ------
    ConservationBroken
        ``offenders`` has rows.
    """
    if offenders.height:
        said = f"{offenders.height} {what}\n\nHint: `trimtab audit list` shows the first of them, in the row run_held."
        raise ConservationBroken(said, first=str(offenders.row(0, named=True)))
