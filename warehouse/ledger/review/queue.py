"""The queue as reviewers read it: filtered, sorted, counted and paged by the database.

A page continues after the last row of the one before (its sort value and name), so that rows decided meanwhile neither hide
nor repeat others. Amounts are compared as binary fractions, which hold cents of any account exactly enough to order them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import ProposalState, Route, Trigger
from warehouse.ledger.review.proposals import COLUMNS, to_frame
from warehouse.ledger.store import CLOCK, Event, Store, audit, audit_head, canonical, proposals
from warehouse.ledger.store import audit_chain as ledger_audit

WAITING: Final = frozenset({ProposalState.PENDING_REVIEW})
REMINDED: Final = "review_reminded"
NO_CUT_OFF: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""Where a proposal without a cut-off stands among cut-offs."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which proposals are meant. Null: no condition; ``states`` null: every state.

    ``custodians`` narrows what somebody may see at all; ``reason`` is one to look or one of its route.
    """

    states: frozenset[ProposalState] | None = WAITING
    run: str | None = None
    account: str | None = None
    household: str | None = None
    custodian: str | None = None
    route: Route | None = None
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    trigger: Trigger | None = None
    reason: str | None = None
    min_tax: Decimal | None = None
    min_turnover: Decimal | None = None
    is_held: bool | None = None
    assignee: str | None = None
    custodians: frozenset[str] | None = None


class Sort(StrEnum):
    """What comes first; the name decides among equals."""

    PRIORITY = "priority"
    VALUE = "value"
    TAX = "tax"
    TURNOVER = "turnover"
    DRIFT = "drift"
    CUT_OFF = "cut_off"
    ACCOUNT = "account"
    AGE = "age"


