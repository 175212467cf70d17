"""What accounts would trade tonight under policy: the trades of a change that nobody has decided yet."""

import polars as pl

from tasks.core.facts import Facts
from tasks.core.propose.engine import shard_of, solve_accounts
from tasks.core.propose.orders import order_rows
from tasks.core.propose.proposals import proposal_rows
from tasks.core.propose.scenarios import solvable


def policy_trades(
    facts: Facts, drift: pl.DataFrame, by_account: pl.DataFrame, wanted: pl.Series, *, run_id: str
) -> pl.DataFrame:
    """Rows of the table ``proposals``, but for what routing adds, of the accounts ``wanted``, whatever triggers them; none for one that trades nothing.

    Parameters
    ----------
    facts
        Facts of the accounts' households at least.
    drift, by_account
        Tables ``drift`` and ``account_drift``, of these facts.
    wanted
        Account ids.
    run_id
        Of the run whose facts these are.
    """
    solved = solve_accounts(solvable(facts, by_account, wanted), shard_of(facts, drift, by_account))
    orders, relief = order_rows(solved, run_id)
    return proposal_rows(solved, orders, relief, by_account).filter(pl.col("account_id").is_in(wanted.implode()))
