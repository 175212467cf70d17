"""Asking for a decision, and telling what became of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nicegui import ui

from console.shared import note_dialog, plural
from schemas.enums import ProposalState
from warehouse.ledger import Decision

VERBS: Final = {
    Decision.APPROVE: "Approve",
    Decision.REJECT: "Reject",
    Decision.HOLD: "Hold",
    Decision.UNHOLD: "Release the hold on",
    Decision.WITHDRAW: "Withdraw the approval of",
    Decision.COMMENT: "Comment on",
}
DONE: Final = {
    Decision.APPROVE: "approved",
    Decision.REJECT: "rejected",
    Decision.HOLD: "held",
    Decision.UNHOLD: "released",
    Decision.WITHDRAW: "withdrawn",
    Decision.COMMENT: "commented on",
}
NEEDS_NOTE: Final = frozenset({Decision.REJECT, Decision.COMMENT})
NAMED: Final = 5
"""How many refusals a notice names."""


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """What became of a decision on some proposals; ``together``: a sentence for each household that was decided as one."""

    decision: Decision
    states: Mapping[str, ProposalState]
    refused: Mapping[str, str]
    together: Sequence[str] = ()


def told_together(what: str, together: Sequence[str]) -> str:
    """What is to be decided, and which of it are households."""
    if not together:
        return what
    more = f"; and so for {len(together) - NAMED:,} more households" if len(together) > NAMED else ""
    return f"{what} ({'; '.join(together[:NAMED])}{more})"


async def decision_dialog(decision: Decision, what: str, *, is_asked: bool) -> str | None:
    """The note to decide with; null: not after all. Without ``is_asked`` nothing is asked."""
    if not is_asked:
        return ""
    verb = VERBS[decision]
    return await note_dialog(f"{verb} {what}?", "", verb.split(" ", maxsplit=1)[0], is_needed=decision in NEEDS_NOTE)


def tell(outcome: DecisionResult) -> None:
    """A notice of what was done, and one of what was not and why."""
    if outcome.states:
        waiting = sum(1 for state in outcome.states.values() if state is ProposalState.PENDING_REVIEW)
        text = f"{plural(len(outcome.states), 'proposal')} {DONE[outcome.decision]}."
        if outcome.decision is Decision.APPROVE and waiting:
            text += f" {waiting:,} of them wait for a second person."
        if outcome.together:
            text += f" {told_together('Together', outcome.together)}."
        ui.notify(text, type="positive")
    if outcome.refused:
        reasons = Counter(outcome.refused.values()).most_common(NAMED)
        lines = "; ".join(f"{number:,}: {reason}" for reason, number in reasons)
        ui.notify(
            f"{plural(len(outcome.refused), 'proposal')} left as they are. {lines}",
            type="warning",
            multi_line=True,
            timeout=12_000,
            close_button="Close",
        )
