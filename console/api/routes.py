"""The REST API under ``/api``: what systems around trimtab read, and how they decide. The service layer is that of the pages."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any, Final

import polars as pl
from fastapi import APIRouter, Header, Query, Response

from console.api.accounts import add_accounts
from console.api.book import add_book
from console.api.caller import Caller, Cursor, Limit, Named, caller_with, need_run
from console.api.cursors import after_of, cursor_of
from console.api.firm_models import add_models
from console.api.model_changes import add_model_changes
from console.api.models import (
    NO_NUL,
    AmendmentIn,
    DecidedOut,
    DecisionIn,
    DecisionOut,
    DecisionsIn,
    DetailOut,
    LotOut,
    MeOut,
    OrderOut,
    ProposalOut,
    ProposalsOut,
    RunOut,
    RunsOut,
    etag_of,
    problems,
)
from console.api.monitor import add_monitor
from console.api.operate import add_operations
from console.api.performance import add_performance
from console.api.problems import ApiProblem
from console.api.routes_after_export import add_exports, add_fills, add_settlements
from console.shared import Backend
from schemas.enums import Scope
from tasks.core.export import sells_first
from tasks.review import amend_proposal, review
from warehouse.ledger import Decision, ReviewedVersion, Sort

PROBLEMS: Final = problems(400, 401, 403, 404, 409, 422, 503)
FilterText = Annotated[
    str,
    Query(
        alias="filter",
        max_length=2_000,
        pattern=NO_NUL,
        description=f"key=value,... with keys {', '.join(review.KEYS)}.",
    ),
]
ETAG: Final = re.compile(r'"([0-9a-zA-Z._-]{1,128})-(\d{1,9})"')


def api_router(backend: Backend) -> APIRouter:
    """Every route of the API."""
    router = APIRouter(responses=PROBLEMS)
    reads_runs = caller_with(backend, Scope.RUNS_READ)
    _add_me(router, reads_runs)
    _add_runs(router, backend, reads_runs)
    _add_proposals(router, backend, caller_with(backend, Scope.PROPOSALS_READ))
    decides = caller_with(backend, Scope.DECISIONS_WRITE)
    _add_decisions(router, backend, decides)
    add_exports(router, backend, caller_with(backend, Scope.EXPORTS_READ))
    add_fills(router, backend, caller_with(backend, Scope.FILLS_READ))
    add_settlements(router, backend, decides)
    add_accounts(router, backend, caller_with(backend, Scope.PROPOSALS_READ))
    add_operations(router, backend, reads_runs, caller_with(backend, Scope.RUNS_WRITE))
    add_monitor(router, backend, reads_runs)
    add_performance(router, backend, caller_with(backend, Scope.PROPOSALS_READ))
    add_model_changes(router, backend)
    add_book(router, backend, caller_with(backend, Scope.PROPOSALS_READ))
    add_models(router, backend, caller_with(backend, Scope.PROPOSALS_READ))
    return router


def _add_me(router: APIRouter, reads: Any) -> None:
    @router.get("/me", tags=["access"])
    def me(caller: Caller = reads) -> MeOut:
        """Whose token this is."""
        token = caller.token
        custodians = None if token.custodians is None else sorted(token.custodians)
        return MeOut(
            name=token.owner,
            roles=sorted(token.roles),
            scopes=sorted(token.scopes),
            custodians=custodians,
            expires_at=token.expires_at,
        )


def _add_runs(router: APIRouter, backend: Backend, reads: Any) -> None:
    @router.get("/runs", tags=["runs"])
    def runs(limit: Limit = 20, caller: Caller = reads) -> RunsOut:
        """The runs started last, newest first."""
        caller.need_everything("A run")
        return RunsOut(runs=[RunOut.made_of(run) for run in backend.ledger.runs.list_runs(limit)])

    @router.get("/runs/{run_id}", tags=["runs"])
    def run(run_id: Named, caller: Caller = reads) -> RunOut:
        """One run."""
        caller.need_everything("A run")
        return RunOut.made_of(need_run(backend, run_id))


def _add_proposals(router: APIRouter, backend: Backend, reads: Any) -> None:
    @router.get("/proposals", tags=["proposals"])
    def proposals(
        text: FilterText = "",
        sort: Sort = Sort.PRIORITY,
        limit: Limit = 100,
        cursor: Cursor = None,
        caller: Caller = reads,
    ) -> ProposalsOut:
        """Proposals that match, what comes first first; the next page with ``cursor``. Empty filter: what waits for a person."""
        wanted = caller.sees(review.parse_filter(text))
        after = None if cursor is None else after_of(cursor, sort, text)
        backend.ledger.proposals.expire(backend.now())
        page = backend.ledger.queue.page(wanted, sort=sort, limit=limit, after=after)
        following = None if page.after is None else cursor_of(page.after, sort, text)
        return ProposalsOut(
            proposals=[ProposalOut.of(row) for row in page.rows.iter_rows(named=True)], next_cursor=following
        )

    @router.get("/proposals/{proposal_id}", tags=["proposals"])
    def proposal(proposal_id: Named, response: Response, caller: Caller = reads) -> DetailOut:
        """One proposal with its orders; its ``ETag`` is what a decision's ``If-Match`` takes."""
        known = caller.need_sight(backend.ledger.proposals.get_proposal(proposal_id), proposal_id)
        detail = review.show(
            backend.ledger.proposals,
            backend.ledger.amendments,
            proposal_id,
            backend.reader(known["account_id"]),
            now=backend.now(),
        )
        response.headers["etag"] = etag_of(detail.proposal)
        return DetailOut(
            proposal=ProposalOut.of(detail.proposal),
            decided_with=_others(backend, caller, proposal_id),
            orders=_orders(detail.orders, detail.lots),
            decisions=[
                DecisionOut(**{name: getattr(one, name) for name in DecisionOut.model_fields})
                for one in detail.decisions
            ],
        )


