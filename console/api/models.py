"""What the API takes and gives. Amounts of money are decimal strings in USD, times are UTC."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.enums import ProposalState, Role, Route, RunKind, RunState
from warehouse.ledger import Decision

NO_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL keeps no text that holds the character NUL, and nothing is named with it."""
Text = Annotated[str, StringConstraints(max_length=4_000, pattern=NO_NUL)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NO_NUL)]
MOST_AT_ONCE = 10_000


class ApiModel(BaseModel):
    """Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    @classmethod
    def made_of(cls, row: Any, **derived: Any) -> Self:
        """From a row, by name or by attribute; ``derived`` are the fields that it does not have as they are."""
        value_of = row.__getitem__ if isinstance(row, Mapping) else partial(getattr, row)
        return cls(**{name: value_of(name) for name in cls.model_fields if name not in derived}, **derived)


class ProblemOut(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the description of a route says of its refusals."""
    return {status: {"model": ProblemOut, "content": {"application/problem+json": {}}} for status in statuses}


class RunOut(ApiModel):
    """One run. ``counts``: accounts by outcome, proposals by route, orders."""

    run_id: str
    as_of_date: date
    kind: RunKind
    state: RunState
    submitter: str
    accounts_pulled: int
    counts: dict[str, int]
    started_at: datetime
    finished_at: datetime | None
    held_reason: str | None
    released_by: str | None


class RunsOut(ApiModel):
    """Runs, the newest first."""

    runs: list[RunOut]


class ProposalOut(ApiModel):
    """One proposal as it stands in the queue; ``etag`` is what ``If-Match`` takes.

    ``household_id``: a decision on it is one on all proposals of that household and run; null: it is decided alone.
    """

    proposal_id: str
    run_id: str
    account_id: str
    custodian: str
    as_of_date: date
    state: ProposalState
    version: int
    replaces: str | None
    triggers: list[str]
    route: Route
    route_reasons: list[str]
    look_reasons: list[str]
    priority: int
    nav_usd: Decimal
    gross_value_usd: Decimal
    turnover: float
    one_way_drift_before: float | None
    one_way_drift_after: float | None
    gap_bps: float | None
    est_tax_usd: Decimal
    est_cost_usd: Decimal
    order_count: int
    approvals_needed: int
    content_hash: str
    created_at: datetime
    expires_at: datetime
    cut_off_at: datetime | None
    state_changed_at: datetime
    held_by: str | None
    assignee: str | None
    export_id: str | None
    household_id: str | None
    etag: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "ProposalOut":
        """From the ledger's row."""
        lists = {
            name: row[name].split("|") if row[name] else [] for name in ("triggers", "route_reasons", "look_reasons")
        }
        return cls.made_of(row, **lists, etag=etag_of(row))


def etag_of(row: Mapping[str, Any]) -> str:
    """What a proposal is now: changes with its content, its state, its holds and its assignee."""
    return f'"{row["content_hash"][:32]}-{row["revision"]}"'


class ProposalsOut(ApiModel):
    """A page of the queue; ``next_cursor`` null: the last."""

    proposals: list[ProposalOut]
    next_cursor: str | None


class LotOut(ApiModel):
    """A tax lot that a sell closes, in part or whole; null: its basis is not known."""

    lot_id: str
    quantity: Decimal
    unit_cost_usd: Decimal | None
    acquired_date: date | None
    term: str | None
    gain_usd: Decimal | None


class OrderOut(ApiModel):
    """One order of a proposal, and why."""

    order_id: str
    side: str
    security_id: str
    symbol: str | None
    quantity: Decimal
    price_usd: Decimal
    value_usd: Decimal
    amount_usd: Annotated[
        Decimal | None,
        Field(description="Dollars that it is ordered in; the quantity is an estimate. Null: ordered in shares."),
    ]
    est_cost_usd: Decimal
    est_tax_usd: Decimal
    reason: str
    lots: list[LotOut]


class DecisionOut(ApiModel):
    """What one person said of a proposal."""

    actor: str
    decision: Decision
    note: str
    content_hash: str
    decided_at: datetime


class DetailOut(ApiModel):
    """A proposal with its orders and what was said of it; ``decided_with``: the others of its household."""

    proposal: ProposalOut
    decided_with: list[str]
    orders: list[OrderOut]
    decisions: list[DecisionOut]


class DecisionIn(ApiModel):
    """A decision; a rejection and a comment need a note."""

    decision: Decision
    note: Text = ""


class SeenIn(ApiModel):
    """A proposal, and its ``etag`` as it was looked at."""

    proposal_id: Name
    etag: Name


class DecisionsIn(ApiModel):
    """One decision on many proposals, in one transaction.

    With ``is_all_or_none`` one that cannot be decided refuses all; else the others are decided.
    """

    decision: Decision
    note: Text = ""
    proposals: Annotated[list[SeenIn], Field(min_length=1, max_length=MOST_AT_ONCE)]
    is_all_or_none: bool = True


class AmendedOrderIn(ApiModel):
    """The quantity wanted of one order, less than what stands; 0 drops it."""

    order_id: Name
    quantity: Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=6)]


class AmendmentIn(ApiModel):
    """Orders to be dropped or made smaller, and why."""

    orders: Annotated[list[AmendedOrderIn], Field(min_length=1, max_length=500)]
    note: Annotated[str, StringConstraints(min_length=1, max_length=4_000, pattern=NO_NUL)]


class DecidedOut(ApiModel):
    """State of each proposal decided, and why others were not; ``households``: how many of each were decided as one."""

    states: dict[str, ProposalState]
    refused: dict[str, str]
    households: dict[str, int]


class MeOut(ApiModel):
    """Whose token this is and what it may do; ``custodians`` null: all."""

    name: str
    roles: list[Role]
    scopes: list[str]
    custodians: list[str] | None
    expires_at: datetime
