"""The part of the REST API about models that investors' profiles ask for: what waits, why, and what is said of it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from console.api.caller import Caller, Named, caller_with
from console.api.models import ApiModel, DecisionIn, problems
from console.api.problems import ApiProblem
from console.shared import Backend
from schemas.enums import ChangeState, ChangeSubject, Scope
from schemas.errors import WrongUsage
from tasks.review import find_change
from warehouse.ledger import Decision

WHAT = "A model change"
States = Annotated[list[ChangeState] | None, Query(alias="state", description="In these states; none: what waits.")]


class ModelChangeOut(ApiModel):
    """A model that an account, or a household that is managed together, should have; tax, costs and turnover are those of the move, had it been tonight's.

    ``etag`` is what ``If-Match`` takes.
    """

    change_id: str
    state: ChangeState
    subject_kind: ChangeSubject
    subject_id: str
    household_id: str
    investor_id: str
    from_model_id: str
    to_model_id: str
    current_rung: int
    to_rung: int
    reason: str
    nav_usd: Decimal
    gross_value_usd: Decimal
    est_tax_usd: Decimal
    est_cost_usd: Decimal
    turnover: float
    order_count: int
    approvals_needed: int
    submitter: str
    run_id: str
    last_run_id: str
    created_at: datetime
    state_changed_at: datetime
    etag: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "ModelChangeOut":
        """From the ledger's row."""
        return cls.made_of(row, etag=_etag_of(row))


class ModelChangesOut(ApiModel):
    """Model changes, the most expensive first."""

    model_changes: list[ModelChangeOut]


class SaidOfChangeOut(ApiModel):
    """What one person said of a model change."""

    decided_at: datetime
    actor: str
    decision: Decision
    note: str


class ChangeDetailOut(ApiModel):
    """A model change, and what was said of it."""

    change: ModelChangeOut
    decisions: list[SaidOfChangeOut]


def add_model_changes(router: APIRouter, backend: Backend) -> None:
    """Model changes; a household may have accounts at several custodians, so a token that sees some only sees none."""
    reads, decides = (caller_with(backend, scope) for scope in (Scope.PROPOSALS_READ, Scope.DECISIONS_WRITE))
    precondition = problems(412, 428)

    @router.get("/model-changes", tags=["model changes"])
    def model_changes(states: States = None, caller: Caller = reads) -> ModelChangesOut:
        """Model changes that wait for review, or are in the states named."""
        caller.need_everything(WHAT)
        found = backend.ledger.model_changes.model_changes(*(states or [ChangeState.PENDING_REVIEW]))
        return ModelChangesOut(model_changes=[ModelChangeOut.of(row) for row in found.iter_rows(named=True)])

    @router.get("/model-changes/{change_id}", tags=["model changes"])
    def model_change(change_id: Named, response: Response, caller: Caller = reads) -> ChangeDetailOut:
        """One model change, and what was said of it; its ``ETag`` is what a decision's ``If-Match`` takes."""
        caller.need_everything(WHAT)
        return _as_it_stands(backend, _need_change(backend, change_id), response)

    @router.post("/model-changes/{change_id}/decisions", tags=["model changes"], responses=precondition)
    def decide(
        change_id: Named,
        said: DecisionIn,
        response: Response,
        if_match: Annotated[str | None, Header(max_length=200)] = None,
        caller: Caller = decides,
    ) -> ChangeDetailOut:
        """Approve, reject or withdraw one model change, exactly as it was looked at; approved, it is the model from the next night on."""
        caller.need_everything(WHAT)
        known = _need_change(backend, change_id)
        if if_match is None:
            raise ApiProblem(HTTPStatus.PRECONDITION_REQUIRED, "If-Match must name the ETag that was looked at.")
        if if_match != _etag_of(known):
            raise ApiProblem(HTTPStatus.PRECONDITION_FAILED, f"{WHAT} has changed since it was looked at.")
        backend.ledger.model_changes.decide_changes(
            {known["change_id"]: known["content_hash"]},
            decision=said.decision,
            actor=caller.name,
            now=backend.now(),
            note=said.note,
        )
        return _as_it_stands(backend, _need_change(backend, known["change_id"]), response)


def _as_it_stands(backend: Backend, known: Mapping[str, Any], response: Response) -> ChangeDetailOut:
    """The change with what was said of it, and its ``ETag``."""
    response.headers["etag"] = _etag_of(known)
    names = SaidOfChangeOut.model_fields
    said = backend.ledger.model_changes.decisions_of(known["change_id"])
    return ChangeDetailOut(
        change=ModelChangeOut.of(known),
        decisions=[SaidOfChangeOut(**dict(zip(names, one, strict=True))) for one in said],
    )


def _need_change(backend: Backend, change_id: str) -> dict[str, Any]:
    """The change of that name, or of which it is a beginning.

    Raises
    ------
    ApiProblem
        404.
    """
    try:
        return find_change(backend.ledger.model_changes, change_id)
    except WrongUsage as nothing:
        raise ApiProblem(HTTPStatus.NOT_FOUND, str(nothing).partition("\n")[0]) from None


def _etag_of(row: Mapping[str, Any]) -> str:
    """What a change is now: what it asks for, the figures it was last seen with, and its state."""
    return f'"{row["content_hash"][:32]}-{row["last_run_id"][-12:]}-{row["state"]}"'