def _orders(orders: pl.DataFrame, lots: pl.DataFrame) -> list[OrderOut]:
    """Sells first, then by symbol; each with its lots."""
    by_order: dict[str, list[LotOut]] = {}
    for row in lots.sort("order_id", "lot_id").iter_rows(named=True):
        by_order.setdefault(row["order_id"], []).append(LotOut(**{name: row[name] for name in LotOut.model_fields}))
    plain = [name for name in OrderOut.model_fields if name != "lots"]
    sorted_rows = orders.sort(sells_first(), "symbol", "security_id")
    return [
        OrderOut(**{name: row[name] for name in plain}, lots=by_order.get(row["order_id"], []))
        for row in sorted_rows.iter_rows(named=True)
    ]


def _add_decisions(router: APIRouter, backend: Backend, decides: Any) -> None:
    precondition = problems(412, 428)

    @router.post("/proposals/{proposal_id}/decisions", tags=["decisions"], responses=precondition)
    def decide(
        proposal_id: Named,
        said: DecisionIn,
        response: Response,
        if_match: Annotated[str | None, Header(max_length=200)] = None,
        caller: Caller = decides,
    ) -> ProposalOut:
        """Decide one proposal, exactly as it was looked at: ``If-Match`` names its ``ETag``."""
        known = _looked_at(backend, caller, proposal_id, if_match)
        _need_household(backend, caller, [proposal_id], said.decision)
        seen = {proposal_id: ReviewedVersion(known["content_hash"], known["revision"])}
        taken = review.decide_seen(
            backend.ledger.decisions, seen, said.decision, actor=caller.name, now=backend.now(), note=said.note
        )
        if taken.refused:
            raise ApiProblem(HTTPStatus.CONFLICT, f"{proposal_id} {taken.refused[proposal_id]}.")
        return _as_it_stands(backend, caller, proposal_id, response)

    @router.post("/proposals/{proposal_id}/amendments", tags=["decisions"], responses=precondition)
    def make_version(
        proposal_id: Named,
        wanted: AmendmentIn,
        response: Response,
        if_match: Annotated[str | None, Header(max_length=200)] = None,
        caller: Caller = decides,
    ) -> ProposalOut:
        """Drop orders or make them smaller; the version that takes the proposal's place waits for another person."""
        known = _looked_at(backend, caller, proposal_id, if_match)
        name = amend_proposal(
            backend.ledger.amendments,
            backend.ledger.proposals,
            backend.ledger.runs,
            backend.lake,
            proposal_id,
            wish=[(one.order_id, one.quantity) for one in wanted.orders],
            actor=caller.name,
            now=backend.now(),
            note=wanted.note,
            seen=ReviewedVersion(known["content_hash"], known["revision"]),
        )
        return _as_it_stands(backend, caller, name, response)

    @router.post("/decisions", tags=["decisions"])
    def decide_many(said: DecisionsIn, caller: Caller = decides) -> DecidedOut:
        """Decide many proposals in one transaction, each exactly as it was looked at."""
        seen = {
            one.proposal_id: _reviewed_version(backend, caller, one.proposal_id, one.etag) for one in said.proposals
        }
        _need_household(backend, caller, seen, said.decision)
        decided = review.decide_seen(
            backend.ledger.decisions,
            seen,
            said.decision,
            actor=caller.name,
            now=backend.now(),
            note=said.note,
            is_all_or_none=said.is_all_or_none,
        )
        return DecidedOut(states=decided.states, refused=dict(decided.refused), households=dict(decided.households))


