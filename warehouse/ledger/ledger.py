"""The ledger: what people and machines decided. Small, constrained, transactional; SQLite or PostgreSQL by address alone.

Every method is one transaction, and every transition appends to the audit chain inside it.
"""

from contextlib import ExitStack
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from schemas.errors import Retryable, WrongUsage
from warehouse.ledger.access import Access, Users
from warehouse.ledger.executions import Allotments, Answers, Executions, Fills
from warehouse.ledger.export import Abandons, Deliveries, Exports
from warehouse.ledger.monitor import Breaches, Followers
from warehouse.ledger.review import (
    Amendments,
    Decisions,
    ModelChanges,
    PolicyChanges,
    Proposals,
    Queue,
    Releases,
    Waits,
)
from warehouse.ledger.runs import Halts, Inputs, Jobs, Runs, Turns
from warehouse.ledger.schema import bring_up_to_date
from warehouse.ledger.store import Audit, Store, create_engine


class Ledger(Store):
    """All parts of the ledger on one engine; a caller is handed the part that it works with."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.runs = Runs(engine)
        self.inputs = Inputs(engine)
        self.locks = Turns(engine)
        self.halts = Halts(engine)
        self.jobs = Jobs(engine)
        self.proposals = Proposals(engine)
        self.queue = Queue(engine)
        self.waits = Waits(engine)
        self.decisions = Decisions(engine)
        self.amendments = Amendments(engine)
        self.model_changes = ModelChanges(engine)
        self.policy_changes = PolicyChanges(engine)
        self.readmissions = Releases(engine)
        self.exports = Exports(engine)
        self.abandonments = Abandons(engine)
        self.deliveries = Deliveries(engine)
        self.executions = Executions(engine)
        self.answers = Answers(engine)
        self.fills = Fills(engine)
        self.allotments = Allotments(engine)
        self.breaches = Breaches(engine)
        self.followers = Followers(engine)
        self.users = Users(engine)
        self.access = Access(engine)
        self.audit = Audit(engine)

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