def _number(column: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    return sa.cast(column, sa.Double)


_SORTS: Final[dict[Sort, tuple[sa.ColumnElement[Any], bool]]] = {
    Sort.PRIORITY: (proposals.c.priority, True),
    Sort.VALUE: (_number(proposals.c.gross_value_usd), True),
    Sort.TAX: (_number(proposals.c.est_tax_usd), True),
    Sort.TURNOVER: (proposals.c.turnover, True),
    Sort.DRIFT: (sa.func.coalesce(proposals.c.one_way_drift_before, 0.0), True),
    Sort.CUT_OFF: (
        sa.func.coalesce(proposals.c.cut_off_at, sa.literal(NO_CUT_OFF, proposals.c.cut_off_at.type)),
        False,
    ),
    Sort.ACCOUNT: (proposals.c.account_id, False),
    Sort.AGE: (proposals.c.created_at, False),
}
"""Expression and whether the greatest comes first."""


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    return sa.func.coalesce(sa.func.sum(_number(column)), 0.0)


_SUMS: Final = (
    sa.func.count(),
    _sum(proposals.c.nav_usd),
    _sum(proposals.c.gross_value_usd),
    _sum(proposals.c.est_tax_usd),
    sa.func.count(proposals.c.held_by),
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the queue. ``after`` names its last row for the next page; null: there is none."""

    rows: pl.DataFrame
    after: tuple[Any, str] | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a filter comes to."""

    count: int
    nav_usd: Decimal
    gross_value_usd: Decimal
    est_tax_usd: Decimal
    held: int


class Queue(Store):
    """Reading the queue."""

    def page(
        self,
        wanted: Filter,
        *,
        sort: Sort = Sort.PRIORITY,
        limit: int,
        after: tuple[Any, str] | None = None,
        skip: int = 0,
    ) -> Page:
        """The next ``limit`` proposals that match; columns ``COLUMNS``."""
        expression, is_descending = _SORTS[sort]
        order = [expression.desc() if is_descending else expression, proposals.c.proposal_id]
        query = sa.select(proposals, expression.label("sort_value")).where(*conditions(wanted)).order_by(*order)
        if after is not None:
            query = query.where(_comes_after(expression, after, is_descending=is_descending))
        with self.reading() as connection:
            found = connection.execute(query.offset(skip).limit(limit + 1)).all()
        shown = found[:limit]
        last = (shown[-1].sort_value, shown[-1].proposal_id) if len(found) > limit else None
        return Page(to_frame([tuple(row)[:-1] for row in shown], COLUMNS), last)

    def totals(self, wanted: Filter) -> Totals:
        """How many proposals match, and their sums."""
        with self.reading() as connection:
            return _totals(*connection.execute(sa.select(*_SUMS).where(*conditions(wanted))).one())

    def seen(self, wanted: Filter) -> dict[str, str]:
        """Content hash of every proposal that matches, by name: what a decision on the filter is about."""
        query = sa.select(proposals.c.proposal_id, proposals.c.content_hash).where(*conditions(wanted))
        with self.reading() as connection:
            return {
                row.proposal_id: row.content_hash for row in connection.execute(query.order_by(proposals.c.proposal_id))
            }

    def counts_by(self, column: str, wanted: Filter) -> dict[str, int]:
        """How many proposals that match have each value of a column, the most frequent first."""
        value = proposals.c[column]
        count = sa.func.count()
        query = sa.select(value, count).where(*conditions(wanted)).group_by(value).order_by(count.desc(), value)
        with self.reading() as connection:
            return {str(name): number for name, number in connection.execute(query)}

    def run_totals(self, run_id: str) -> dict[str, Totals]:
        """By state, what a run's newest versions came to."""
        is_current = ~proposals.c.proposal_id.in_(
            sa.select(proposals.c.replaces).where(proposals.c.run_id == run_id, proposals.c.replaces.is_not(None))
        )
        query = sa.select(proposals.c.state, *_SUMS).where(proposals.c.run_id == run_id, is_current)
        with self.reading() as connection:
            return {row[0]: _totals(*row[1:]) for row in connection.execute(query.group_by(proposals.c.state))}

    def next_cut_offs(self, now: datetime) -> dict[str, tuple[datetime, int]]:
        """By custodian, the next cut-off and how many proposals that wait for a person have it."""
        at = proposals.c.cut_off_at
        waits = (proposals.c.state == ProposalState.PENDING_REVIEW) & (at >= now)
        query = sa.select(proposals.c.custodian, at, sa.func.count()).where(waits).group_by(proposals.c.custodian, at)
        found: dict[str, tuple[datetime, int]] = {}
        with self.reading() as connection:
            for custodian, moment, count in connection.execute(query.order_by(at.desc())):
                found[custodian] = (moment, count)
        return found

    def note_reminder(self, custodian: str, cut_off_at: datetime, now: datetime) -> bool:
        """Note that people were reminded of a custodian's cut-off; false if they were before."""
        detail = canonical({"custodian": custodian, "cut_off_at": cut_off_at.isoformat()})
        with self.writing() as connection:
            is_it = (audit.c.event == REMINDED) & (audit.c.detail == detail)
            if connection.scalar(sa.select(audit.c.seq).where(is_it).limit(1)) is not None:
                return False
            ledger_audit.append(connection, [Event(CLOCK, REMINDED, detail=detail)], now)
            return True

    def newest_change(self) -> int:
        """Number of the newest row of the audit chain: whoever has seen this one has seen everything."""
        with self.reading() as connection:
            return int(connection.execute(sa.select(audit_head.c.seq)).scalar_one())


def conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """The filter as SQL; all of them hold."""
    columns = proposals.c
    equal: dict[sa.ColumnElement[Any], Any] = {
        columns.run_id: wanted.run,
        columns.account_id: wanted.account,
        columns.household_id: wanted.household,
        columns.custodian: wanted.custodian,
        columns.route: wanted.route,
        columns.assignee: wanted.assignee,
    }
    found: list[sa.ColumnElement[bool]] = [column == str(value) for column, value in equal.items() if value is not None]
    if wanted.states is not None:
        found.append(_among(columns.state, [str(state) for state in wanted.states]))
    if wanted.custodians is not None:
        found.append(_among(columns.custodian, wanted.custodians))
    if wanted.is_held is not None:
        found.append(columns.held_by.is_not(None) if wanted.is_held else columns.held_by.is_(None))
    if wanted.trigger is not None:
        found.append(_has_word(columns.triggers, wanted.trigger))
    if wanted.reason is not None:
        found.append(_has_word(columns.look_reasons, wanted.reason) | _has_word(columns.route_reasons, wanted.reason))
    return [*found, *_amounts(wanted)]


def _amounts(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    value = _number(proposals.c.gross_value_usd)
    least = [
        (value, wanted.min_value),
        (_number(proposals.c.est_tax_usd), wanted.min_tax),
        (proposals.c.turnover, wanted.min_turnover),
    ]
    found = [amount >= float(limit) for amount, limit in least if limit is not None]
    return found if wanted.max_value is None else [*found, value <= float(wanted.max_value)]


def _among(column: sa.ColumnElement[Any], words: Collection[str]) -> sa.ColumnElement[bool]:
    return column.in_(sorted(words))


def _has_word(column: sa.ColumnElement[Any], word: str) -> sa.ColumnElement[bool]:
    """Whether a list joined by bars has the word."""
    return ("|" + column + "|").contains(f"|{word}|", autoescape=True)


def _comes_after(
    expression: sa.ColumnElement[Any], after: tuple[Any, str], *, is_descending: bool
) -> sa.ColumnElement[bool]:
    value, name = after
    beyond = expression < value if is_descending else expression > value
    return sa.or_(beyond, (expression == value) & (proposals.c.proposal_id > name))


def _totals(count: int, nav: float, gross: float, tax: float, held: int) -> Totals:
    return Totals(count, _amount(nav), _amount(gross), _amount(tax), held)


def _amount(amount: float) -> Decimal:
    return Decimal(str(amount)).quantize(Decimal("0.000001"))
