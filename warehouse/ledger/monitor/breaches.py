"""Accounts out of band between the nights, and the scopes that runs are started for: one breach, one run.

An account has at most one breach that lasts. What a look finds is entered in one transaction: breaches that are over, new ones,
and the one scope they belong to. A scope is announced after that, again until a run has taken it, and taken by one run.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Trigger
from schemas.errors import WrongUsage
from warehouse.ledger.review import to_frame
from warehouse.ledger.runs import IS_DONE, IS_FULL_NIGHT, NEWEST_NIGHT
from warehouse.ledger.store import (
    OPEN_STATES,
    Event,
    Store,
    audit,
    breaches,
    canonical,
    in_chunks,
    insert_columns,
    proposals,
    runs,
    scopes,
)
from warehouse.ledger.store import audit_chain as ledger_audit

LATE_FILE: Final = "late_file"
"""Cause of a scope that is not accounts out of band but files that have come."""
MONITOR: Final = "monitor"
"""Actor of what a look enters."""
LASTING: Final[dict[str, pl.DataType]] = {
    "breach_id": pl.Int64(),
    "account_id": pl.String(),
    "is_before_night": pl.Boolean(),
}
HANDLED: Final[dict[str, pl.DataType]] = {"account_id": pl.String(), "model_hash": pl.String()}
_LASTS: Final = breaches.c.cleared_at.is_(None)


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """What one run is for. ``night_run_id``: the night whose holdings were looked at. ``run_id``: the run that took it."""

    scope_id: str
    as_of_date: date
    cause: str
    account_count: int
    night_run_id: str
    created_at: datetime
    announced_at: datetime | None
    run_id: str | None


@dataclass(frozen=True, slots=True)
class BreachRow:
    """An account that is out of band, since when and why; ``run_id``: the run over it, null until one has taken its scope."""

    account_id: str
    causes: str
    breached_at: datetime
    scope_id: str
    run_id: str | None


class Breaches(Store):
    """Entering what looks found, and handing it to runs."""

    def newest_breaches(self, limit: int) -> tuple[list[BreachRow], int]:
        """The newest that last, the newest first, at most ``limit``; and how many last."""
        columns = breaches.c.account_id, breaches.c.causes, breaches.c.breached_at, breaches.c.scope_id, scopes.c.run_id
        query = sa.select(*columns).join(scopes, scopes.c.scope_id == breaches.c.scope_id).where(_LASTS)
        with self.reading() as connection:
            found = connection.execute(query.order_by(breaches.c.breach_id.desc()).limit(limit)).all()
            number = connection.scalar(sa.select(sa.func.count()).select_from(breaches).where(_LASTS)) or 0
        return [BreachRow(*row) for row in found], number

    def newest_scopes(self, limit: int) -> list[ScopeRow]:
        """Scopes, the newest first."""
        query = sa.select(scopes).order_by(scopes.c.created_at.desc(), scopes.c.scope_id).limit(limit)
        with self.reading() as connection:
            return [ScopeRow(*row) for row in connection.execute(query)]

    def lasting_breaches(self, night_began: datetime) -> pl.DataFrame:
        """``breach_id, account_id, is_before_night`` of each breach that lasts; sorted by account."""
        is_before = (breaches.c.breached_at < night_began).label("is_before_night")
        query = sa.select(breaches.c.breach_id, breaches.c.account_id, is_before).where(_LASTS)
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(breaches.c.account_id)).all(), LASTING)

    def events_since(self, seq: int) -> tuple[int, frozenset[str]]:
        """Number of the newest row of the audit chain, and the kinds of events that came after the row ``seq``."""
        query = sa.select(audit.c.seq, audit.c.event).where(audit.c.seq > seq).order_by(audit.c.seq)
        with self.reading() as connection:
            found = connection.execute(query).all()
        return (found[-1].seq if found else seq), frozenset(row.event for row in found)

    def models_handled(self, since: datetime) -> pl.DataFrame:
        """``account_id, model_hash``: of each account that a scope was made for since, the targets it was looked at with last."""
        newest = sa.func.max(breaches.c.breach_id)
        last = sa.select(newest).where(breaches.c.breached_at >= since).group_by(breaches.c.account_id)
        query = sa.select(*breaches.c[tuple(HANDLED)]).where(breaches.c.breach_id.in_(last))
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(breaches.c.account_id)).all(), HANDLED)

    def has_model_changes(self, since: datetime) -> bool:
        """Whether a scope was made since because targets had changed."""
        is_one = breaches.c.causes.contains(str(Trigger.MODEL_CHANGE)) & (breaches.c.breached_at >= since)
        with self.reading() as connection:
            return connection.scalar(sa.select(breaches.c.breach_id).where(is_one).limit(1)) is not None

    def accounts_with_open_proposals(self, now: datetime) -> pl.Series:
        """Accounts of whose proposals one is undecided or has not left; one that has expired by ``now`` does not count."""
        is_alive = proposals.c.export_id.is_not(None) | (proposals.c.expires_at > now)
        query = sa.select(proposals.c.account_id).where(proposals.c.state.in_(OPEN_STATES), is_alive).distinct()
        with self.reading() as connection:
            return pl.Series("account_id", list(connection.scalars(query)), dtype=pl.String).sort()

    def enter_look(self, night: str, new: pl.DataFrame, cleared: pl.Series, as_of: date, now: datetime) -> str | None:
        """Close the breaches in ``cleared`` and open one for each account of ``new``, in one new scope; its name.

        Parameters
        ----------
        night
            The run over all accounts that was looked at.
        new
            ``account_id, causes, model_hash``. An account that has a breach which lasts, because another look was first, is left out.
        cleared
            ``breach_id`` of breaches that are over.
        as_of, now
            The day and the moment of the look.

        Returns
        -------
        str | None
            Null where no account is left, or a newer night is done: what it found, it has handled.
        """
        with self.writing() as connection:
            if _newest_night(connection, as_of) != night:
                return None
            for chunk in in_chunks(cleared.to_list()):
                over = sa.update(breaches).where(breaches.c.breach_id.in_(chunk), _LASTS)
                connection.execute(over.values(cleared_at=now))
            lasting = set(connection.scalars(sa.select(breaches.c.account_id).where(_LASTS)))
            fresh = new.filter(~pl.col("account_id").is_in(lasting)).sort("account_id")
            if fresh.is_empty():
                return None
            causes = sorted({word for text in fresh["causes"] for word in text.split("|")})
            lines = fresh.select(pl.concat_str("account_id", "causes", "model_hash", separator=" ")).to_series()
            scope = _open_scope(
                connection, lines, as_of=as_of, cause="|".join(causes), accounts=fresh.height, night=night, now=now
            )
            columns = {name: fresh[name].to_list() for name in ("account_id", "causes", "model_hash")}
            insert_columns(connection, breaches, columns, {"scope_id": scope, "breached_at": now, "cleared_at": None})
            return scope

    def enter_late_files(self, night: str, contents: Sequence[str], as_of: date, now: datetime) -> str | None:
        """A scope for files that have come after their night; null where these contents have one already."""
        with self.writing() as connection:
            if _is_known(connection, _name(as_of, contents, 1)):
                return None
            return _open_scope(connection, contents, as_of=as_of, cause=LATE_FILE, accounts=0, night=night, now=now)

    def has_late_files(self, contents: Sequence[str], as_of: date) -> bool:
        """Whether these contents have a scope."""
        with self.reading() as connection:
            return _is_known(connection, _name(as_of, contents, 1))

    def scopes_to_announce(self, silent_since: datetime) -> list[ScopeRow]:
        """Scopes that no run has taken and that were never announced, or before ``silent_since``; of the newest date alone."""
        is_silent = scopes.c.announced_at.is_(None) | (scopes.c.announced_at < silent_since)
        newest = sa.select(sa.func.max(scopes.c.as_of_date)).scalar_subquery()
        query = sa.select(scopes).where(scopes.c.run_id.is_(None), is_silent)
        is_current = (scopes.c.as_of_date == newest) | (scopes.c.cause == LATE_FILE)
        with self.reading() as connection:
            found = connection.execute(query.where(is_current).order_by(scopes.c.created_at, scopes.c.scope_id))
            return [ScopeRow(*row) for row in found]

    def note_announced(self, scope_id: str, now: datetime) -> None:
        """Whoever waits for the scope has been told."""
        with self.writing() as connection:
            connection.execute(sa.update(scopes).where(scopes.c.scope_id == scope_id).values(announced_at=now))

    def get_scope(self, scope_id: str) -> ScopeRow:
        """The scope.

        Raises
        ------
        WrongUsage
            No such scope.
        """
        with self.reading() as connection:
            return _scope_in(connection, scope_id)

    def accounts_of_scope(self, scope_id: str) -> tuple[str, ...]:
        """Its accounts, sorted; none of late files."""
        query = sa.select(breaches.c.account_id).where(breaches.c.scope_id == scope_id)
        with self.reading() as connection:
            return tuple(connection.scalars(query.order_by(breaches.c.account_id)))

    def take_scope(self, scope_id: str, run_id: str, now: datetime) -> str:
        """Let the run take the scope; the run that has it, which is another one where that was first.

        Raises
        ------
        WrongUsage
            No such scope.
        """
        with self.writing() as connection:
            taken_by = _scope_in(connection, scope_id).run_id
            if taken_by is not None:
                return taken_by
            connection.execute(sa.update(scopes).where(scopes.c.scope_id == scope_id).values(run_id=run_id))
            detail = canonical({"scope": scope_id})
            ledger_audit.append(connection, [Event(MONITOR, "scope_taken", run_id, detail=detail)], now)
        return run_id


def _newest_night(connection: Connection, as_of: date) -> str | None:
    query = sa.select(runs.c.run_id).where(IS_DONE & IS_FULL_NIGHT & (runs.c.as_of_date <= as_of))
    found = connection.scalar(query.order_by(*NEWEST_NIGHT).limit(1))
    return None if found is None else str(found)


def _open_scope(
    connection: Connection, lines: Iterable[str], *, as_of: date, cause: str, accounts: int, night: str, now: datetime
) -> str:
    """A new scope, named after what is in it and, where the same was in one before, how often it was."""
    content = list(lines)
    names = (_name(as_of, content, times) for times in count(1))
    scope = next(name for name in names if not _is_known(connection, name))
    row: dict[str, Any] = {
        "scope_id": scope,
        "as_of_date": as_of,
        "cause": cause,
        "account_count": accounts,
        "night_run_id": night,
        "created_at": now,
    }
    connection.execute(sa.insert(scopes), row)
    detail = canonical({"scope": scope, "cause": cause, "accounts": accounts})
    ledger_audit.append(connection, [Event(MONITOR, "scope_opened", detail=detail)], now)
    return scope


def _is_known(connection: Connection, scope_id: str) -> bool:
    return connection.scalar(sa.select(scopes.c.scope_id).where(scopes.c.scope_id == scope_id)) is not None


def _name(as_of: date, lines: Iterable[str], times: int) -> str:
    text = "\n".join([as_of.isoformat(), str(times), *lines])
    return f"{as_of.isoformat()}-scope-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _scope_in(connection: Connection, scope_id: str) -> ScopeRow:
    row = connection.execute(sa.select(scopes).where(scopes.c.scope_id == scope_id)).one_or_none()
    if row is None:
        raise WrongUsage(f"there is no scope {scope_id}\n\nHint: `trimtab monitor` names those it makes.")
    return ScopeRow(*row)
