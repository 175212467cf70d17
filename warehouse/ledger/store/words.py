"""Words of the ledger that mean nothing elsewhere, and the states that belong together."""

from enum import StrEnum
from typing import Final

from schemas.enums import ProposalState

OPEN_STATES: Final = (ProposalState.PENDING_REVIEW, ProposalState.APPROVED, ProposalState.AUTO_APPROVED)
"""Undecided or unexported: what a newer run supersedes and the clock expires. An account has at most one such proposal."""
RELEASABLE_STATES: Final = (ProposalState.APPROVED, ProposalState.AUTO_APPROVED)
"""What an export may claim."""
SENT_STATES: Final = (
    ProposalState.EXPORTED,
    ProposalState.ACKNOWLEDGED,
    ProposalState.FILLED,
    ProposalState.PARTLY_FILLED,
    ProposalState.FAILED,
)
"""Left in an export."""
AT_MARKET_STATES: Final = tuple(state for state in SENT_STATES if state is not ProposalState.FAILED)
"""Left in an export, and bought or sold for all we know."""
TOGETHER_STATES: Final = (
    *OPEN_STATES,
    ProposalState.REJECTED,
    ProposalState.EXPIRED,
    ProposalState.SUPERSEDED,
    ProposalState.WITHDRAWN,
    ProposalState.EXPORTED,
)
"""Where the proposals of a household that is managed together are together; what the market makes of each is its own."""
CLAIMED_STATES: Final = (*RELEASABLE_STATES, *SENT_STATES)
"""States that a proposal named by an export may have."""


class Decision(StrEnum):
    """What a person said about a proposal.

    ``hold`` keeps it from being approved by anybody else until ``unhold``; ``comment`` changes nothing.
    """

    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"
    UNHOLD = "unhold"
    WITHDRAW = "withdraw"
    COMMENT = "comment"


NOTED: Final = (Decision.REJECT, Decision.COMMENT)
"""What is said only with a note."""


class SignIn(StrEnum):
    """How a person showed who they are."""

    PASSWORD = "password"  # noqa: S105 - a word, not a password
    OIDC = "oidc"


class JobKind(StrEnum):
    """What a person asks of the console and a process beside it does. ``check`` and ``dry_run`` keep nothing."""

    CHECK = "check"
    DRY_RUN = "dry_run"
    NIGHT = "night"
    RESUME = "resume"
    EXPORT = "export"
    DELIVER = "deliver"


class ExportState(StrEnum):
    """``writing``: claimed, files not yet complete. ``abandoned``: given up before it left; none of its orders ever did."""

    WRITING = "writing"
    PUBLISHED = "published"
    ABANDONED = "abandoned"


class DeliveryState(StrEnum):
    """``sending``: not all of it has been acknowledged by the place."""

    SENDING = "sending"
    DELIVERED = "delivered"


class InputState(StrEnum):
    """What became of a file that a run looked for.

    ``copied``: its rows are those that an earlier run of the night read. ``refused`` and ``awaited`` (not there yet) gave
    no rows.
    """

    READ = "read"
    COPIED = "copied"
    REFUSED = "refused"
    AWAITED = "awaited"


RUN_EVENTS: Final = ("run_started", "run_resumed", "run_held", "run_released", "run_failed", "run_done")
"""Rows of the audit that say what state a run is in."""
TAKEN_STATES: Final = (InputState.READ, InputState.COPIED)
"""Files that gave a run its rows."""
