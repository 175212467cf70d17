"""The part of the REST API that starts, resumes and halts, as the pages do: by role, with notes, on record."""

from datetime import date, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints

from console.api.caller import Caller, Named, need_run
from console.api.models import NO_NUL, ApiModel, Text
from console.api.problems import ApiProblem
from console.shared import Backend
from schemas.errors import WrongUsage
from tasks.jobs import settle_lost, start_job
from warehouse.ledger import HaltRow, JobKind, JobRow

Note = Annotated[str, StringConstraints(min_length=1, max_length=4_000, pattern=NO_NUL)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class NightKind(StrEnum):
    """What is asked for: a check reads the files alone, a dry run computes all and keeps nothing."""

    CHECK = "check"
    DRY_RUN = "dry_run"
    NIGHT = "night"


class NightIn(ApiModel):
    """A night that is asked for; an admin may name another source than the settings'."""

    as_of_date: date
    kind: NightKind = NightKind.NIGHT
    source: Annotated[list[Text], Field(max_length=20, default_factory=list)]


class NoteIn(ApiModel):
    """Why; recorded."""

    note: Note


class JobOut(ApiModel):
    """Work that was asked for; ``finished_at`` and ``exit_code`` null: it is under way. ``told``: what it came to, a line each."""

    job_id: int
    kind: JobKind
    actor: str
    asked_at: datetime
    began_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    run_id: str | None
    told: list[str]

    @classmethod
    def of(cls, job: JobRow) -> "JobOut":
        """From the ledger's row."""
        return cls.made_of(job, told=(job.told or "").splitlines())


class HaltOut(ApiModel):
    """Whether everything that leaves is stopped; the rest is null where it is not."""

    is_halted: bool
    actor: str | None
    note: str | None
    halted_at: datetime | None

    @classmethod
    def of(cls, halt: HaltRow | None) -> "HaltOut":
        """From the ledger's row."""
        if halt is None:
            return cls(is_halted=False, actor=None, note=None, halted_at=None)
        return cls.made_of(halt, is_halted=True)


def add_operations(router: APIRouter, backend: Backend, reads: Any, writes: Any) -> None:
    """Nights and the halt. Needs the role releaser or admin too, which the ledger asks for."""
    _add_jobs(router, backend, reads, writes)
    ledger = backend.ledger

    @router.get("/halt", tags=["operations"])
    def halt(caller: Caller = reads) -> HaltOut:
        """Whether everything that leaves is stopped."""
        caller.need_everything("A halt")
        return HaltOut.of(ledger.halts.current_halt())

    @router.post("/halt", tags=["operations"])
    def throw(said: NoteIn, caller: Caller = writes) -> HaltOut:
        """Stop everything that leaves, also what is under way. Once more is the same."""
        caller.need_everything("A halt")
        ledger.halts.halt(caller.name, said.note, backend.now())
        return HaltOut.of(ledger.halts.current_halt())

    @router.post("/halt/lift", tags=["operations"])
    def lift(said: NoteIn, caller: Caller = writes) -> HaltOut:
        """Let things leave again; nothing does by itself."""
        caller.need_everything("A halt")
        if ledger.halts.current_halt() is None:
            raise ApiProblem(HTTPStatus.CONFLICT, "Nothing is halted.")
        ledger.halts.lift_halt(caller.name, said.note, backend.now())
        return HaltOut.of(ledger.halts.current_halt())


def _add_jobs(router: APIRouter, backend: Backend, reads: Any, writes: Any) -> None:
    @router.post("/runs", tags=["operations"], status_code=HTTPStatus.ACCEPTED)
    def start(wanted: NightIn, caller: Caller = writes) -> JobOut:
        """Ask for a night, a dry run or a check of the files; a process of its own does it, as the token's owner."""
        caller.need_everything("A run")
        return _ask(
            backend,
            caller,
            JobKind(wanted.kind),
            {"as_of": wanted.as_of_date.isoformat(), "source": list(wanted.source)},
        )

    @router.post("/runs/{run_id}/resumption", tags=["operations"], status_code=HTTPStatus.ACCEPTED)
    def resume(run_id: Named, said: NoteIn, caller: Caller = writes) -> JobOut:
        """Let a held run go on from where it stopped."""
        caller.need_everything("A run")
        run = need_run(backend, run_id)
        return _ask(backend, caller, JobKind.RESUME, {"run_id": run.run_id, "note": said.note})

    @router.get("/jobs/{job_id}", tags=["operations"])
    def job(job_id: Number, caller: Caller = reads) -> JobOut:
        """How far a night is that was asked for."""
        caller.need_everything("A run")
        settle_lost(backend.ledger.jobs, backend.now())
        try:
            return JobOut.of(backend.ledger.jobs.get_job(job_id))
        except WrongUsage:
            raise ApiProblem(HTTPStatus.NOT_FOUND, f"There is no job {job_id}.") from None


def _ask(backend: Backend, caller: Caller, kind: JobKind, wanted: dict[str, Any]) -> JobOut:
    job = start_job(backend.ledger.jobs, backend.settings, kind, wanted, actor=caller.name, now=backend.now())
    return JobOut.of(job)
