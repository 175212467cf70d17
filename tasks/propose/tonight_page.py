"""Tonight: what a run has come to so far, for people who watch it. Reads, never writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from schemas.enums import Outcome, ProposalState
from tasks.core.explain import AccountPart, Stage, funnel, histogram
from warehouse.lake import Lake
from warehouse.ledger import Filter, HaltRow, Halts, Proposals, Queue, RunRow, Runs, StepRow, Totals

OF_PROPOSALS: Final = ("account_id", "one_way_drift_after")


@dataclass(frozen=True, slots=True)
class RunPicture:
    """What the lake holds of a run; does not change once its run is done.

    ``before``, ``after``: accounts in each bin of ``funnel.STEPS`` by one-way drift; after as if every proposal were traded.
    """

    outcomes: pl.DataFrame
    before: Sequence[int]
    after: Sequence[int]


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A run as it stands. ``stages`` is empty until every account has an outcome and the proposals are in the queue."""

    run: RunRow
    halt: HaltRow | None
    stages: tuple[Stage, ...]
    before: Sequence[int]
    after: Sequence[int]
    reasons: tuple[tuple[str, str, int], ...]
    """Outcome, reason without its numbers, accounts; the most frequent first."""
    steps: tuple[StepRow, ...]
    cut_offs: Mapping[str, tuple[datetime, int]]
    """By custodian, the next cut-off and how many wait for a person before it."""
    waiting: Totals
    """What waits for a person, of every run."""
    ready: int
    """Proposals approved and not exported, of every run."""


def run_picture(lake: Lake, run_id: str) -> RunPicture:
    """What the lake holds of a run."""
    drift = lake.read("account_drift", run_id, columns=("account_id", "nav_usd", "one_way_drift"))
    after = lake.read("proposals", run_id, columns=OF_PROPOSALS)
    joined = drift.join(after, on="account_id", how="left").with_columns(
        pl.coalesce("one_way_drift_after", "one_way_drift").alias("after")
    )
    outcomes = lake.read("account_outcomes", run_id, columns=("account_id", "outcome", "reason"))
    return RunPicture(
        outcomes.join(drift.select("account_id", "nav_usd"), on="account_id", how="left"),
        histogram(joined["one_way_drift"]),
        histogram(joined["after"]),
    )


def run_progress(
    run: RunRow, seen: RunPicture, *, runs: Runs, proposals: Proposals, queue: Queue, halts: Halts, now: datetime
) -> RunProgress:
    """The run as it stands now."""
    proposals.expire(now)
    steps = tuple(runs.step_rows(run.run_id))
    states = {
        state: AccountPart(state, totals.count, float(totals.nav_usd), float(totals.gross_value_usd))
        for state, totals in queue.run_totals(run.run_id).items()
    }
    is_routed = seen.outcomes.height > 0 and bool(states or not _proposal_count(seen.outcomes))
    return RunProgress(
        run,
        halts.current_halt(),
        funnel(seen.outcomes, states) if is_routed else (),
        seen.before,
        seen.after,
        _reasons(seen.outcomes),
        steps,
        queue.next_cut_offs(now),
        queue.totals(Filter()),
        queue.totals(Filter(states=frozenset({ProposalState.APPROVED, ProposalState.AUTO_APPROVED}))).count,
    )


def _proposal_count(outcomes: pl.DataFrame) -> int:
    return outcomes.filter(pl.col("outcome") == Outcome.PROPOSED).height


def _reasons(outcomes: pl.DataFrame) -> tuple[tuple[str, str, int], ...]:
    found = (
        outcomes.filter(pl.col("outcome").is_in([str(Outcome.PROPOSED), str(Outcome.IN_BAND)]).not_())
        .with_columns(reason=pl.col("reason").fill_null("").str.split(": ").list.first())
        .group_by("outcome", "reason")
        .agg(accounts=pl.len())
        .sort("accounts", "outcome", "reason", descending=[True, False, False])
    )
    return tuple(found.iter_rows())
