"""What waits for whom, and until when: proposals by approver needed, exports, held runs, changes of models and of policy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from schemas.enums import ChangeState, ProposalState, Role, RunState
from warehouse.ledger import ModelChanges, PolicyChanges, Proposals, RunRow, Runs, Users, Waits

MOST_RUNS: Final = 50
"""How many runs, the newest, are looked through for held ones."""


class WaitKind(StrEnum):
    """What is waited for."""

    APPROVAL = "approval"
    SECOND_APPROVAL = "second_approval"
    HELD_BACK = "held_back"
    EXPORT = "export"
    HELD_RUN = "held_run"
    MODEL_CHANGE = "model_change"
    POLICY_CHANGE = "policy_change"


_ROLES: Final = {
    WaitKind.EXPORT: Role.RELEASER,
    WaitKind.HELD_RUN: Role.RELEASER,
}
"""Whose turn it is; a reviewer's where a kind is not named. An admin's, always."""


@dataclass(frozen=True, slots=True)
class WaitStores:
    """What is read to know what waits."""

    proposals: Proposals
    waits: Waits
    users: Users
    runs: Runs
    model_changes: ModelChanges
    policy_changes: PolicyChanges


@dataclass(frozen=True, slots=True)
class Waiting:
    """Things that wait alike. ``people``: who may do what is waited for, as roles stand now; nobody, and it waits for an admin to name somebody.

    ``expires_at``: when the first of them is too late; ``cut_off_at``: the custodian's next cut-off among them. Null: there is none.
    """

    kind: WaitKind
    role: Role
    people: tuple[str, ...]
    custodian: str | None
    subject: str | None
    count: int
    gross_value_usd: Decimal | None
    expires_at: datetime | None
    cut_off_at: datetime | None


def waiting_now(at: WaitStores, now: datetime) -> list[Waiting]:
    """Everything that waits, what is too late first first."""
    at.proposals.expire(now)
    roles = {user.name: user.roles for user in at.users.list_users()}
    found = [
        *_proposals(at, roles),
        *_runs(at, roles),
        *_model_changes(at, roles),
        *_policy_changes(at, roles),
    ]
    return sorted(found, key=lambda one: (one.expires_at is None, one.expires_at, one.kind, one.custodian or ""))


def held_runs(at: WaitStores) -> list[RunRow]:
    """Held runs whose place no other took, the newest first."""
    runs = at.runs.list_runs(MOST_RUNS)
    return [run for run in runs if run.state is RunState.HELD and at.runs.newer_run_of(run) is None]


def _proposals(at: WaitStores, roles: dict[str, frozenset[Role]]) -> Iterator[Waiting]:
    for row in at.waits.waiting_groups().iter_rows(named=True):
        kind = _kind_of(row)
        people = _people(kind, roles, without=[row["submitter"]] if kind is not WaitKind.EXPORT else [])
        yield Waiting(
            kind,
            _role_of(kind),
            (row["held_by"],) if kind is WaitKind.HELD_BACK else people,
            row["custodian"],
            None,
            row["proposals"],
            row["gross_value_usd"],
            row["expires_at"],
            row["cut_off_at"],
        )


def _kind_of(row: dict[str, Any]) -> WaitKind:
    if row["state"] != ProposalState.PENDING_REVIEW:
        return WaitKind.EXPORT
    if row["held_by"] is not None:
        return WaitKind.HELD_BACK
    return WaitKind.SECOND_APPROVAL if row["approvals"] else WaitKind.APPROVAL


def _runs(at: WaitStores, roles: dict[str, frozenset[Role]]) -> Iterator[Waiting]:
    for run in held_runs(at):
        people = _people(WaitKind.HELD_RUN, roles)
        yield Waiting(WaitKind.HELD_RUN, Role.RELEASER, people, None, run.run_id, 1, None, None, None)


def _model_changes(at: WaitStores, roles: dict[str, frozenset[Role]]) -> Iterator[Waiting]:
    found = at.model_changes.model_changes(ChangeState.PENDING_REVIEW)
    if found.height:
        people = _people(WaitKind.MODEL_CHANGE, roles)
        gross = sum(found["gross_value_usd"], Decimal(0))
        yield Waiting(WaitKind.MODEL_CHANGE, Role.REVIEWER, people, None, None, found.height, gross, None, None)


def _policy_changes(at: WaitStores, roles: dict[str, frozenset[Role]]) -> Iterator[Waiting]:
    for change in at.policy_changes.list_changes():
        if change.state == "pending":
            said = [change.proposer, *(vote.actor for vote in change.votes)]
            people = _people(WaitKind.POLICY_CHANGE, roles, without=said)
            yield Waiting(WaitKind.POLICY_CHANGE, Role.REVIEWER, people, None, change.policy_id, 1, None, None, None)


def _role_of(kind: WaitKind) -> Role:
    return _ROLES.get(kind, Role.REVIEWER)


def _people(kind: WaitKind, roles: dict[str, frozenset[Role]], without: Iterable[str] = ()) -> tuple[str, ...]:
    wanted = {_role_of(kind), Role.ADMIN}
    return tuple(sorted(name for name, has in roles.items() if has & wanted and name not in set(without)))
