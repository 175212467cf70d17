"""The review queue as commands, pages and the API see it: one service layer over the ledger.

A filter is text such as ``state=pending_review,custodian=northbank,min_value=10000``; all its conditions hold. Values are
the proposals' gross value in USD. Without ``state`` only what waits for review is meant; ``state=any`` means every state
and ``state=approved|exported`` either.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

import polars as pl

from schemas.enums import ProposalState, Route, Trigger
from schemas.errors import WrongUsage
from tasks.core.anomalies import anomaly_sentence
from warehouse.ledger import Decision, DecisionRow, Ledger

Word = TypeVar("Word", ProposalState, Route, Trigger)
Reader = Callable[[str, str], pl.DataFrame]
"""Reads a table of the lake for a run: ``read(table, run_id)``."""

KEYS: Final = ("state", "run", "account", "custodian", "route", "min_value", "max_value", "trigger")
MIN_PREFIX: Final = 6
"""Fewest characters by which a proposal may be named."""
ANY_STATE: Final = "any"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which proposals are meant. Null: no condition; ``states`` null: every state."""

    states: frozenset[ProposalState] | None = frozenset({ProposalState.PENDING_REVIEW})
    run: str | None = None
    account: str | None = None
    custodian: str | None = None
    route: Route | None = None
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    trigger: Trigger | None = None


@dataclass(frozen=True, slots=True)
class Detail:
    """One proposal with all that a reviewer looks at. ``lots``: which lots each sell closes."""

    proposal: dict[str, Any]
    orders: pl.DataFrame
    lots: pl.DataFrame
    decisions: tuple[DecisionRow, ...]
    unusual: str | None
    """How the account's change of value is unusual, in a sentence; null where it is not."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision led to: the state of each proposal afterwards."""

    decision: Decision
    states: dict[str, ProposalState]


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


_FIELDS: Final = {"state": "states"}
_VALUES: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "state": _states,
    "route": lambda key, value: _word(Route, key, value),
    "trigger": lambda key, value: _word(Trigger, key, value),
    "min_value": _amount,
    "max_value": _amount,
}


def queue(ledger: Ledger, wanted: Filter, *, now: datetime) -> pl.DataFrame:
    """Proposals that match, by account; what is past its time has expired first."""
    ledger.expire(now)
    found = ledger.list_proposals(states=wanted.states, run_id=wanted.run, account_id=wanted.account)
    return found.filter(*_conditions(wanted))


def _conditions(wanted: Filter) -> list[pl.Expr]:
    conditions = [pl.lit(value=True)]
    if wanted.custodian is not None:
        conditions.append(pl.col("custodian") == wanted.custodian)
    if wanted.route is not None:
        conditions.append(pl.col("route") == wanted.route.value)
    if wanted.min_value is not None:
        conditions.append(pl.col("gross_value_usd") >= wanted.min_value)
    if wanted.max_value is not None:
        conditions.append(pl.col("gross_value_usd") <= wanted.max_value)
    if wanted.trigger is not None:
        conditions.append(pl.col("triggers").str.split("|").list.contains(wanted.trigger.value))
    return conditions


def show(ledger: Ledger, name: str, read: Reader, *, now: datetime) -> Detail:
    """One proposal, named in full or by the beginning of its name, with its orders and lots from the lake.

    Raises
    ------
    WrongUsage
        No proposal, or several, have such a name.
    """
    ledger.expire(now)
    (proposal_id,) = resolve(ledger, [name])
    proposal = ledger.get_proposal(proposal_id)
    if proposal is None:
        raise WrongUsage(f"there is no proposal {proposal_id}")
    orders = read("orders", proposal["run_id"]).filter(pl.col("proposal_id") == proposal_id)
    lots = read("lot_relief", proposal["run_id"]).filter(pl.col("order_id").is_in(orders["order_id"].to_list()))
    anomalies = read("anomalies", proposal["run_id"]).filter(pl.col("account_id") == proposal["account_id"])
    known = anomalies.select("residual_bps", "score", "nights").row(0) if anomalies.height else (None, None, 0)
    return Detail(proposal, orders, lots, tuple(ledger.decisions_of(proposal_id)), anomaly_sentence(*known))


def resolve(ledger: Ledger, names: Iterable[str]) -> list[str]:
    """Full names of proposals given in full or by a beginning of at least ``MIN_PREFIX`` characters.

    Raises
    ------
    WrongUsage
        A beginning is too short, unknown, or shared by several proposals.
    """
    return list(dict.fromkeys(_resolve_one(ledger, name) for name in names))


def _resolve_one(ledger: Ledger, name: str) -> str:
    if ledger.get_proposal(name) is not None:
        return name
    if len(name) < MIN_PREFIX:
        raise WrongUsage(f"{name!r} is too short; name a proposal by at least {MIN_PREFIX} characters")
    found = ledger.find_proposals(name)
    if not found:
        raise WrongUsage(f"there is no proposal {name}\n\nHint: `trimtab review list` shows them.")
    if len(found) > 1:
        raise WrongUsage(f"{name} is the beginning of several proposals, {found[0]} and {found[1]} among them")
    return found[0]


def decide(
    ledger: Ledger, names: Iterable[str], decision: Decision, *, actor: str, now: datetime, note: str = ""
) -> Decided:
    """Decide proposals given by name, all or none. See ``Ledger.decide``."""
    return Decided(decision, ledger.decide(resolve(ledger, names), decision=decision, actor=actor, now=now, note=note))


def decide_matching(
    ledger: Ledger, wanted: Filter, decision: Decision, *, actor: str, now: datetime, note: str = ""
) -> Decided:
    """Decide everything that matches, exactly as it stood when it matched, all or none."""
    found = queue(ledger, wanted, now=now)
    seen = dict(zip(found["proposal_id"], found["content_hash"], strict=True))
    states = ledger.decide(seen, decision=decision, actor=actor, now=now, note=note, content_hashes=seen)
    return Decided(decision, states)


def approve(ledger: Ledger, names: Iterable[str], *, actor: str, now: datetime, note: str = "") -> Decided:
    """Approve; with two approvals needed, the first leaves the proposal in the queue."""
    return decide(ledger, names, Decision.APPROVE, actor=actor, now=now, note=note)


def reject(ledger: Ledger, names: Iterable[str], *, actor: str, now: datetime, note: str) -> Decided:
    """Reject, with a note that says why."""
    return decide(ledger, names, Decision.REJECT, actor=actor, now=now, note=note)


def hold(ledger: Ledger, names: Iterable[str], *, actor: str, now: datetime, note: str = "") -> Decided:
    """Record that somebody wants to look again; the proposal stays where it is."""
    return decide(ledger, names, Decision.HOLD, actor=actor, now=now, note=note)


def withdraw(ledger: Ledger, names: Iterable[str], *, actor: str, now: datetime, note: str = "") -> Decided:
    """Take an approval back before it is exported."""
    return decide(ledger, names, Decision.WITHDRAW, actor=actor, now=now, note=note)
