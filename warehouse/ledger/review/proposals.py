"""Proposals and their states: routing a night's proposals, expiry, and reading the queue.

Only the newest proposal of an account can be open. Routing therefore first supersedes the older ones of every account the
run pulled, proposed again or not; what an export has already claimed is left to leave.

The proposals of a household that is managed together are one decision: what is done to one is done to all, which
``with_members`` finds and triggers of the schema hold.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from schemas.enums import ProposalState, Route
from schemas.tables import USD
from warehouse.ledger.runs import run_in
from warehouse.ledger.store import (
    CLOCK,
    OPEN_STATES,
    POLICY,
    SENT_STATES,
    Decision,
    DecisionRow,
    Event,
    RunRow,
    Store,
    audit,
    begins,
    canonical,
    decisions,
    household_proposals,
    in_chunks,
    insert_columns,
    proposals,
)
from warehouse.ledger.store import audit_chain as ledger_audit

MOMENT: Final = pl.Datetime("us", "UTC")
COLUMNS: Final[dict[str, pl.DataType]] = {
    "proposal_id": pl.String(),
    "run_id": pl.String(),
    "submitter": pl.String(),
    "account_id": pl.String(),
    "custodian": pl.String(),
    "as_of_date": pl.Date(),
    "state": pl.String(),
    "version": pl.Int64(),
    "amender": pl.String(),
    "replaces": pl.String(),
    "revision": pl.Int64(),
    "content_hash": pl.String(),
    "triggers": pl.String(),
    "route": pl.String(),
    "route_reasons": pl.String(),
    "look_reasons": pl.String(),
    "priority": pl.Int64(),
    "nav_usd": USD,
    "gross_value_usd": USD,
    "turnover": pl.Float64(),
    "one_way_drift_before": pl.Float64(),
    "one_way_drift_after": pl.Float64(),
    "gap_bps": pl.Float64(),
    "est_tax_usd": USD,
    "est_cost_usd": USD,
    "order_count": pl.Int64(),
    "model_hash": pl.String(),
    "approvals_needed": pl.Int64(),
    "created_at": MOMENT,
    "expires_at": MOMENT,
    "cut_off_at": MOMENT,
    "state_changed_at": MOMENT,
    "held_by": pl.String(),
    "assignee": pl.String(),
    "export_id": pl.String(),
    "household_id": pl.String(),
}
"""What a proposal is in the ledger.

``version`` counts what people made of it, ``revision`` every change of the row; ``amender`` is empty for what the run
proposed, and ``replaces`` names the version before. ``held_by``: who holds it back; ``export_id`` is null until an export
claims it; ``household_id``: whose other proposals of the run are decided with it; null: it is decided alone."""

ROUTED: Final[dict[str, pl.DataType]] = {
    **{
        name: COLUMNS[name]
        for name in (
            "proposal_id",
            "account_id",
            "custodian",
            "content_hash",
            "triggers",
            "route",
            "route_reasons",
            "look_reasons",
            "priority",
            "nav_usd",
            "gross_value_usd",
            "turnover",
            "one_way_drift_before",
            "one_way_drift_after",
            "gap_bps",
            "est_tax_usd",
            "est_cost_usd",
            "order_count",
            "model_hash",
            "approvals_needed",
            "household_id",
        )
    },
    "ttl_hours": pl.Float64(),
}
"""What ``route_proposals`` reads; only drift, gap and household may be null."""


UNDECIDED: Final = (ProposalState.PENDING_REVIEW, ProposalState.EXPIRED, ProposalState.SUPERSEDED)
"""States in which a hold still means what it said."""
DECIDED: Final = (ProposalState.APPROVED, ProposalState.REJECTED)
"""States that end a hold: somebody made up their mind."""
INSERTED_AT_ONCE: Final = 20_000
"""Proposals; as Python's objects they take ten times the room that they take in a frame."""
NONE_AHEAD: Final[Mapping[str, datetime]] = MappingProxyType({})
PROPOSED: Final = ProposalState.PROPOSED.value
BRIEF: Final = proposals.c[
    "proposal_id",
    "run_id",
    "submitter",
    "account_id",
    "custodian",
    "state",
    "amender",
    "revision",
    "content_hash",
    "approvals_needed",
    "held_by",
    "cut_off_at",
    "export_id",
    "household_id",
]
"""The columns that decide what may happen to a proposal."""