def _need_household(backend: Backend, caller: Caller, proposal_ids: Iterable[str], decision: Decision) -> None:
    """Refuse a decision that reaches into what the caller may not see; a comment reaches nowhere.

    Raises
    ------
    Problem
        403.
    """
    if decision is not Decision.COMMENT:
        caller.need_household(backend.ledger.proposals.decided_with(proposal_ids))


def _others(backend: Backend, caller: Caller, proposal_id: str) -> list[str]:
    """Proposals that are decided together with one, as far as the caller sees them."""
    custodians = caller.token.custodians
    rows = backend.ledger.proposals.decided_with([proposal_id])
    seen = [row.proposal_id for row in rows if custodians is None or row.custodian in custodians]
    return [one for one in seen if one != proposal_id]


def _as_it_stands(backend: Backend, caller: Caller, proposal_id: str, response: Response) -> ProposalOut:
    """The proposal after what was done, with its new ``ETag``."""
    known = caller.need_sight(backend.ledger.proposals.get_proposal(proposal_id), proposal_id)
    response.headers["etag"] = etag_of(known)
    return ProposalOut.of(known)


def _looked_at(backend: Backend, caller: Caller, proposal_id: str, if_match: str | None) -> dict[str, Any]:
    """The proposal, which is what the caller looked at.

    Raises
    ------
    Problem
        404, 428 without ``If-Match``, 412 where it names something else.
    """
    known = caller.need_sight(backend.ledger.proposals.get_proposal(proposal_id), proposal_id)
    if if_match is None:
        raise ApiProblem(HTTPStatus.PRECONDITION_REQUIRED, "If-Match must name the ETag that was looked at.")
    if if_match != etag_of(known):
        raise ApiProblem(HTTPStatus.PRECONDITION_FAILED, "The proposal has changed since it was looked at.")
    return known


def _reviewed_version(backend: Backend, caller: Caller, proposal_id: str, etag: str) -> ReviewedVersion:
    """What the caller looked at; an etag that is none fits no proposal."""
    known = caller.need_sight(backend.ledger.proposals.get_proposal(proposal_id), proposal_id)
    found = ETAG.fullmatch(etag)
    if found is None or found[1] != known["content_hash"][:32]:
        return ReviewedVersion("")
    return ReviewedVersion(known["content_hash"], int(found[2]))
