"""Who may do what: named users and their roles. Every change is audited; the last admin cannot be removed."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Role
from schemas.errors import DecisionRefused, WrongUsage
from warehouse.ledger.store import Event, Store, UserRow, canonical, user_roles, users
from warehouse.ledger.store import audit_chain as ledger_audit


def roles_in(connection: Connection, name: str) -> frozenset[Role]:
    """Roles of a user; empty for somebody the ledger does not know."""
    query = sa.select(user_roles.c.role).where(user_roles.c.name == name)
    return frozenset(Role(role) for role in connection.scalars(query))


def need_role(connection: Connection, actor: str, *roles: Role) -> None:
    """Refuse an actor who has none of the roles, nor ``admin``.

    Raises
    ------
    DecisionRefused
        Names the actor, what they have and what was needed.
    """
    has = roles_in(connection, actor)
    if has.isdisjoint({*roles, Role.ADMIN}):
        wanted = " or ".join([*roles, Role.ADMIN])
        found = f"has the role {', '.join(sorted(has))}" if has else "has no role in the ledger"
        raise DecisionRefused(
            f"{actor} {found}; needed is {wanted}\n\nHint: an admin can give it with `trimtab users`."
        )


def insert_user(connection: Connection, name: str, roles: Iterable[Role], *, actor: str, now: datetime) -> None:
    """Add a user inside the caller's transaction, without asking who the actor is."""
    connection.execute(sa.insert(users), {"name": name, "created_at": now})
    _write_roles(connection, name, roles)
    detail = canonical({"user": name, "roles": sorted(roles)})
    ledger_audit.append(connection, [Event(actor, "user_added", detail=detail)], now)


def _write_roles(connection: Connection, name: str, roles: Iterable[Role]) -> None:
    connection.execute(sa.delete(user_roles).where(user_roles.c.name == name))
    rows = [{"name": name, "role": str(role)} for role in sorted(set(roles))]
    if rows:
        connection.execute(sa.insert(user_roles), rows)


def _exists(connection: Connection, name: str) -> bool:
    return connection.scalar(sa.select(users.c.name).where(users.c.name == name)) is not None


def _has_admin(connection: Connection) -> bool:
    return connection.scalar(sa.select(user_roles.c.name).where(user_roles.c.role == Role.ADMIN).limit(1)) is not None


class Users(Store):
    """Users and roles. Only an admin changes them."""

    def add_user(self, name: str, roles: Iterable[Role], *, actor: str, now: datetime) -> None:
        """Add a user.

        Raises
        ------
        WrongUsage
            The name is empty or taken.
        DecisionRefused
            The actor is no admin.
        """
        roles = frozenset(roles)
        with self.writing() as connection:
            need_role(connection, actor)
            if not name.strip():
                raise WrongUsage("a user needs a name")
            if _exists(connection, name):
                raise WrongUsage(
                    f"{name} is already a user\n\nHint: `trimtab users set-roles` changes what they may do."
                )
            insert_user(connection, name, roles, actor=actor, now=now)

    def set_roles(self, name: str, roles: Iterable[Role], *, actor: str, now: datetime) -> None:
        """Replace the roles of a user; none at all locks them out.

        Raises
        ------
        WrongUsage
            No such user.
        DecisionRefused
            The actor is no admin, or nobody would be one afterwards.
        """
        roles = frozenset(roles)
        with self.writing() as connection:
            need_role(connection, actor)
            if not _exists(connection, name):
                raise WrongUsage(f"{name} is not a user\n\nHint: `trimtab users list` shows them.")
            before = roles_in(connection, name)
            _write_roles(connection, name, roles)
            if not _has_admin(connection):
                raise DecisionRefused(f"{name} is the last admin; make another one first")
            detail = canonical({"user": name, "roles": sorted(roles), "before": sorted(before)})
            ledger_audit.append(connection, [Event(actor, "roles_set", detail=detail)], now)

    def list_users(self) -> list[UserRow]:
        """Every user, by name."""
        query = sa.select(users.c.name, users.c.created_at, user_roles.c.role).outerjoin(
            user_roles, user_roles.c.name == users.c.name
        )
        found: dict[str, UserRow] = {}
        with self.reading() as connection:
            for name, created_at, role in connection.execute(query.order_by(users.c.name)):
                known = found[name].roles if name in found else frozenset()
                found[name] = UserRow(name, known | ({Role(role)} if role else set()), created_at)
        return list(found.values())

    def roles_of(self, name: str) -> frozenset[Role]:
        """Roles of a user; empty for somebody the ledger does not know."""
        with self.reading() as connection:
            return roles_in(connection, name)
