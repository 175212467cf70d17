"""Runs and their finished steps.

A run moves ``running -> done``, ``running -> held -> running`` (a person releases it) and ``running -> failed -> running``
(it is started again). A hold is never lost: only a release ends it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Role, RunKind, RunState, Step
from schemas.errors import RunHeld, WrongUsage
from warehouse.ledger.access import need_role
from warehouse.ledger.runs.halts import need_no_halt
from warehouse.ledger.store import GUARD, Event, NewRun, RunRow, StepRow, Store, audit, canonical, runs, steps
from warehouse.ledger.store import audit_chain as ledger_audit

NEWEST_NIGHT: Final = (runs.c.as_of_date.desc(), runs.c.started_at.desc(), runs.c.run_id.desc())
NEWEST_START: Final = (runs.c.started_at.desc(), runs.c.run_id.desc())
FLOW_RUN: Final = "flow_run"
IS_DONE: Final = runs.c.state == RunState.DONE
IS_FULL_NIGHT: Final = (runs.c.kind == RunKind.NIGHTLY) & runs.c.scope.is_(None) & runs.c.base_run_id.is_(None)
"""A night on every account, and not one that adds late files to another."""


def run_in(connection: Connection, run_id: str) -> RunRow:
    """The run.

    Raises
    ------
    WrongUsage
        No such run.
    """
    row = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).one_or_none()
    if row is None:
        raise WrongUsage(f"there is no run {run_id}\n\nHint: `trimtab runs` lists them.")
    return RunRow.of(row)


def _move(connection: Connection, run: RunRow, to: RunState, event: Event, now: datetime, **values: Any) -> None:
    """Append the audit row and change a run's state; ``event`` brings actor, name and detail."""
    linked = Event(event.actor, event.event, run.run_id, None, run.state, to, event.detail)
    ledger_audit.append(connection, [linked], now)
    connection.execute(sa.update(runs).where(runs.c.run_id == run.run_id).values(state=to, **values))


def _resume(connection: Connection, run: RunRow, actor: str, now: datetime) -> None:
    _move(connection, run, RunState.RUNNING, Event(actor, "run_resumed"), now, finished_at=None)


def _newest_flow_run(connection: Connection, run_id: str) -> str | None:
    is_it = (audit.c.run_id == run_id) & (audit.c.event == FLOW_RUN)
    return connection.scalar(sa.select(audit.c.detail).where(is_it).order_by(audit.c.seq.desc()).limit(1))


