"""Make a version of a proposal: the account solved again, a person's wish, the checks, and the ledger."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import polars as pl

from schemas.enums import Side
from schemas.errors import ConservationBroken, WrongUsage
from schemas.run import RunRef
from tasks.core.explain import household_facts
from tasks.core.propose import ProposalVersion, Solved, Wish, amend_orders
from tasks.known import facts as read_facts
from tasks.propose import need_conserved
from tasks.review.review import resolve
from tasks.review.solved_again import is_as_its_night, solve_again
from tasks.review.versions import newest_rows
from warehouse.lake import Lake
from warehouse.ledger import Amendments, Proposals, ReviewedVersion, Runs


def amend_proposal(
    amendments: Amendments,
    proposals: Proposals,
    runs: Runs,
    lake: Lake,
    name: str,
    *,
    wish: Sequence[tuple[str, Decimal]],
    actor: str,
    now: datetime,
    note: str,
    seen: ReviewedVersion | None = None,
) -> str:
    """Drop or make smaller orders of a waiting proposal; the name of the version that takes its place.

    ``wish``: orders and the quantity wanted of each, 0 to drop it; an order is named once, by its id, or by its symbol or security
    where the proposal has one order of it. ``seen``: what the person looked at; null: as the proposal stands.

    Raises
    ------
    WrongUsage
        The wish is none, or what would be left fails a check; says which.
    DecisionRefused
        The ledger refuses it: see ``Amendments.amend_proposal``.
    """
    proposals.expire(now)
    (proposal_id,) = resolve(proposals, [name])
    proposal = proposals.get_proposal(proposal_id)
    run = runs.get_run(proposal["run_id"]) if proposal else None
    if proposal is None or run is None:
        raise WrongUsage(f"there is no proposal {name}")
    account_id, run_id = proposal["account_id"], run.run_id
    standing = _current_version(amendments, lake, run_id, account_id)
    if standing.proposal.is_empty() or standing.proposal["proposal_id"][0] != proposal_id:
        raise WrongUsage(f"{proposal_id} is not the account's newest version")
    wanted = _wish_by_security(standing.orders, wish)
    shard = lake.runs_of(account_id)[run_id]
    night = RunRef(run_id, run.as_of_date, run.kind, run.shard_count)
    facts = household_facts(read_facts(lake, night, shard), account_id)
    solved, by_account = solve_again(lake, night, shard, facts, account_id)
    _need_same(solved, lake, run_id, account_id)
    new = amend_orders(solved, standing, wanted, by_account=by_account, run_id=run_id, version=proposal["version"] + 1)
    need_conserved(new.proposal, new.orders, new.relief, facts.lots)
    return amendments.amend_proposal(
        proposal_id,
        seen or ReviewedVersion(proposal["content_hash"]),
        proposal=new.proposal,
        orders=new.orders,
        lots=new.relief,
        actor=actor,
        note=note,
        now=now,
    )


def _need_same(solved: Solved, lake: Lake, run_id: str, account_id: str) -> None:
    """Refuse to change trades that this version of the program would not have made.

    Raises
    ------
    ConservationBroken
        Solving the account again gives other orders, or other lots.
    """
    if not is_as_its_night(solved, lake, run_id, account_id):
        raise ConservationBroken(
            "solving the account again gives other orders than its night did\n\n"
            "Hint: the program may have changed since; run the night again, or approve or reject the proposal as it is."
        )


def _current_version(amendments: Amendments, lake: Lake, run_id: str, account_id: str) -> ProposalVersion:
    names = ("proposals", "orders", "lot_relief")
    tables = {table: lake.read_account(table, run_id, account_id) for table in names}
    rows = newest_rows(tables, amendments.amended(run_id, account_id))
    return ProposalVersion(*(rows[table] for table in names))


def _wish_by_security(orders: pl.DataFrame, wish: Sequence[tuple[str, Decimal]]) -> Wish:
    """The wish by side and security."""
    if len(dict(wish)) < len(wish):
        raise WrongUsage("an order is named twice; say once what is to become of it")
    found: dict[tuple[Side, str], Decimal] = {}
    for name, quantity in wish:
        is_it = (pl.col("order_id") == name) | (pl.col("symbol") == name) | (pl.col("security_id") == name)
        rows = orders.filter(is_it).select("side", "security_id").rows()
        if len(rows) != 1:
            how_many = "several orders" if rows else "no order"
            listed = ", ".join(sorted(orders["symbol"].fill_null("").to_list()))
            raise WrongUsage(
                f"the proposal has {how_many} called {name}\n\nHint: it has {listed}, or name the order by its id."
            )
        key = Side(rows[0][0]), rows[0][1]
        if key in found:
            raise WrongUsage(f"the order to {key[0]} {key[1]} is named twice; say once what is to become of it")
        found[key] = quantity
    return found
