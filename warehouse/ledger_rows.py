"""Rows of the ledger as the rest of the program sees them: frozen, with enums and UTC times."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from schemas.enums import Role, RunKind, RunState, Step
from warehouse.ledger_tables import Decision, ExportState


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known of a run when it starts. ``scope`` null: every account of the source."""

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


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. ``held_reason`` stays after a release, so that it can be read what was released; ``released_by`` null: not released."""

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

    @classmethod
    def of(cls, row: Any) -> "RunRow":
        """From a row of the table; null counts become an empty dictionary."""
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        counts = json.loads(values.pop("counts") or "{}")
        kind, state = RunKind(values.pop("kind")), RunState(values.pop("state"))
        return cls(**values, kind=kind, state=state, counts=counts)


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
    """One export of a run. ``manifest_sha256`` and ``finished_at`` are null while it is being written."""

    export_id: str
    run_id: str
    sequence: int
    state: ExportState
    actor: str
    folder: str
    manifest_sha256: str | None
    started_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> "ExportRow":
        """From a row of the table."""
        values = dict(row._mapping)  # noqa: SLF001
        return cls(**{**values, "state": ExportState(values["state"])})


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