@dataclass(frozen=True, slots=True)
class Move:
    """A proposal on its way to another state."""

    proposal_id: str
    run_id: str
    from_state: str
    detail: str = "{}"


def move(
    connection: Connection, moves: Sequence[Move], to: ProposalState, *, event: str, actor: str, now: datetime
) -> None:
    """Append one audit row each and change the state of proposals. What is decided is held no more, what is withdrawn in no export.

    Of a household all move, or none.
    """
    change: dict[str, Any] = {"held_by": None} if to in DECIDED else {}
    ids = [item.proposal_id for item in moves]
    name, state = str(event), str(to)  # plain words: drivers take longer over enums
    events = (Event(actor, name, one.run_id, one.proposal_id, one.from_state, state, one.detail) for one in moves)
    ledger_audit.append(connection, events, now)
    together = {"state": ProposalState.EXPORTED if to in SENT_STATES else to, **change}
    together |= {"is_claimed": False} if to is ProposalState.WITHDRAWN else {}
    change_households(connection, ids, **together)
    change |= {"state": to, "revision": proposals.c.revision + 1, "state_changed_at": now}
    change |= {"export_id": None} if to is ProposalState.WITHDRAWN else {}
    for some in in_chunks(ids):
        connection.execute(sa.update(proposals).where(proposals.c.proposal_id.in_(some)).values(**change))


def rows_in(connection: Connection, column: sa.ColumnElement[Any], values: Collection[str]) -> Iterator[Row[Any]]:
    """Columns ``BRIEF`` of the proposals whose column holds one of the values."""
    for some in in_chunks(list(values)):
        yield from connection.execute(sa.select(*BRIEF).where(column.in_(some)))


def change_households(connection: Connection, proposal_ids: Collection[str], **values: Any) -> None:
    """Set columns of the households that the proposals are of, and by a trigger those of all their proposals.

    One that is decided, or has left, is left as it is: what becomes of its proposals at the market is each one's own.
    """
    table = household_proposals.c
    is_open = table.state.in_(OPEN_STATES)
    for some in in_chunks(list(proposal_ids)):
        is_member = proposals.c.proposal_id.in_(some) & proposals.c.household_id.is_not(None)
        theirs = sa.select(proposals.c.run_id, proposals.c.household_id).where(is_member)
        is_theirs = sa.tuple_(table.run_id, table.household_id).in_(theirs)
        connection.execute(sa.update(household_proposals).where(is_theirs, is_open).values(**values))


