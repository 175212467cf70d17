"""The ledger: what people and machines decided. Small, constrained, transactional; SQLite or PostgreSQL by address alone.

Its parts: runs and steps (``ledger_runs``), the files they took (``ledger_inputs``), rows released from quarantine
(``ledger_releases``), proposals and their states (``ledger_proposals``), the queue (``ledger_queue``), decisions
(``ledger_decisions``), versions that people made of proposals (``ledger_amend``), exports (``ledger_exports``), where they were delivered (``ledger_deliveries``), what came back
(``ledger_executions``, ``ledger_fills``), what looks between the nights found (``ledger_breaches``), who may work now (``ledger_turns``), the kill switch (``ledger_halts``), users (``ledger_users``), how they sign
in (``ledger_access``) and the audit chain (``ledger_audit``).
Every method is one transaction, and every transition appends to the audit chain inside it.
"""

from contextlib import ExitStack
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from schemas.errors import Retryable, WrongUsage
from warehouse.ledger.access import Access, SessionRow, TokenRow, Users
from warehouse.ledger.executions import (
    Allotments,
    Answers,
    ExecutionFile,
    ExecutionReading,
    Executions,
    Fills,
    Rules,
    Settled,
    Sought,
    Stretch,
    TakenFile,
)
from warehouse.ledger.export import Deliveries, Exports
from warehouse.ledger.monitor import Breaches, ScopeRow
from warehouse.ledger.review import (
    Amended,
    Amendments,
    BatchDecision,
    Decisions,
    Filter,
    Page,
    Queue,
    Releases,
    ReviewedVersion,
    Sort,
    Totals,
)
from warehouse.ledger.runs import Halts, Inputs, LandedBefore, Runs, Turns
from warehouse.ledger.schema import bring_up_to_date
from warehouse.ledger.store import (
    OPEN_STATES,
    Audit,
    AuditRow,
    Decision,
    DecisionRow,
    DeliveryRow,
    DeliveryState,
    ExportRow,
    ExportState,
    HaltRow,
    InputRow,
    InputState,
    NewRun,
    RunRow,
    SignIn,
    StepRow,
    UserRow,
    create_engine,
)

__all__ = [
    "OPEN_STATES",
    "Amended",
    "AuditRow",
    "BatchDecision",
    "Decision",
    "DecisionRow",
    "DeliveryRow",
    "DeliveryState",
    "ExecutionFile",
    "ExecutionReading",
    "ExportRow",
    "ExportState",
    "Filter",
    "HaltRow",
    "InputRow",
    "InputState",
    "LandedBefore",
    "Ledger",
    "NewRun",
    "Page",
    "ReviewedVersion",
    "Rules",
    "RunRow",
    "ScopeRow",
    "SessionRow",
    "Settled",
    "SignIn",
    "Sort",
    "Sought",
    "StepRow",
    "Stretch",
    "TakenFile",
    "TokenRow",
    "Totals",
    "UserRow",
]


class Ledger(
    Runs,
    Inputs,
    Releases,
    Queue,
    Decisions,
    Amendments,
    Exports,
    Deliveries,
    Executions,
    Answers,
    Fills,
    Allotments,
    Breaches,
    Turns,
    Halts,
    Users,
    Access,
    Audit,
):
    """All of it behind one name."""

    @classmethod
    def open(cls, address: str, *, owner: str, now: datetime) -> "Ledger":
        """Open the ledger at a SQLAlchemy address, making or upgrading its tables first.

        The first opening of all makes ``owner`` a user with the role ``admin``. In SQLite the folder and the file are
        for their owner alone.

        Raises
        ------
        WrongUsage
            The address is not one, is no ledger, or is of a newer version of the program.
        Retryable
            The database cannot be reached, or is locked for too long.
        """
        try:
            shown = sa.make_url(address).render_as_string(hide_password=True)
            ledger = cls(create_engine(address))
            with ExitStack() as unless_opened:
                unless_opened.callback(ledger.close)
                bring_up_to_date(ledger, owner=owner, now=now)
                unless_opened.pop_all()
        except ArgumentError:
            raise WrongUsage(
                "the ledger's address is not one\n\nHint: sqlite:///path or postgresql://host/db."
            ) from None
        except ModuleNotFoundError as error:
            raise WrongUsage(f"{shown} needs a driver: {error}\n\nHint: for PostgreSQL install psycopg.") from error
        except OSError as error:
            raise WrongUsage(f"the ledger at {shown} cannot be written: {error.strerror}") from error
        except OperationalError as error:
            raise Retryable(f"the ledger at {shown} cannot be reached: {error.orig}") from error
        except DatabaseError as error:
            raise WrongUsage(f"{shown} is not a ledger: {error.orig}") from error
        return ledger
