"""Rows of the ledger as the rest of the program sees them: frozen, with enums and UTC times."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from schemas.enums import Role, RunKind, RunState, Step
from warehouse.ledger.store.words import Decision, DeliveryState, ExportState, InputState, JobKind


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known of a run when it starts.

    ``scope`` null: every account of the source. ``base_run_id``: the earlier run of the night that this one adds late files
    to. ``is_simulation``: its orders go to a simulated broker, and to no place.
    """

    run_id: str
    as_of_date: date
    kind: RunKind
    submitter: str
    input_hash: str
    code_version: str
    source: str
    scope: str | None = None
    shard_count: int = 0
    accounts_pulled: int = 0
    base_run_id: str | None = None
    is_simulation: bool = False


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run.

    ``held_reason`` stays after a release, so that it can be read what was released; ``released_by`` null: not released.
    ``held_guards`` are the guards that held it so far, oldest first.
    """

    run_id: str
    as_of_date: date
    kind: RunKind
    state: RunState
    submitter: str
    input_hash: str
    code_version: str
    source: str
    scope: str | None
    shard_count: int
    accounts_pulled: int
    counts: dict[str, int]
    started_at: datetime
    finished_at: datetime | None
    held_reason: str | None
    released_by: str | None
    release_note: str | None
    held_guards: tuple[str, ...]
    base_run_id: str | None
    is_simulation: bool

    @classmethod
    def of(cls, row: Any) -> "RunRow":
        """From a row of the table; null counts become an empty dictionary, null guards an empty tuple."""
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        counts = json.loads(values.pop("counts") or "{}")
        kind, state = RunKind(values.pop("kind")), RunState(values.pop("state"))
        guards = values.pop("held_guards")
        return cls(
            **values, kind=kind, state=state, counts=counts, held_guards=tuple(guards.split("|")) if guards else ()
        )

    def is_released_for(self, guards: Iterable[str]) -> bool:
        """Whether a person let the run go on past all these guards."""
        return self.released_by is not None and set(guards) <= set(self.held_guards)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRow:
    """One table of one file that a run looked for.

    ``number`` counts a run's inputs from 0. ``first_row`` and ``last_row`` are the row numbers that its rows have in the
    landed table; ``reader`` is the digest of the format that read it, empty for a landing file; ``sequence`` is the file's
    own number, where it has one. ``note`` says why a refused or awaited file gave no rows.
    """

    number: int
    source: str
    name: str
    table_name: str
    first_row: int
    row_count: int
    last_row: int
    size_bytes: int
    sha256: str
    state: InputState
    taken_at: datetime
    modified_at: datetime | None = None
    sequence: int | None = None
    reader: str = ""
    note: str | None = None

    @classmethod
    def of(cls, row: Any) -> "InputRow":
        """From a row of the table."""
        values = dict(row._mapping)  # noqa: SLF001
        del values["run_id"]
        return cls(**{**values, "state": InputState(values["state"])})


@dataclass(frozen=True, slots=True)
class HaltRow:
    """One throw of the kill switch; in force while ``lifted_at`` is null."""

    halt_id: int
    actor: str
    note: str
    halted_at: datetime
    lifted_by: str | None
    lift_note: str | None
    lifted_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepRow:
    """A finished step of a shard: rows written and seconds taken."""

    step: Step
    shard: int
    rows: int
    seconds: float
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What one person said about one proposal; ``content_hash`` is what they saw."""

    proposal_id: str
    content_hash: str
    actor: str
    decision: Decision
    note: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One export of a run. ``manifest_sha256`` and ``finished_at`` are null while it is being written.

    ``abandoned_by`` and ``abandon_note``: who gave it up and why; ``finished_at`` is then when, and no order of it ever left.

    ``plan`` is what it is written by; null: no profile, key or delivery. ``part``: its number among those claimed together.
    """

    export_id: str
    run_id: str
    sequence: int
    state: ExportState
    actor: str
    folder: str
    manifest_sha256: str | None
    started_at: datetime
    finished_at: datetime | None
    plan: str | None = None
    abandoned_by: str | None = None
    abandon_note: str | None = None
    part: int = 1

    @classmethod
    def of(cls, row: Any) -> "ExportRow":
        """From a row of the table."""
        values = dict(row._mapping)  # noqa: SLF001
        return cls(**{**values, "state": ExportState(values["state"])})


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One export on its way to one place.

    ``problem``: why the last attempt failed; null: none did, or it is delivered. ``sent_count``: how many files, in the order in which
    they are sent, the place has acknowledged.
    """

    export_id: str
    name: str
    url: str
    state: DeliveryState
    file_count: int
    size_bytes: int
    manifest_sha256: str
    attempts: int
    sent_count: int
    problem: str | None
    started_at: datetime
    delivered_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> "DeliveryRow":
        """From a row of the table."""
        values = dict(row._mapping)  # noqa: SLF001
        return cls(**{**values, "state": DeliveryState(values["state"])})


@dataclass(frozen=True, slots=True)
class JobRow:
    """Work that a person asked of the console, and the process that does it, on which host.

    ``began_at`` null: no process has taken it; ``finished_at`` and ``exit_code`` null: it is under way. ``told``: what it came to.
    """

    job_id: int
    kind: JobKind
    wanted: dict[str, Any]
    actor: str
    asked_at: datetime
    host: str | None
    process: int | None
    began_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    run_id: str | None
    told: str | None

    @classmethod
    def of(cls, row: Any) -> "JobRow":
        """From a row of the table."""
        values = dict(row._mapping)  # noqa: SLF001
        return cls(**{**values, "kind": JobKind(values["kind"]), "wanted": json.loads(values["wanted"])})


@dataclass(frozen=True, slots=True)
class UserRow:
    """A named user; without roles they may do nothing."""

    name: str
    roles: frozenset[Role]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One link of the audit chain. ``detail`` is JSON with sorted keys."""

    seq: int
    at: datetime
    actor: str
    run_id: str | None
    proposal_id: str | None
    event: str
    from_state: str | None
    to_state: str | None
    detail: str
    previous_hash: str
    hash: str
