"""How people and machines show who they are: password hashes, sessions, tokens, and failures that slow guessing down.

Secrets never come here, only hashes of them. Whose roles were all taken away has no session and no token any more.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from schemas.enums import Role, Scope
from schemas.errors import WrongUsage
from warehouse.ledger.access.users import need_role, roles_in
from warehouse.ledger.store import (
    Event,
    SignIn,
    Store,
    canonical,
    saved_filters,
    sessions,
    sign_in_failures,
    tokens,
    users,
)
from warehouse.ledger.store import audit_chain as ledger_audit

SEEN_EVERY: Final = timedelta(minutes=1)
"""How exactly it is known when a session was last used; writing it at each look would queue readers up."""
FORGOTTEN_AFTER: Final = timedelta(days=1)
"""Failures are forgotten when the last is so long ago."""
KNOWN_FOR: Final = timedelta(days=90)
"""Under what somebody signed in is known for so long afterwards: a row without failures."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A person who is signed in, and what they may do now."""

    name: str
    roles: frozenset[Role]
    method: SignIn
    signed_in_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A machine's token. ``custodians`` null: all of them."""

    token_id: str
    label: str
    owner: str
    roles: frozenset[Role]
    scopes: frozenset[Scope]
    custodians: frozenset[str] | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed sign-ins in a row under a key, such as a name or an address; 0 once one was right."""

    count: int
    last_at: datetime


class Access(Store):
    """Signing in."""

    def set_password_hash(self, name: str, password_hash: str, *, actor: str, now: datetime) -> None:
        """Set a user's password and end their sessions.

        Raises
        ------
        WrongUsage
            No such user.
        DecisionRefused
            The actor is neither the user nor an admin.
        """
        with self.writing() as connection:
            if actor != name:
                need_role(connection, actor)
            _update_user(connection, name, password_hash=password_hash)
            _end_sessions(connection, name, now)
            ledger_audit.append(connection, [Event(actor, "password_set", detail=canonical({"user": name}))], now)

    def refresh_password_hash(self, name: str, password_hash: str) -> None:
        """The same password, hashed anew because hashing has become stronger."""
        with self.writing() as connection:
            _update_user(connection, name, password_hash=password_hash)

    def password_hash_of(self, name: str) -> str | None:
        """Hash of a user's password; null: they have none, or there is no such user."""
        with self.reading() as connection:
            return connection.scalar(sa.select(users.c.password_hash).where(users.c.name == name))

    def link_subject(self, name: str, subject: str, *, actor: str, now: datetime) -> None:
        """Let who an identity provider calls ``subject`` sign in as this user.

        Raises
        ------
        WrongUsage
            No such user, or the subject is somebody else.
        DecisionRefused
            The actor is no admin.
        """
        with self.writing() as connection:
            need_role(connection, actor)
            other = connection.scalar(sa.select(users.c.name).where(users.c.subject == subject, users.c.name != name))
            if other is not None:
                raise WrongUsage(f"this subject is {other} already\n\nHint: one person has one user.")
            _update_user(connection, name, subject=subject)
            detail = canonical({"user": name, "subject": subject})
            ledger_audit.append(connection, [Event(actor, "subject_linked", detail=detail)], now)

    def user_of_subject(self, subject: str) -> str | None:
        """Who an identity provider's subject is; null: nobody here."""
        with self.reading() as connection:
            return connection.scalar(sa.select(users.c.name).where(users.c.subject == subject))

    def start_session(
        self, name: str, session_hash: str, method: SignIn, *, now: datetime, expires_at: datetime
    ) -> None:
        """Enter that somebody signed in; sessions that are long over are forgotten."""
        with self.writing() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.expires_at < now - FORGOTTEN_AFTER))
            times = {"signed_in_at": now, "seen_at": now, "expires_at": expires_at}
            row = {"session_hash": session_hash, "name": name, "method": method.value, **times}
            connection.execute(sa.insert(sessions), row)
            detail = canonical({"method": method.value})
            ledger_audit.append(connection, [Event(name, "signed_in", detail=detail)], now)

    def session_user(
        self, session_hash: str, now: datetime, *, idle: timedelta, is_use: bool = True
    ) -> SessionRow | None:
        """Whose session it is; null: it is unknown, over, unused for longer than ``idle``, or its user has no role.

        Asking counts as using it, unless ``is_use`` says otherwise.
        """
        is_it = sessions.c.session_hash == session_hash
        with self.reading() as connection:
            row = connection.execute(sa.select(sessions).where(is_it)).one_or_none()
            roles = roles_in(connection, row.name) if row is not None else frozenset()
        if row is None or row.ended_at is not None or not roles or now >= min(row.expires_at, row.seen_at + idle):
            return None
        if is_use and now - row.seen_at >= SEEN_EVERY:
            with self.writing() as connection:
                connection.execute(sa.update(sessions).where(is_it).values(seen_at=now))
        return SessionRow(row.name, roles, SignIn(row.method), row.signed_in_at, row.expires_at)

    def end_session(self, session_hash: str, now: datetime) -> None:
        """Sign out."""
        is_open = (sessions.c.session_hash == session_hash) & sessions.c.ended_at.is_(None)
        with self.writing() as connection:
            name = connection.scalar(sa.select(sessions.c.name).where(is_open))
            if name is not None:
                connection.execute(sa.update(sessions).where(is_open).values(ended_at=now))
                ledger_audit.append(connection, [Event(name, "signed_out")], now)

    def begin_attempt(
        self, keys: Collection[str], known: str, allows: Callable[[Mapping[str, Failures]], bool], now: datetime
    ) -> bool:
        """Count a sign-in as failed under each key before it is looked at, where what stands under these and ``known`` allows it; whether it did.

        Attempts at the same time are counted one after the other. ``known`` counts nothing.
        """
        with self.writing() as connection:
            is_old = (sign_in_failures.c.failures > 0) & (sign_in_failures.c.last_at < now - FORGOTTEN_AFTER)
            is_long_unknown = sign_in_failures.c.last_at < now - KNOWN_FOR
            connection.execute(sa.delete(sign_in_failures).where(is_old | is_long_unknown))
            found = connection.execute(
                sa.select(sign_in_failures).where(sign_in_failures.c.key_hash.in_([*keys, known]))
            )
            counted = {row.key_hash: Failures(row.failures, row.last_at) for row in found}
            if not allows(counted):
                return False
            for key in keys:
                _count(connection, key, counted[key].count + 1 if key in counted else 1, now)
        return True

    def succeed(self, own: Collection[str], shared: str, now: datetime) -> None:
        """What was counted before was right after all: nothing stands against the keys of one's own, one less against a shared one."""
        with self.writing() as connection:
            for key in own:
                _count(connection, key, 0, now)
            less = {"failures": sign_in_failures.c.failures - 1}
            is_it = (sign_in_failures.c.key_hash == shared) & (sign_in_failures.c.failures > 0)
            connection.execute(sa.update(sign_in_failures).where(is_it).values(**less))

    def add_token(
        self,
        token_id: str,
        token_hash: str,
        *,
        label: str,
        owner: str,
        scopes: Collection[Scope],
        custodians: Collection[str] | None,
        actor: str,
        now: datetime,
        expires_at: datetime,
    ) -> None:
        """Enter a token. People make their own, an admin makes those of others.

        Raises
        ------
        DecisionRefused
            The actor may not.
        WrongUsage
            The owner has no role, or there is no scope.
        """
        with self.writing() as connection:
            if actor != owner:
                need_role(connection, actor)
            if not roles_in(connection, owner):
                raise WrongUsage(f"{owner} has no role in the ledger\n\nHint: `trimtab users list` shows who has.")
            if not scopes:
                raise WrongUsage(f"a token needs a scope\n\nHint: one of {', '.join(Scope)}.")
            row = {
                "token_id": token_id,
                "token_hash": token_hash,
                "label": label,
                "owner": owner,
                "scopes": "|".join(sorted(scopes)),
                "custodians": None if custodians is None else "|".join(sorted(custodians)),
                "created_by": actor,
                "created_at": now,
                "expires_at": expires_at,
            }
            connection.execute(sa.insert(tokens), row)
            told = {name: row[name] for name in ("token_id", "label", "owner", "scopes", "custodians")}
            ledger_audit.append(connection, [Event(actor, "token_added", detail=canonical(told))], now)

    def token_of(self, token_hash: str, now: datetime) -> TokenRow | None:
        """The token; null: unknown, over, revoked, or its owner has no role."""
        with self.reading() as connection:
            row = connection.execute(sa.select(tokens).where(tokens.c.token_hash == token_hash)).one_or_none()
            found = None if row is None else _token(connection, row)
        if found is None or not found.roles or found.revoked_at is not None or now >= found.expires_at:
            return None
        return found

    def list_tokens(self, owner: str | None = None) -> list[TokenRow]:
        """Every token, or somebody's, the newest first."""
        query = sa.select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.token_id)
        with self.reading() as connection:
            found = connection.execute(query if owner is None else query.where(tokens.c.owner == owner)).all()
            return [_token(connection, row) for row in found]

    def revoke_token(self, token_id: str, *, actor: str, now: datetime) -> None:
        """End a token.

        Raises
        ------
        WrongUsage
            No such token, or it is revoked.
        DecisionRefused
            It is somebody else's, and the actor is no admin.
        """
        is_it = (tokens.c.token_id == token_id) & tokens.c.revoked_at.is_(None)
        with self.writing() as connection:
            owner = connection.scalar(sa.select(tokens.c.owner).where(is_it))
            if owner is None:
                raise WrongUsage(f"there is no token {token_id} in force\n\nHint: `trimtab users tokens` lists them.")
            if actor != owner:
                need_role(connection, actor)
            connection.execute(sa.update(tokens).where(is_it).values(revoked_at=now))
            event = Event(actor, "token_revoked", detail=canonical({"token_id": token_id}))
            ledger_audit.append(connection, [event], now)

    def save_filter(self, owner: str, name: str, text: str, now: datetime) -> None:
        """Keep a filter under a name of somebody's own; the same name again replaces it."""
        with self.writing() as connection:
            _drop_filter(connection, owner, name)
            row = {"owner": owner, "name": name, "filter": text, "saved_at": now}
            connection.execute(sa.insert(saved_filters), row)

    def saved_filters(self, owner: str) -> dict[str, str]:
        """Somebody's filters by name."""
        query = sa.select(saved_filters.c.name, saved_filters.c.filter).where(saved_filters.c.owner == owner)
        with self.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.order_by(saved_filters.c.name))}

    def drop_filter(self, owner: str, name: str) -> None:
        """Forget a filter; one that is not there is forgotten already."""
        with self.writing() as connection:
            _drop_filter(connection, owner, name)