class Runs(Store):
    """What is known of each run."""

    def start_run(self, new: NewRun, now: datetime) -> RunRow:
        """Insert the run, or return the one of the same name as it stands; one that had failed is running again."""
        with self.writing() as connection:
            known = connection.execute(sa.select(runs.c.state).where(runs.c.run_id == new.run_id)).scalar()
            if known is None:
                event = Event(new.submitter, "run_started", new.run_id, to_state=RunState.RUNNING)
                ledger_audit.append(connection, [event], now)
                connection.execute(sa.insert(runs), {**asdict(new), "state": RunState.RUNNING, "started_at": now})
            elif known == RunState.FAILED:
                _resume(connection, run_in(connection, new.run_id), new.submitter, now)
            return run_in(connection, new.run_id)

    def resume_run(self, run_id: str, now: datetime) -> None:
        """Let a run that had failed be running again; any other stays as it is."""
        with self.writing() as connection:
            run = run_in(connection, run_id)
            if run.state is RunState.FAILED:
                _resume(connection, run, run.submitter, now)

    def get_run(self, run_id: str) -> RunRow | None:
        """The run, or null."""
        with self.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).one_or_none()
        return None if row is None else RunRow.of(row)

    def newest_run(self) -> RunRow | None:
        """The run of the newest as-of date; among several of that date, the one started last."""
        return self._newest(sa.true())

    def list_runs(self, limit: int | None = 20) -> list[RunRow]:
        """The runs started last, newest first."""
        with self.reading() as connection:
            return [RunRow.of(row) for row in connection.execute(sa.select(runs).order_by(*NEWEST_START).limit(limit))]

    def find_runs(self, text: str, limit: int) -> list[RunRow]:
        """The first few runs whose name has the text, whatever its case; newest first."""
        has_it = sa.func.lower(runs.c.run_id).contains(text.lower(), autoescape=True)
        with self.reading() as connection:
            found = connection.execute(sa.select(runs).where(has_it).order_by(*NEWEST_NIGHT).limit(limit))
            return [RunRow.of(row) for row in found]

    def latest_full_run(self, before: date) -> RunRow | None:
        """The run that finished a whole night, of the newest as-of date before ``before``."""
        return self._newest(IS_DONE & IS_FULL_NIGHT & (runs.c.as_of_date < before))

    def full_run_of(self, as_of: date) -> RunRow | None:
        """The run started last among those that finished the whole night of that date."""
        return self._newest(IS_DONE & IS_FULL_NIGHT & (runs.c.as_of_date == as_of))

    def full_nights(self, limit: int) -> list[RunRow]:
        """The run that counts for each of the newest nights, newest night first: the one started last that finished the whole night."""
        place = sa.func.row_number().over(
            partition_by=runs.c.as_of_date, order_by=(runs.c.started_at.desc(), runs.c.run_id.desc())
        )
        ranked = sa.select(runs.c.run_id, place.label("place")).where(IS_DONE & IS_FULL_NIGHT).subquery()
        newest = sa.select(ranked.c.run_id).where(ranked.c.place == 1)
        query = sa.select(runs).where(runs.c.run_id.in_(newest)).order_by(runs.c.as_of_date.desc()).limit(limit)
        with self.reading() as connection:
            return [RunRow.of(row) for row in connection.execute(query)]

    def newer_run_of(self, run: RunRow) -> RunRow | None:
        """The newest finished run that took the place of ``run``: a later one of the whole night, or of its late files."""
        is_newer = (runs.c.as_of_date == run.as_of_date) & (runs.c.started_at > run.started_at)
        is_late = runs.c.base_run_id == run.base_run_id if run.base_run_id else sa.false()
        return self._newest(IS_DONE & is_newer & (IS_FULL_NIGHT | is_late))

    def _newest(self, condition: sa.ColumnElement[bool]) -> RunRow | None:
        query = sa.select(runs).where(condition).order_by(*NEWEST_NIGHT).limit(1)
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else RunRow.of(row)

    def done_runs_since(self, run: RunRow, before: date) -> list[RunRow]:
        """Finished runs of any kind started when ``run`` was or later, of dates before ``before``; in order of their start."""
        is_since = (runs.c.started_at >= run.started_at) & (runs.c.as_of_date < before)
        query = sa.select(runs).where(IS_DONE & is_since).order_by(runs.c.started_at, runs.c.run_id)
        with self.reading() as connection:
            return [RunRow.of(row) for row in connection.execute(query)]

    def set_run_shape(self, run_id: str, shard_count: int, accounts_pulled: int) -> None:
        """Note into how many shards the run is cut and how many accounts it pulled."""
        with self.writing() as connection:
            run_in(connection, run_id)
            values = {"shard_count": shard_count, "accounts_pulled": accounts_pulled}
            connection.execute(sa.update(runs).where(runs.c.run_id == run_id).values(**values))

    def note_flow_run(self, run_id: str, flow_run: str, now: datetime) -> None:
        """Note which flow run of the orchestrator works on the run; the same again changes nothing."""
        with self.writing() as connection:
            run = run_in(connection, run_id)
            detail = canonical({"flow_run": flow_run})
            if _newest_flow_run(connection, run_id) != detail:
                ledger_audit.append(connection, [Event(run.submitter, FLOW_RUN, run_id, detail=detail)], now)

    def flow_run_of(self, run_id: str) -> str | None:
        """The flow run that worked on the run last; null: none is known."""
        with self.reading() as connection:
            detail = _newest_flow_run(connection, run_id)
        return None if detail is None else str(json.loads(detail)["flow_run"])

    def hold_run(
        self, run_id: str, reason: str, now: datetime, *, guards: Sequence[str] = (), first: str | None = None
    ) -> None:
        """Guards stop the run. Holding it again keeps the first reason; a release given before is used up.

        The guards join those that held it before, so that the next release covers what was released already. ``first``, what
        a person should look at first, is told in the audit chain alone.

        Raises
        ------
        WrongUsage
            The run is not running.
        """
        with self.writing() as connection:
            run = run_in(connection, run_id)
            if run.state is RunState.HELD:
                return
            if run.state is not RunState.RUNNING:
                raise WrongUsage(f"run {run_id} is {run.state}; only a running one can be held")
            told = {"reason": reason, "guards": list(guards), **({} if first is None else {"first": first})}
            event = Event(GUARD, "run_held", detail=canonical(told))
            held = {"held_reason": reason, "held_guards": "|".join(dict.fromkeys([*run.held_guards, *guards])) or None}
            _move(connection, run, RunState.HELD, event, now, **held, released_by=None, release_note=None)

    def release_run(self, run_id: str, *, actor: str, note: str, now: datetime) -> None:
        """A person lets a held run go on; remembered in ``released_by``, so that the guard lets it pass next time.

        Raises
        ------
        DecisionRefused
            The actor is neither releaser nor admin.
        RunHeld
            Everything is halted.
        WrongUsage
            The run is not held, or the note is empty.
        """
        with self.writing() as connection:
            run = run_in(connection, run_id)
            need_role(connection, actor, Role.RELEASER)
            need_no_halt(connection)
            if run.state is not RunState.HELD:
                raise WrongUsage(f"run {run_id} is {run.state}, not held")
            if not note.strip():
                raise WrongUsage("a release needs a note that says why the run may go on")
            event = Event(actor, "run_released", detail=canonical({"note": note, "reason": run.held_reason}))
            _move(connection, run, RunState.RUNNING, event, now, released_by=actor, release_note=note)

    def fail_run(self, run_id: str, reason: str, now: datetime) -> None:
        """Note that a running run broke off; one that is held or done stays so."""
        with self.writing() as connection:
            run = run_in(connection, run_id)
            if run.state is RunState.RUNNING:
                event = Event(run.submitter, "run_failed", detail=canonical({"reason": reason}))
                _move(connection, run, RunState.FAILED, event, now, finished_at=now)

    def finish_run(self, run_id: str, counts: Mapping[str, int], now: datetime) -> None:
        """Close a running run with its counts; a second time changes nothing.

        Raises
        ------
        RunHeld
            The run is held.
        WrongUsage
            The run has failed and was not started again.
        """
        with self.writing() as connection:
            run = run_in(connection, run_id)
            if run.state is RunState.DONE:
                return
            if run.state is RunState.HELD:
                raise RunHeld(f"run {run_id} is held: {run.held_reason}")
            if run.state is not RunState.RUNNING:
                raise WrongUsage(f"run {run_id} is {run.state}; only a running one can be finished")
            event = Event(run.submitter, "run_done", detail=canonical(dict(counts)))
            _move(connection, run, RunState.DONE, event, now, finished_at=now, counts=event.detail)

    def finish_step(self, run_id: str, step: Step, shard: int, *, rows: int, seconds: float, now: datetime) -> None:
        """Note that a step of a shard is in the lake; doing it again replaces the note."""
        key = {"run_id": run_id, "step": step, "shard": shard}
        with self.writing() as connection:
            run_in(connection, run_id)
            connection.execute(sa.delete(steps).filter_by(**key))
            connection.execute(sa.insert(steps), {**key, "rows": rows, "seconds": seconds, "finished_at": now})

    def finished_steps(self, run_id: str) -> frozenset[tuple[Step, int]]:
        """Step and shard of all that is finished."""
        return frozenset((row.step, row.shard) for row in self.step_rows(run_id))

    def step_rows(self, run_id: str) -> list[StepRow]:
        """Finished steps in the order in which they finished."""
        columns = [steps.c.step, steps.c.shard, steps.c.rows, steps.c.seconds, steps.c.finished_at]
        query = sa.select(*columns).where(steps.c.run_id == run_id).order_by(steps.c.finished_at, steps.c.shard)
        with self.reading() as connection:
            found = connection.execute(query).all()
        return [StepRow(Step(step), *rest) for step, *rest in found]
