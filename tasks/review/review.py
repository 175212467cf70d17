"""The review queue as commands, pages and the API see it: one service layer over the ledger.

A filter is text such as ``state=pending_review,custodian=northbank,min_value=10000``; all its conditions hold. Values are
the proposals' gross value in USD. Without ``state`` only what waits for review is meant; ``state=any`` means every state
and ``state=approved|exported`` either; ``held=no`` leaves out what somebody holds.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

import polars as pl

from schemas.enums import ProposalState, Route, Trigger
from schemas.errors import WrongUsage
from tasks.core.gate import anomaly_sentence
from warehouse.ledger import (
    Amendments,
    Decision,
    DecisionRow,
    Decisions,
    Filter,
    Proposals,
    Queue,
    ReviewedVersion,
    Sort,
)

Word = TypeVar("Word", ProposalState, Route, Trigger)
Reader = Callable[[str, str], pl.DataFrame]
"""Reads a table of the lake for a run: ``read(table, run_id)``."""

KEYS: Final = (
    "state",
    "run",
    "account",
    "household",
    "custodian",
    "route",
    "min_value",
    "max_value",
    "trigger",
    "reason",
    "min_tax",
    "min_turnover",
    "held",
    "assignee",
)
MIN_PREFIX: Final = 6
"""Fewest characters by which a proposal may be named."""
ANY_STATE: Final = "any"
EVERYTHING: Final = 10_000_000
"""More proposals than any ledger has."""
ANSWERS: Final = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class ProposalDetail:
    """One proposal with all that a reviewer looks at. ``lots``: which lots each sell closes."""

    proposal: dict[str, Any]
    orders: pl.DataFrame
    lots: pl.DataFrame
    decisions: tuple[DecisionRow, ...]
    unusual: str | None
    """How the account's change of value is unusual, in a sentence; null where it is not."""


@dataclass(frozen=True, slots=True)
class DecidedProposals:
    """What a decision led to: the state of each proposal afterwards, and why others were left as they are.

    ``households``: of those that are managed together, how many proposals were decided as one.
    """

    decision: Decision
    states: dict[str, ProposalState]
    refused: Mapping[str, str] = field(default_factory=dict)
    households: Mapping[str, int] = field(default_factory=dict)

    @property
    def together(self) -> list[str]:
        """A sentence for each household."""
        return sentences_of(self.households)


def sentences_of(households: Mapping[str, int]) -> list[str]:
    """``2 proposals of household H1 are one decision``, of each household with more than one."""
    return [
        f"{count:,} proposals of household {name} are one decision" for name, count in households.items() if count > 1
    ]


def decided_with(proposals: Proposals, names: Iterable[str]) -> tuple[int, list[str]]:
    """How many proposals a decision on some is about, and a sentence for each household among them."""
    rows = proposals.decided_with(names)
    households = Counter(row.household_id for row in rows if row.household_id is not None)
    return len(rows), sentences_of(households)


def parse_filter(text: str) -> Filter:
    """The filter that a text means; empty text: all that waits for review.

    Raises
    ------
    WrongUsage
        An unknown or repeated key, or a value that does not fit its key.
    """
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = (word.strip() for word in part.partition("="))
        if key not in KEYS:
            raise WrongUsage(f"a filter knows no {key!r}\n\nHint: it knows {', '.join(KEYS)}.")
        if not equals or not value:
            raise WrongUsage(f"the filter key {key} needs a value, as in {key}=...")
        if key in found:
            raise WrongUsage(f"the filter key {key} is given twice")
        found[key] = value
    return Filter(**{_FIELDS.get(key, key): _VALUES.get(key, _text)(key, value) for key, value in found.items()})


def _text(_key: str, value: str) -> str:
    return value


def _states(key: str, value: str) -> frozenset[ProposalState] | None:
    return None if value == ANY_STATE else frozenset(_word(ProposalState, key, word) for word in value.split("|"))


def _word(words: type[Word], key: str, value: str) -> Word:
    try:
        return words(value)
    except ValueError:
        raise WrongUsage(f"{value!r} is no {key}\n\nHint: one of {', '.join(words)}.") from None


def _amount(key: str, value: str) -> Decimal:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise WrongUsage(f"{key} must be an amount in USD such as 10000, not {value!r}")
    return amount


def _answer(key: str, value: str) -> bool:
    if value not in ANSWERS:
        raise WrongUsage(f"{key} is yes or no, not {value!r}")
    return ANSWERS[value]


def _fraction(key: str, value: str) -> Decimal:
    amount = _amount(key, value)
    if not 0 <= amount <= 1:
        raise WrongUsage(f"{key} is a fraction of NAV such as 0.1, not {value!r}")
    return amount


_FIELDS: Final = {"state": "states", "held": "is_held"}
_VALUES: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "state": _states,
    "route": lambda key, value: _word(Route, key, value),
    "trigger": lambda key, value: _word(Trigger, key, value),
    "min_value": _amount,
    "max_value": _amount,
    "min_tax": _amount,
    "min_turnover": _fraction,
    "held": _answer,
}


def queue(
    proposals: Proposals,
    queue: Queue,
    wanted: Filter,
    *,
    now: datetime,
    sort: Sort = Sort.ACCOUNT,
    limit: int | None = None,
) -> pl.DataFrame:
    """Proposals that match; what is past its time has expired first."""
    proposals.expire(now)
    return queue.page(wanted, sort=sort, limit=limit or EVERYTHING).rows


