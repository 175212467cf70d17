"""Work that a person asked of the console and that a process beside it does: asked for under a role, taken by one process, finished once.

Who asked is the actor of all that the process does. The row is asked for first and the process started after it, so that what was asked is
known whatever becomes of the process.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Role
from schemas.errors import WrongUsage
from warehouse.ledger.access import need_role
from warehouse.ledger.runs.halts import need_no_halt
from warehouse.ledger.store import Event, JobKind, JobRow, Store, canonical, jobs
from warehouse.ledger.store import audit_chain as ledger_audit

LEAVING: Final = frozenset({JobKind.RESUME, JobKind.EXPORT, JobKind.DELIVER})
"""What a halt stops."""
OPEN: Final = jobs.c.finished_at.is_(None)


def _job_in(connection: Connection, job_id: int) -> JobRow:
    row = connection.execute(sa.select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise WrongUsage(f"there is no job {job_id}\n\nHint: the console's page Runs lists them.")
    return JobRow.of(row)


class Jobs(Store):
    """Asking for work, taking it, and saying what became of it."""

    def ask_job(self, kind: JobKind, wanted: Mapping[str, Any], *, actor: str, now: datetime) -> JobRow:
        """Ask for work; ``wanted`` says what exactly, as values that JSON holds.

        Raises
        ------
        DecisionRefused
            The actor is neither releaser nor admin, or no admin and names a source that is not the settings'.
        RunHeld
            Everything is halted, and it would let something go on or leave.
        WrongUsage
            The same is under way already, or a resumption has no note.
        """
        asked = json.dumps(dict(wanted), sort_keys=True)
        with self.writing() as connection:
            need_role(connection, actor, *([] if wanted.get("source") else [Role.RELEASER]))
            if kind in LEAVING:
                need_no_halt(connection)
            if kind is JobKind.RESUME and not str(wanted.get("note", "")).strip():
                raise WrongUsage("a release needs a note that says why the run may go on")
            same = connection.execute(sa.select(jobs).where(OPEN, jobs.c.kind == kind, jobs.c.wanted == asked)).first()
            if same is not None:
                raise WrongUsage(
                    f"{same.actor} asked for the same at {same.asked_at:%H:%M:%S} UTC, and it is under way\n\nHint: wait for its end."
                )
            values = {"kind": kind, "wanted": asked, "actor": actor, "asked_at": now}
            job_id = connection.execute(sa.insert(jobs).values(**values).returning(jobs.c.job_id)).scalar_one()
            detail = canonical({"job": job_id, "kind": kind, "wanted": dict(wanted)})
            run_id = wanted.get("run_id")
            ledger_audit.append(connection, [Event(actor, "job_asked", run_id, detail=detail)], now)
            return _job_in(connection, job_id)

    def begin_job(self, job_id: int, *, host: str, process: int, now: datetime) -> JobRow:
        """Take the work; one process does, once.

        Raises
        ------
        WrongUsage
            There is no such job, or a process has taken it.
        """
        with self.writing() as connection:
            job = _job_in(connection, job_id)
            if job.began_at is not None or job.finished_at is not None:
                raise WrongUsage(f"job {job_id} was taken before; needed one that no process has begun")
            taken = {"host": host, "process": process, "began_at": now}
            connection.execute(sa.update(jobs).where(jobs.c.job_id == job_id).values(**taken))
            return _job_in(connection, job_id)

    def finish_job(self, job_id: int, *, exit_code: int, told: str, run_id: str | None, now: datetime) -> bool:
        """Say what it came to; false if that was said before, which stands."""
        with self.writing() as connection:
            job = _job_in(connection, job_id)
            if job.finished_at is not None:
                return False
            done = {"finished_at": now, "exit_code": exit_code, "told": told, "run_id": run_id}
            connection.execute(sa.update(jobs).where(jobs.c.job_id == job_id).values(**done))
            detail = canonical({"job": job_id, "kind": job.kind, "exit_code": exit_code})
            ledger_audit.append(connection, [Event(job.actor, "job_finished", run_id, detail=detail)], now)
            return True

    def get_job(self, job_id: int) -> JobRow:
        """One job.

        Raises
        ------
        WrongUsage
            There is none of this number.
        """
        with self.reading() as connection:
            return _job_in(connection, job_id)

    def list_jobs(self, limit: int = 20, *, is_open: bool = False) -> list[JobRow]:
        """The jobs asked for last, newest first; only what is under way with ``is_open``."""
        query = sa.select(jobs).order_by(jobs.c.job_id.desc()).limit(limit)
        with self.reading() as connection:
            return [JobRow.of(row) for row in connection.execute(query.where(OPEN) if is_open else query)]