def _drop_filter(connection: Connection, owner: str, name: str) -> None:
    is_it = (saved_filters.c.owner == owner) & (saved_filters.c.name == name)
    connection.execute(sa.delete(saved_filters).where(is_it))


def _count(connection: Connection, key: str, failures: int, now: datetime) -> None:
    is_it, row = sign_in_failures.c.key_hash == key, {"failures": failures, "last_at": now}
    if not connection.execute(sa.update(sign_in_failures).where(is_it).values(**row)).rowcount:
        connection.execute(sa.insert(sign_in_failures), {"key_hash": key, "first_at": now, **row})


def _update_user(connection: Connection, name: str, **values: str) -> None:
    if not connection.execute(sa.update(users).where(users.c.name == name).values(**values)).rowcount:
        raise WrongUsage(f"{name} is not a user\n\nHint: `trimtab users list` shows them.")


def _end_sessions(connection: Connection, name: str, now: datetime) -> None:
    is_open = (sessions.c.name == name) & sessions.c.ended_at.is_(None)
    connection.execute(sa.update(sessions).where(is_open).values(ended_at=now))


def _token(connection: Connection, row: Row[Any]) -> TokenRow:
    custodians = None if row.custodians is None else frozenset(filter(None, row.custodians.split("|")))
    scopes = frozenset(Scope(word) for word in row.scopes.split("|"))
    roles = roles_in(connection, row.owner)
    return TokenRow(
        row.token_id, row.label, row.owner, roles, scopes, custodians, row.created_at, row.expires_at, row.revoked_at
    )