def show(proposals: Proposals, amendments: Amendments, name: str, read: Reader, *, now: datetime) -> ProposalDetail:
    """One proposal, named in full or by the beginning of its name, with its orders and lots.

    Raises
    ------
    WrongUsage
        No proposal, or several, have such a name.
    """
    proposals.expire(now)
    (proposal_id,) = resolve(proposals, [name])
    proposal = proposals.get_proposal(proposal_id)
    if proposal is None:
        raise WrongUsage(f"there is no proposal {proposal_id}")
    orders, lots = orders_and_lots(amendments, read, proposal)
    anomalies = read("anomalies", proposal["run_id"]).filter(pl.col("account_id") == proposal["account_id"])
    known = anomalies.select("residual_bps", "score", "nights").row(0) if anomalies.height else (None, None, 0)
    return ProposalDetail(proposal, orders, lots, tuple(proposals.decisions_of(proposal_id)), anomaly_sentence(*known))


def orders_and_lots(
    amendments: Amendments, read: Reader, proposal: Mapping[str, Any]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Orders of a proposal and the lots that they close: the first version's from the lake, a person's from the ledger."""
    if proposal["version"] > 1:
        return amendments.version_rows(proposal["proposal_id"])
    orders = read("orders", proposal["run_id"]).filter(pl.col("proposal_id") == proposal["proposal_id"])
    lots = read("lot_relief", proposal["run_id"]).filter(pl.col("order_id").is_in(orders["order_id"].to_list()))
    return orders, lots


def resolve(proposals: Proposals, names: Iterable[str]) -> list[str]:
    """Full names of proposals given in full or by a beginning of at least ``MIN_PREFIX`` characters.

    Raises
    ------
    WrongUsage
        A beginning is too short, unknown, or shared by several proposals.
    """
    return list(dict.fromkeys(_resolve_one(proposals, name) for name in names))


def _resolve_one(proposals: Proposals, name: str) -> str:
    if proposals.get_proposal(name) is not None:
        return name
    if len(name) < MIN_PREFIX:
        raise WrongUsage(f"{name!r} is too short; name a proposal by at least {MIN_PREFIX} characters")
    found = proposals.find_proposals(name)
    if not found:
        raise WrongUsage(f"there is no proposal {name}\n\nHint: `trimtab review list` shows them.")
    if len(found) > 1:
        raise WrongUsage(f"{name} is the beginning of several proposals, {found[0]} and {found[1]} among them")
    return found[0]


def decide(
    decisions: Decisions,
    proposals: Proposals,
    names: Iterable[str],
    decision: Decision,
    *,
    actor: str,
    now: datetime,
    note: str = "",
) -> DecidedProposals:
    """Decide proposals given by name, all or none. See ``Decisions.decide``."""
    states = decisions.decide(resolve(proposals, names), decision=decision, actor=actor, now=now, note=note)
    return DecidedProposals(decision, states, households=_decided_as_one(decisions, decision, states))


def _decided_as_one(decisions: Decisions, decision: Decision, states: Iterable[str]) -> dict[str, int]:
    return {} if decision is Decision.COMMENT else decisions.households_of(states)


def decide_matching(
    decisions: Decisions,
    proposals: Proposals,
    queue: Queue,
    wanted: Filter,
    decision: Decision,
    *,
    actor: str,
    now: datetime,
    note: str = "",
    is_all_or_none: bool = True,
) -> DecidedProposals:
    """Decide everything that matches, exactly as it stood when it matched.

    With ``is_all_or_none`` one proposal that cannot be decided refuses the batch; without, the others are decided.
    """
    seen = seen_matching(proposals, queue, wanted, now=now)
    return decide_seen(decisions, seen, decision, actor=actor, now=now, note=note, is_all_or_none=is_all_or_none)


def seen_matching(proposals: Proposals, queue: Queue, wanted: Filter, *, now: datetime) -> dict[str, ReviewedVersion]:
    """Everything that matches as it stands now, to be decided later exactly as it is seen."""
    proposals.expire(now)
    return {one: ReviewedVersion(content) for one, content in queue.seen(wanted).items()}


def decide_seen(
    decisions: Decisions,
    seen: Mapping[str, ReviewedVersion],
    decision: Decision,
    *,
    actor: str,
    now: datetime,
    note: str = "",
    is_all_or_none: bool = False,
) -> DecidedProposals:
    """Decide those of the proposals that still are what was seen and can be decided; says why the others cannot.

    With ``is_all_or_none`` one that cannot be decided refuses the batch.
    """
    taken = decisions.decide_seen(
        seen, decision=decision, actor=actor, now=now, note=note, is_all_or_none=is_all_or_none
    )
    return DecidedProposals(decision, taken.states, taken.refused, _decided_as_one(decisions, decision, taken.states))


def assign(
    decisions: Decisions, proposals: Proposals, names: Iterable[str], assignee: str | None, *, actor: str, now: datetime
) -> None:
    """Say who is to look at some proposals and the others of their households; null: nobody in particular."""
    decisions.assign(resolve(proposals, names), assignee, actor=actor, now=now)