def with_members(connection: Connection, rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """The proposals, and after each the others of its household that are decided with it: columns ``BRIEF``, each once."""
    found: dict[str, Row[Any]] = {}
    rows = list(rows)
    theirs = members_of(connection, rows)
    for row in rows:
        household = theirs.get((row.run_id, row.household_id), ())
        found |= {each.proposal_id: each for each in (row, *household)}
    return list(found.values())


def members_of(connection: Connection, rows: Iterable[Row[Any]]) -> dict[tuple[str, str], list[Row[Any]]]:
    """By run and household, all proposals of the households that some proposals are of, sorted by name."""
    runs: dict[str, set[str]] = {}
    for row in rows:
        if row.household_id is not None:
            runs.setdefault(row.run_id, set()).add(row.household_id)
    found: dict[tuple[str, str], list[Row[Any]]] = {}
    for run_id, households in runs.items():
        for some in in_chunks(sorted(households)):
            is_theirs = (proposals.c.run_id == run_id) & proposals.c.household_id.in_(some)
            for row in connection.execute(sa.select(*BRIEF).where(is_theirs).order_by(proposals.c.proposal_id)):
                found.setdefault((run_id, row.household_id), []).append(row)
    return found


def expire_in(connection: Connection, now: datetime) -> int:
    """Expire inside the caller's transaction."""
    found = connection.execute(sa.select(*BRIEF).where(_is_late(now)).order_by(proposals.c.proposal_id)).all()
    late = [Move(row.proposal_id, row.run_id, row.state) for row in with_members(connection, found)]
    move(connection, late, ProposalState.EXPIRED, event="expired", actor=CLOCK, now=now)
    return len(late)


def _is_late(now: datetime) -> sa.ColumnElement[bool]:
    """Open, claimed by no export, and its time is over; the last moment itself is over."""
    return _is_open() & (proposals.c.expires_at <= now)


def _is_open() -> sa.ColumnElement[bool]:
    return proposals.c.state.in_(OPEN_STATES) & proposals.c.export_id.is_(None)


def _supersede(connection: Connection, run: RunRow, accounts: pl.Series, now: datetime) -> int:
    """Close the older open proposals of the accounts; how many."""
    older = _is_open() & (proposals.c.run_id != run.run_id) & (proposals.c.as_of_date <= run.as_of_date)
    found = connection.execute(sa.select(*BRIEF).where(older).order_by(proposals.c.proposal_id))
    pulled = set(accounts)
    detail = canonical({"by_run": run.run_id})
    over = with_members(connection, [row for row in found if row.account_id in pulled])
    moves = [Move(row.proposal_id, row.run_id, row.state, detail) for row in over]
    move(connection, moves, ProposalState.SUPERSEDED, event="superseded", actor=run.submitter, now=now)
    return len(moves)


def held_in(connection: Connection) -> dict[str, str]:
    """Accounts whose newest proposal was left undecided while somebody held it, and who.

    One that was born superseded says nothing: nobody could hold it, or let it go.
    """
    is_unseen = (proposals.c.state == ProposalState.SUPERSEDED) & (proposals.c.revision == 1)
    newest = sa.func.row_number().over(
        partition_by=proposals.c.account_id,
        order_by=(proposals.c.created_at.desc(), proposals.c.version.desc(), proposals.c.proposal_id.desc()),
    )
    ever = sa.select(proposals.c.account_id).where(proposals.c.held_by.is_not(None))
    columns = proposals.c["account_id", "held_by", "state"]
    ranked = sa.select(*columns, newest.label("rank")).where(proposals.c.account_id.in_(ever), ~is_unseen).subquery()
    is_held = (ranked.c.rank == 1) & ranked.c.held_by.is_not(None) & ranked.c.state.in_(UNDECIDED)
    return {row.account_id: row.held_by for row in connection.execute(sa.select(ranked).where(is_held))}


@dataclass(frozen=True, slots=True)
class _Standing:
    """What a run finds: accounts with an open proposal, or one sent for its date, and those whose last one somebody holds.

    What was sent may have left after the run was pulled: its holdings do not show those trades yet.
    """

    run: RunRow
    taken: frozenset[str]
    held: Mapping[str, str]

    @classmethod
    def of(cls, connection: Connection, run: RunRow) -> "_Standing":
        """As they are before the run's own proposals are entered."""
        is_sent = proposals.c.state.in_(SENT_STATES) & (proposals.c.as_of_date >= run.as_of_date)
        is_taken = sa.select(proposals.c.account_id).where(proposals.c.state.in_(OPEN_STATES) | is_sent)
        return cls(run, frozenset(connection.scalars(is_taken)), held_in(connection))


def _with_first_state(new: pl.DataFrame, standing: _Standing, now: datetime) -> pl.DataFrame:
    """Proposals with ``state``, ``held_by`` and ``expires_at``: of a household the strictest of each, for all its members.

    One whose account is taken is born superseded. A hold on the account's last undecided proposal goes on with the new one, which
    then waits for a person whatever its route.
    """
    account, unit = pl.col("account_id"), pl.coalesce("h " + pl.col("household_id"), "a " + pl.col("account_id"))
    holders = account.replace_strict(dict(standing.held), default=None, return_dtype=pl.String)
    expires = [now + timedelta(hours=hours) for hours in new["ttl_hours"]]
    found = new.with_columns(
        held_by=holders,
        is_taken=account.is_in(sorted(standing.taken)),
        is_auto=pl.col("route") == Route.AUTO,
        expires_at=pl.Series(expires, dtype=MOMENT),
    ).with_columns(
        pl.col("held_by").sort_by("account_id").drop_nulls().first().over(unit),
        pl.col("is_taken").any().over(unit),
        pl.col("is_auto").all().over(unit),
        pl.col("expires_at").min().over(unit),
        pl.col("approvals_needed").max().over(unit),
    )
    is_free = pl.col("is_auto") & pl.col("held_by").is_null()
    state = (
        pl.when("is_taken")
        .then(pl.lit(ProposalState.SUPERSEDED.value))
        .when(is_free)
        .then(pl.lit(ProposalState.AUTO_APPROVED.value))
        .otherwise(pl.lit(ProposalState.PENDING_REVIEW.value))
    )
    return found.with_columns(state=state).drop("is_taken", "is_auto", "ttl_hours")


def _insert_households(connection: Connection, run_id: str, new: pl.DataFrame) -> None:
    rows = new.filter(pl.col("household_id").is_not_null()).unique("household_id").sort("household_id")
    columns = {name: rows[name].to_list() for name in ("household_id", "state", "held_by")}
    insert_columns(connection, household_proposals, columns, {"run_id": run_id, "assignee": None, "is_claimed": False})


def _insert(
    connection: Connection, run: RunRow, new: pl.DataFrame, now: datetime, cut_offs: Mapping[str, datetime]
) -> None:
    """Insert proposals with their first state."""
    columns = {name: new[name].to_list() for name in new.columns}
    columns["cut_off_at"] = [cut_offs.get(custodian) for custodian in columns["custodian"]]
    shared = {"run_id": run.run_id, "submitter": run.submitter, "as_of_date": run.as_of_date}
    shared |= {"version": 1, "amender": "", "revision": 1}
    born = zip(columns["proposal_id"], columns["state"], columns["content_hash"], strict=True)
    ledger_audit.append(connection, (_born(run, *one) for one in born), now)
    insert_columns(connection, proposals, columns, {**shared, "created_at": now, "state_changed_at": now})


def _born(run: RunRow, proposal_id: str, state: str, content_hash: str) -> Event:
    actor = POLICY if state == ProposalState.AUTO_APPROVED else run.submitter
    detail = canonical({"content_hash": content_hash})
    return Event(actor, "routed", run.run_id, proposal_id, PROPOSED, state, detail)


def _is_routed(connection: Connection, run_id: str, accounts_hash: str) -> bool:
    """Whether these accounts of the run were routed before: what a later run put there since must stand."""
    query = sa.select(audit.c.detail).where(audit.c.run_id == run_id, audit.c.event == "accounts_routed")
    return any(f'"accounts_hash":"{accounts_hash}"' in detail for detail in connection.scalars(query))


def to_frame(rows: Sequence[Row[Any] | tuple[Any, ...]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Rows as a frame of the given types."""
    return pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")


def expire_late(store: Store, now: datetime) -> int:
    """Expire what is open, unclaimed and past its time; how many. Writes only when there is something to write."""
    with store.reading() as connection:
        if connection.scalar(sa.select(proposals.c.proposal_id).where(_is_late(now)).limit(1)) is None:
            return 0
    with store.writing() as connection:
        return expire_in(connection, now)


class Proposals(Store):
    """The queue."""

    def route_proposals(
        self,
        run_id: str,
        new: pl.DataFrame,
        accounts_pulled: pl.Series,
        now: datetime,
        cut_offs: Mapping[str, datetime] = NONE_AHEAD,
    ) -> int:
        """Put a run's proposals (columns ``ROUTED``) into the queue, or straight to approval; how many were new.

        ``cut_offs``: by custodian, when its orders must have left; none where a custodian has none.

        One transaction. Open proposals of earlier runs are superseded for every account pulled. Routing the same again
        changes nothing: decisions already taken stand. A proposal is born ``superseded`` where a run of a later date, an
        export being written, or one already sent for this date has the account. A household that is managed together is
        superseded, approved or left to a person with all its members' proposals.
        """
        accounts = pl.concat([accounts_pulled.cast(pl.String), new["account_id"].cast(pl.String)]).unique().sort()
        accounts_hash = hashlib.sha256("\n".join(accounts).encode()).hexdigest()
        with self.writing() as connection:
            run = run_in(connection, run_id)
            known = set(connection.scalars(sa.select(proposals.c.proposal_id).where(proposals.c.run_id == run_id)))
            fresh = new.select(pl.col(name).cast(kind) for name, kind in ROUTED.items())
            fresh = fresh.filter(~pl.col("proposal_id").is_in(list(known))).sort("account_id", "proposal_id")
            is_again = _is_routed(connection, run_id, accounts_hash)
            superseded = 0 if is_again else _supersede(connection, run, accounts, now)
            placed = _with_first_state(fresh, _Standing.of(connection, run), now)
            _insert_households(connection, run_id, placed)
            for some in placed.iter_slices(INSERTED_AT_ONCE):
                _insert(connection, run, some, now, cut_offs)
            counts = {"accounts": accounts.len(), "new": fresh.height, "superseded": superseded}
            detail = canonical({**counts, "accounts_hash": accounts_hash})
            ledger_audit.append(connection, [Event(run.submitter, "accounts_routed", run_id, detail=detail)], now)
        return fresh.height

    def held_accounts(self) -> pl.DataFrame:
        """``account_id, held_by`` of accounts whose newest proposal was left undecided while somebody held it; sorted."""
        with self.reading() as connection:
            found = sorted(held_in(connection).items())
        return pl.DataFrame(found, schema={"account_id": pl.String, "held_by": pl.String}, orient="row")

    def expire(self, now: datetime) -> int:
        """As ``expire_late``."""
        return expire_late(self, now)

    def list_proposals(
        self,
        *,
        states: Collection[ProposalState] | None = None,
        run_id: str | None = None,
        account_id: str | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Proposals by account, then newest date first; columns ``COLUMNS``. Null conditions do not restrict."""
        query = sa.select(proposals)
        if states is not None:
            query = query.where(proposals.c.state.in_([str(state) for state in states]))
        if run_id is not None:
            query = query.where(proposals.c.run_id == run_id)
        if account_id is not None:
            query = query.where(proposals.c.account_id == account_id)
        order = (proposals.c.account_id, proposals.c.as_of_date.desc(), proposals.c.proposal_id)
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(*order).limit(limit)).all(), COLUMNS)

    def decided_with(self, proposal_ids: Iterable[str]) -> list[Row[Any]]:
        """Proposals, and with them all of their households: columns ``BRIEF``, by account."""
        with self.reading() as connection:
            found = with_members(connection, rows_in(connection, proposals.c.proposal_id, list(proposal_ids)))
        return sorted(found, key=lambda row: (str(row.account_id), str(row.proposal_id)))

    def get_proposal(self, proposal_id: str) -> dict[str, Any] | None:
        """One proposal by column name, or null."""
        with self.reading() as connection:
            row = connection.execute(sa.select(proposals).where(proposals.c.proposal_id == proposal_id)).one_or_none()
        return None if row is None else row._asdict()

    def find_proposals(self, prefix: str, limit: int = 3) -> list[str]:
        """The first few proposals whose name begins so, sorted."""
        key = proposals.c.proposal_id
        query = sa.select(key).where(begins(key, prefix)).order_by(key).limit(limit)
        with self.reading() as connection:
            return list(connection.scalars(query))

    def decisions_of(self, proposal_id: str) -> list[DecisionRow]:
        """What people said about a proposal, oldest first."""
        columns = decisions.c["proposal_id", "content_hash", "actor", "decision", "note", "decided_at"]
        query = sa.select(*columns).where(decisions.c.proposal_id == proposal_id).order_by(decisions.c.decision_id)
        with self.reading() as connection:
            found = connection.execute(query).all()
        return [DecisionRow(**{**row._asdict(), "decision": Decision(row.decision)}) for row in found]
