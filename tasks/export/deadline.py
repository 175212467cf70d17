"""Whether an export may still leave: asked while it is written, and once more before its folder has its name.

It may not while everything is halted, once it was given up, and from the moment on at which a proposal of it is past its
custodian's cut-off or its own expiry. A folder that has its name has left, whatever the time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from schemas.errors import Terminal
from warehouse.ledger import Abandons, Deadline, Halts


@dataclass(frozen=True, slots=True)
class ExportDeadline:
    """Asks each time it is called; stops the export by raising."""

    halts: Halts
    abandonments: Abandons
    export_id: str
    deadline: Deadline | None
    began_at: datetime
    clock: Callable[[], float]
    """Seconds; how long it is since the first reading is added to ``began_at``."""
    first_reading: float

    @classmethod
    def of(
        cls, halts: Halts, abandonments: Abandons, export_id: str, now: datetime, clock: Callable[[], float]
    ) -> Self:
        """The gate of an export that goes on ``now``."""
        return cls(halts, abandonments, export_id, abandonments.deadline_of(export_id), now, clock, clock())

    def __call__(self) -> None:
        """Ask.

        Raises
        ------
        RunHeld
            Everything is halted.
        DecisionRefused
            The export was given up.
        Terminal
            It is too late for it.
        """
        self.halts.need_no_halt()
        self.abandonments.need_claim(self.export_id)
        now = self.began_at + timedelta(seconds=self.clock() - self.first_reading)
        if self.deadline is not None and self.deadline.at <= now:
            raise Terminal(
                f"export {self.export_id} is too late to leave: {_deadline_sentence(self.deadline)}\n\n"
                f"Hint: `trimtab export abandon {self.export_id} --note WHY` gives it up; its accounts get new proposals "
                "with the next run."
            )


def _deadline_sentence(deadline: Deadline) -> str:
    at = f"{deadline.at:%Y-%m-%d %H:%M} UTC"
    if deadline.is_cut_off:
        return f"the cut-off of {deadline.custodian} was at {at}"
    return f"its proposal {deadline.proposal_id} for {deadline.custodian} expired at {at}"
