"""The part of the REST API that tells of the whole book over nights, and of what waits for whom."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from console.api.caller import Caller
from console.api.models import ApiModel
from console.shared import Backend
from schemas.enums import Outcome, Role
from tasks.review import BookBy, WaitKind, book_groups, waiting_now

Nights = Annotated[int, Query(ge=1, le=260, description="How many nights, the newest.")]
By = Annotated[
    BookBy | None, Query(description="What accounts are grouped by; all of them are one group where absent.")
]


class BookGroupOut(ApiModel):
    """A group of accounts, or an asset class of all of them, on a night, as the night proposed it. Drift and turnover are fractions of NAV."""

    name: str
    accounts: int
    out_of_band: Annotated[
        int, Field(description="Accounts that a drift triggered, or that hold the class beyond its band.")
    ]
    value_usd: Annotated[Decimal, Field(description="NAV; of an asset class what accounts hold of it.")]
    target_usd: Annotated[Decimal | None, Field(description="Of an asset class: what models ask for.")]
    one_way_drift: Annotated[float | None, Field(description="Weighted by NAV; of an asset class its absolute drift.")]
    one_way_drift_after: Annotated[float | None, Field(description="If all that was proposed is traded.")]
    traded_usd: Decimal
    turnover: float | None
    tax_usd: Decimal
    cost_usd: Decimal
    outcomes: Annotated[dict[Outcome, int], Field(description="Accounts by outcome; none of an asset class.")]


class BookNightOut(ApiModel):
    """The groups of a night, the largest first."""

    as_of_date: date
    run_id: str
    groups: list[BookGroupOut]


class BookOut(ApiModel):
    """Nights on the whole book, oldest first: of each date the newest finished run."""

    nights: list[BookNightOut]


class WaitingOut(ApiModel):
    """Things that wait alike. ``people``: who may do what is waited for, as roles stand now."""

    kind: WaitKind
    role: Role
    people: list[str]
    custodian: str | None
    subject: Annotated[str | None, Field(description="The run that is held, or the policy that would change.")]
    count: int
    gross_value_usd: Decimal | None
    expires_at: Annotated[datetime | None, Field(description="When the first of them is too late.")]
    cut_off_at: Annotated[datetime | None, Field(description="The custodian's next cut-off among them.")]


class WaitsOut(ApiModel):
    """Everything that waits for a person, what is too late first first."""

    waits: list[WaitingOut]


def add_book(router: APIRouter, backend: Backend, reads: Any) -> None:
    """The whole book, for who sees every custodian."""

    @router.get("/book", tags=["book"])
    def book(*, by: By = None, nights: Nights = 30, caller: Caller = reads) -> BookOut:
        """Drift, turnover, tax, cost and outcomes of the whole book over nights, by model, custodian or asset class."""
        caller.need_everything("The book")
        return BookOut(
            nights=[
                BookNightOut(
                    as_of_date=night.as_of_date,
                    run_id=night.run_id,
                    groups=[BookGroupOut.made_of(group) for group in book_groups([night], by)],
                )
                for night in backend.book_nights(nights)
            ]
        )

    @router.get("/waiting", tags=["book"])
    def waiting(caller: Caller = reads) -> WaitsOut:
        """What waits for whom, and until when."""
        caller.need_everything("What waits")
        return WaitsOut(
            waits=[
                WaitingOut.made_of(one, people=list(one.people))
                for one in waiting_now(backend.wait_stores, backend.now())
            ]
        )
