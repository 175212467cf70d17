"""Changes of policy that a study stands behind: proposed by one person, in force once two others approve, gone once one rejects."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Role
from schemas.errors import DecisionRefused, WrongUsage
from warehouse.ledger.access import need_role
from warehouse.ledger.store import VOTES_NEEDED, Event, Store, canonical, policy_changes, policy_votes
from warehouse.ledger.store import audit_chain as ledger_audit

PENDING, ADOPTED, REJECTED = "pending", "adopted", "rejected"
ID_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class PolicyVote:
    """What one person said of a change."""

    actor: str
    is_approved: bool
    note: str
    voted_at: datetime


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A change and what was said of it; ``content`` as it was proposed."""

    change_id: str
    policy_id: str
    study_id: str
    study_policy: str
    content: dict[str, Any]
    note: str
    proposer: str
    proposed_at: datetime
    votes: tuple[PolicyVote, ...]

    @property
    def state(self) -> str:
        """``pending``, ``adopted`` once enough people approve, ``rejected`` once one does not."""
        if any(not vote.is_approved for vote in self.votes):
            return REJECTED
        return ADOPTED if len(self.votes) >= VOTES_NEEDED else PENDING


class PolicyChanges(Store):
    """Proposing changes of policy, and deciding on them."""

    def propose_change(
        self,
        policy_id: str,
        study_id: str,
        study_policy: str,
        content: dict[str, Any],
        *,
        actor: str,
        note: str,
        now: datetime,
    ) -> PolicyChange:
        """Enter a change; the same once more, while it waits, is what is there.

        Raises
        ------
        DecisionRefused
            The actor is neither reviewer nor admin, or the same change was decided.
        """
        text = canonical(content)
        change_id = sha256(canonical([policy_id, study_id, study_policy, content]).encode()).hexdigest()[:ID_LENGTH]
        with self.writing() as connection:
            need_role(connection, actor, Role.REVIEWER)
            if (known := _change_in(connection, change_id)) is not None:
                if known.state != PENDING:
                    raise DecisionRefused(
                        f"this change is {known.state} already, as {change_id}\n\nHint: `trimtab lab changes` has it."
                    )
                return known
            row = {"change_id": change_id, "policy_id": policy_id, "study_id": study_id, "study_policy": study_policy}
            given = {"content": text, "note": note, "proposer": actor, "proposed_at": now}
            connection.execute(sa.insert(policy_changes), row | given)
            detail = canonical({**row, "note": note, "content": content})
            ledger_audit.append(connection, [Event(actor, "policy_change_proposed", detail=detail)], now)
            return _need_change(connection, change_id)

    def vote(self, change_id: str, *, is_approved: bool, actor: str, note: str, now: datetime) -> PolicyChange:
        """Approve or reject a change that waits.

        Raises
        ------
        DecisionRefused
            The actor is neither reviewer nor admin, proposed it, has voted, or it is decided.
        WrongUsage
            There is none of that name, or a rejection has no note.
        """
        with self.writing() as connection:
            need_role(connection, actor, Role.REVIEWER)
            change = _need_change(connection, change_id)
            if change.state != PENDING:
                raise DecisionRefused(f"change {change_id} is {change.state} already\n\nHint: propose another.")
            if actor == change.proposer:
                raise DecisionRefused(f"{actor} proposed the change; needed are two other people")
            if any(vote.actor == actor for vote in change.votes):
                raise DecisionRefused(f"{actor} has approved the change; needed is another person")
            if not is_approved and not note.strip():
                raise WrongUsage("a rejection needs a note that says why")
            row = {"change_id": change_id, "actor": actor, "is_approved": is_approved, "note": note, "voted_at": now}
            connection.execute(sa.insert(policy_votes), row)
            after = _need_change(connection, change_id)
            said = "policy_change_approved" if is_approved else "policy_change_rejected"
            detail = canonical(
                {"change_id": change_id, "policy_id": change.policy_id, "note": note, "state": after.state}
            )
            ledger_audit.append(connection, [Event(actor, said, detail=detail)], now)
        return after

    def get_change(self, change_id: str) -> PolicyChange:
        """The change whose name begins so.

        Raises
        ------
        WrongUsage
            There is none, or several.
        """
        with self.reading() as connection:
            return _need_change(connection, change_id)

    def list_changes(self) -> list[PolicyChange]:
        """All of them, the newest first."""
        query = sa.select(policy_changes.c.change_id).order_by(
            policy_changes.c.proposed_at.desc(), policy_changes.c.change_id
        )
        with self.reading() as connection:
            return [_need_change(connection, name) for name in connection.scalars(query).all()]


def _need_change(connection: Connection, change_id: str) -> PolicyChange:
    found = _change_in(connection, change_id)
    if found is None:
        raise WrongUsage(f"there is no change {change_id}\n\nHint: `trimtab lab changes` lists them.")
    return found


def _change_in(connection: Connection, change_id: str) -> PolicyChange | None:
    row = connection.execute(sa.select(policy_changes).where(policy_changes.c.change_id == change_id)).one_or_none()
    if row is None:
        return None
    query = sa.select(policy_votes).where(policy_votes.c.change_id == change_id).order_by(policy_votes.c.voted_at)
    votes = [PolicyVote(*each[1:]) for each in connection.execute(query)]
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return PolicyChange(**values | {"content": json.loads(values["content"]), "votes": tuple(votes)})
