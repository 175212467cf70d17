"""Errors in two families: ``Retryable`` (the same call may succeed later) and ``Terminal`` (a person or a new input is needed).

An account that cannot be traded is a row with a reason, never an exception. A message says what was found and what was
needed, then gives a hint.
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command ends with."""

    DONE = 0  #: done
    FAILED = 1  #: unexpected failure; or a store is busy or does not answer, and the same command may succeed later
    WRONG_USAGE = 2  #: wrong usage, or a decision that a rule refuses
    HELD = 3  #: held by a guard: `trimtab status`, then `trimtab resume RUN --note "…"`; or a file of executions raised an alarm
    INPUT_REFUSED = 4  #: the input was refused
    STRICT = 5  #: done, but accounts were quarantined or blocked and `--strict` was given


class TrimtabError(Exception):
    """Any failure we foresee. ``str()`` of it is fit to show to a person; ``exit_code`` is the command's."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class Retryable(TrimtabError):
    """The same call may succeed later: a locked database, a conflict, a network that comes and goes."""


class Terminal(TrimtabError):
    """Trying again gives the same answer until a person or a new input changes something."""


class WrongUsage(Terminal):
    """The command was asked for something that does not exist or does not fit."""

    exit_code = ExitCode.WRONG_USAGE


class RunHeld(Terminal):
    """A guard holds the run; a person releases it with a note."""

    exit_code = ExitCode.HELD


class InputRefused(Terminal):
    """The landing folder as a whole cannot be used: a table, a column or a file is missing or unreadable."""

    exit_code = ExitCode.INPUT_REFUSED


class DecisionRefused(Terminal):
    """A review decision breaks a rule: stale, not permitted, the same person twice, or already decided."""

    exit_code = ExitCode.WRONG_USAGE


class ConservationBroken(Terminal):
    """Something that must add up does not. Nothing of the run may leave.

    ``first`` shows where, with its account: for the ledger and whoever may read it, not for logs and pages of others.
    """

    exit_code = ExitCode.HELD

    def __init__(self, message: str, first: str | None = None) -> None:
        super().__init__(message)
        self.first = first


class LedgerBusy(Retryable):
    """The ledger is locked by another writer."""


class LedgerUnreachable(Retryable):
    """The ledger's server does not answer, or broke off."""


class LakeBusy(Retryable):
    """The lake's catalogue is locked, or another writer committed first."""


class StoreRefused(Terminal):
    """The machine refuses to read or write ledger or lake: no room, or no access."""


class SourceUnreachable(Retryable):
    """A source does not answer, or broke off while it was read."""


class PlaceUnreachable(Retryable):
    """A place that exports are delivered to does not answer, or broke off while it was written to."""


class AuditBroken(Terminal):
    """The ledger was changed outside the program; ``seq`` is the first row of the audit chain that does not fit, null where all do."""

    def __init__(self, seq: int | None, message: str) -> None:
        super().__init__(message)
        self.seq = seq
