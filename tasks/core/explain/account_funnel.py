"""The night as a funnel: how many accounts, worth how much, came how far, and where the others stopped.

    pulled -> valid -> in scope -> proposed -> approved -> exported

Each stage is the next one and those that stopped in between; ``funnel`` refuses numbers that do not add up to that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.enums import Outcome, ProposalState, Reason
from schemas.errors import ConservationBroken

ABSENT_FILES: Final = (Reason.AWAITING_FILE, Reason.FILE_REFUSED)
"""Reasons of ``blocked`` accounts whose holdings are not known."""
UNDECIDED: Final = (ProposalState.PROPOSED, ProposalState.PENDING_REVIEW)
ENDED: Final = (ProposalState.REJECTED, ProposalState.EXPIRED, ProposalState.SUPERSEDED, ProposalState.WITHDRAWN)
READY: Final = (ProposalState.APPROVED, ProposalState.AUTO_APPROVED)
STEPS: Final = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
"""Lower edges of the histogram of one-way drift; the last bin has no upper edge."""


@dataclass(frozen=True, slots=True)
class AccountPart:
    """Some accounts: how many, what they are worth, and what their proposals trade; both in USD.

    ``nav_usd`` counts an account whose value is not known as nothing.
    """

    name: str
    accounts: int
    nav_usd: float
    traded_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Accounts that came this far, and those of them that stop here, by why."""

    here: AccountPart
    stopped: tuple[AccountPart, ...] = ()


def funnel(outcomes: pl.DataFrame, states: Mapping[str, AccountPart]) -> tuple[Stage, ...]:
    """The six stages of a run.

    Parameters
    ----------
    outcomes
        One row an account pulled: ``outcome``, ``reason``, ``nav_usd`` (null: not known).
    states
        What stands in each state of the run's proposals; one proposal an account that was proposed.

    Raises
    ------
    ConservationBroken
        Proposals are not the accounts proposed.
    """
    by_outcome = _by_outcome(outcomes)
    proposed = by_outcome.get(Outcome.PROPOSED, AccountPart("", 0, 0.0))
    queued = _sum("proposed", states.values())
    if queued.accounts != proposed.accounts:
        raise ConservationBroken(f"{proposed.accounts} accounts are proposed, but {queued.accounts} are in the queue")
    every = _sum("pulled", by_outcome.values())
    stages = [
        _stage(every, by_outcome, (Outcome.QUARANTINED, Outcome.ERROR, *(str(reason) for reason in ABSENT_FILES))),
        _stage(AccountPart("valid", 0, 0.0), by_outcome, (Outcome.FROZEN, Outcome.COOLING_DOWN)),
        _stage(AccountPart("in scope", 0, 0.0), by_outcome, (Outcome.IN_BAND, Outcome.NO_TRADE, Outcome.BLOCKED)),
        _stage(queued, states, (*UNDECIDED, *ENDED)),
        _stage(AccountPart("approved", 0, 0.0), states, READY),
        Stage(AccountPart("exported", 0, 0.0)),
    ]
    return tuple(_flowing(stages, proposed.nav_usd))


def _stage(here: AccountPart, parts: Mapping[str, AccountPart], stops: Sequence[str]) -> Stage:
    return Stage(here, tuple(parts[stop] for stop in stops if stop in parts))


def _flowing(stages: Sequence[Stage], proposed_nav_usd: float) -> list[Stage]:
    """Each stage after the first as what the one before left; the value of what is proposed is the outcomes' own."""
    found = [stages[0]]
    for stage in stages[1:]:
        before = found[-1]
        left = before.here.accounts - sum(part.accounts for part in before.stopped)
        nav = before.here.nav_usd - sum(part.nav_usd for part in before.stopped)
        traded = before.here.traded_usd - sum(part.traded_usd for part in before.stopped)
        if stage.here.name == "proposed":
            nav, traded = proposed_nav_usd, stage.here.traded_usd
        found.append(Stage(AccountPart(stage.here.name, left, nav, traded), stage.stopped))
    return found


def _by_outcome(outcomes: pl.DataFrame) -> dict[str, AccountPart]:
    """Accounts by outcome; those of whom a file is absent by that reason instead of ``blocked``."""
    reason = pl.col("reason").fill_null("").str.split(": ").list.first()
    is_absent = (pl.col("outcome") == Outcome.BLOCKED) & reason.is_in([str(one) for one in ABSENT_FILES])
    found = (
        outcomes.with_columns(name=pl.when(is_absent).then(reason).otherwise(pl.col("outcome").cast(pl.String)))
        .group_by("name")
        .agg(accounts=pl.len(), nav_usd=pl.col("nav_usd").sum().cast(pl.Float64))
        .sort("name")
    )
    return {name: AccountPart(name, accounts, nav or 0.0) for name, accounts, nav in found.iter_rows()}


def _sum(name: str, parts: Iterable[AccountPart]) -> AccountPart:
    each = list(parts)
    return AccountPart(
        name,
        sum(part.accounts for part in each),
        sum(part.nav_usd for part in each),
        sum(part.traded_usd for part in each),
    )


def histogram(drifts: pl.Series) -> list[int]:
    """How many one-way drifts lie in each bin of ``STEPS``, its lower edge included; null ones are left out."""
    edges = pl.Series(STEPS, dtype=pl.Float64)
    place = edges.search_sorted(drifts.drop_nulls(), side="right") - 1
    counts = dict(place.clip(0).value_counts().iter_rows())
    return [int(counts.get(number, 0)) for number in range(len(STEPS))]
