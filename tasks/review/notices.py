"""What a person should know of without asking: held runs, approvals that wait for them, breaks that are due, changes of model that wait."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from schemas.enums import ChangeState, Role
from tasks.review.waiting import WaitStores, held_runs
from warehouse.ledger import AnswerGrace, Answers, SentFilter

OPERATES: Final = frozenset({Role.RELEASER, Role.ADMIN})
REVIEWS: Final = frozenset({Role.REVIEWER, Role.ADMIN})


class NoticeKind(StrEnum):
    """What a notice is about."""

    HELD_RUN = "held_run"
    APPROVALS = "approvals"
    BREAKS = "breaks"
    MODEL_CHANGES = "model_changes"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to know of. ``subject``: the run that is held; ``until``: when the first approval is too late."""

    kind: NoticeKind
    count: int
    subject: str = ""
    until: datetime | None = None

    @property
    def key(self) -> str:
        """What makes it another notice than one that was told before."""
        return f"{self.kind} {self.subject}"


def notices_for(
    at: WaitStores, answers: Answers, grace: AnswerGrace, name: str, roles: frozenset[Role]
) -> list[Notice]:
    """What somebody with these roles should know of; what they can do nothing about is left out."""
    found = [*(_to_operate(at, answers, grace) if roles & OPERATES else ())]
    return [*found, *(_to_review(at, name) if roles & REVIEWS else ())]


def _to_operate(at: WaitStores, answers: Answers, grace: AnswerGrace) -> Iterator[Notice]:
    for run in held_runs(at):
        yield Notice(NoticeKind.HELD_RUN, 1, run.run_id)
    breaks = sum(answers.break_counts("code", SentFilter(grace=grace)).values())
    if breaks:
        yield Notice(NoticeKind.BREAKS, breaks)


def _to_review(at: WaitStores, name: str) -> Iterator[Notice]:
    count, first = at.waits.waiting_for(name)
    if count:
        yield Notice(NoticeKind.APPROVALS, count, until=first)
    changes = at.model_changes.model_changes(ChangeState.PENDING_REVIEW).height
    if changes:
        yield Notice(NoticeKind.MODEL_CHANGES, changes)
