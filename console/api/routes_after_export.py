"""The part of the REST API that tells what happened after an export: deliveries, orders that left, breaks; and takes what a person says of an order."""

from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from console.api.caller import MOST, Caller, Cursor, Limit, Named, need_run
from console.api.cursors import Kinds, read_cursor, write_cursor
from console.api.models import Name
from console.api.models_after_export import (
    AsideOut,
    AsidesOut,
    BreakOut,
    BreaksOut,
    ExportOut,
    ExportPageOut,
    ExportsOut,
    FillDetailOut,
    FillOut,
    FillsOut,
    MessageOut,
    SettlementIn,
)
from console.api.problems import ApiProblem
from console.shared import Backend, ways_of
from schemas.enums import Break, OrderState
from tasks.core.reconcile import ALARMS
from tasks.reconcile import rules
from warehouse.ledger import SentFilter

MOMENT_AND_NAME: Final[tuple[Kinds, ...]] = ((datetime,), (str,))
BREAK_KEY: Final[tuple[Kinds, ...]] = ((int,), (datetime,), (int, float), (str,), (str,), (str,))
ASIDE_KEY: Final[tuple[Kinds, ...]] = ((datetime,), (str,), (str,), (int,))
Run = Annotated[Name | None, Query(description="Of this run alone.")]
Custodian = Annotated[Name | None, Query(description="Of this custodian alone.")]
Account = Annotated[Name | None, Query(description="Of this account alone.")]
Proposal = Annotated[Name | None, Query(description="Of this proposal alone.")]
State = Annotated[OrderState | None, Query(description="In this state alone; `exported`: nobody has answered.")]
Code = Annotated[Break | None, Query(description="Breaks of this code alone.")]


def add_exports(router: APIRouter, backend: Backend, reads: Any) -> None:
    """What left, and where it was delivered."""

    @router.get("/runs/{run_id}/exports", tags=["exports"])
    def exports_of_run(run_id: Named, caller: Caller = reads) -> ExportsOut:
        """What left of a run, in order, and where it was delivered."""
        caller.need_everything("An export")
        need_run(backend, run_id)
        found = backend.ledger.exports.exports_of(run_id)
        ways = ways_of(backend, found)
        return ExportsOut(exports=[ExportOut.of(one, ways[one.export_id]) for one in found])

    @router.get("/exports", tags=["exports"])
    def exports(run: Run = None, limit: Limit = 100, cursor: Cursor = None, caller: Caller = reads) -> ExportPageOut:
        """Exports and their deliveries, what was begun last first; the next page with ``cursor``."""
        caller.need_everything("An export")
        about = f"exports {run}"
        after = None if cursor is None else read_cursor(cursor, about, MOMENT_AND_NAME)
        found = backend.ledger.deliveries.exports_found(run, limit=limit + 1, after=after)
        shown = found[:limit]
        ways = ways_of(backend, shown)
        following = write_cursor((shown[-1].started_at, shown[-1].export_id), about) if len(found) > limit else None
        return ExportPageOut(exports=[ExportOut.of(one, ways[one.export_id]) for one in shown], next_cursor=following)

    @router.get("/exports/{export_id}", tags=["exports"])
    def export(export_id: Named, caller: Caller = reads) -> ExportOut:
        """One export, and where it was delivered."""
        caller.need_everything("An export")
        found = backend.ledger.deliveries.export_named(export_id)
        if found is None:
            raise ApiProblem(HTTPStatus.NOT_FOUND, f"There is no export {export_id}.")
        return ExportOut.of(found, ways_of(backend, [found])[export_id])


def add_fills(router: APIRouter, backend: Backend, reads: Any) -> None:
    """What became of orders that left."""
    _add_orders(router, backend, reads)
    _add_breaks(router, backend, reads)
    _add_aside(router, backend, reads)


def _add_orders(router: APIRouter, backend: Backend, reads: Any) -> None:
    @router.get("/fills", tags=["fills"])
    def fills(
        *,
        run: Run = None,
        custodian: Custodian = None,
        account: Account = None,
        proposal: Proposal = None,
        state: State = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        caller: Caller = reads,
    ) -> FillsOut:
        """Orders that left and what became of them, the last ones first; the next page with ``cursor``."""
        wanted = SentFilter(run=run, custodian=custodian, account=account, proposal=proposal, state=state)
        about = f"fills {wanted}"
        after = None if cursor is None else read_cursor(cursor, about, MOMENT_AND_NAME)
        found = backend.ledger.answers.answers(caller.narrow(wanted), limit=limit, after=after)
        return FillsOut(
            fills=[FillOut.of(row) for row in found.rows.iter_rows(named=True)],
            next_cursor=None if found.after is None else write_cursor(found.after, about),
        )

    @router.get("/fills/{order_id}", tags=["fills"])
    def fill(order_id: Named, caller: Caller = reads) -> FillDetailOut:
        """One order that left: what became of it, its open breaks, and every message about it or its block."""
        ledger, wanted = backend.ledger, caller.narrow(SentFilter(order=order_id))
        rows = ledger.answers.answers(wanted, limit=1).rows
        if rows.is_empty():
            raise ApiProblem(HTTPStatus.NOT_FOUND, f"There is no order {order_id} that left.")
        order = FillOut.of(rows.row(0, named=True))
        blocks = [] if order.block_id is None else [replace(wanted, order=order.block_id)]
        return FillDetailOut(
            order=order,
            breaks=[one for sought in (wanted, *blocks) for one in _breaks(backend, sought)],
            messages=[
                MessageOut.made_of(row)
                for row in ledger.answers.told_of({order_id, order.block_id or order_id}).iter_rows(named=True)
            ],
        )


def add_settlements(router: APIRouter, backend: Backend, decides: Any) -> None:
    """What a person says became of an order that left."""

    @router.post("/fills/{order_id}/settlement", tags=["fills"])
    def settle(order_id: Named, said: SettlementIn, caller: Caller = decides) -> FillOut:
        """Say that no more will come of an order, with a note; its account is looked at again. Needs the role releaser."""
        ledger, wanted = backend.ledger, caller.narrow(SentFilter(order=order_id))
        if ledger.answers.answers(wanted, limit=1).rows.is_empty():
            raise ApiProblem(HTTPStatus.NOT_FOUND, f"There is no order {order_id} that left.")
        ledger.executions.settle_orders(
            [order_id],
            rules=rules(backend.settings.min_allocation_units),
            actor=caller.name,
            note=said.note,
            now=backend.now(),
        )
        return FillOut.of(ledger.answers.answers(wanted, limit=1).rows.row(0, named=True))


def _breaks(backend: Backend, wanted: SentFilter) -> list[BreakOut]:
    due = replace(wanted, grace=backend.grace)
    rows = backend.ledger.answers.breaks_found(due, ALARMS, limit=MOST).rows
    return [BreakOut.of(row, backend.now()) for row in rows.iter_rows(named=True)]


def _add_breaks(router: APIRouter, backend: Backend, reads: Any) -> None:
    @router.get("/breaks", tags=["fills"])
    def breaks(
        *,
        code: Code = None,
        run: Run = None,
        custodian: Custodian = None,
        account: Account = None,
        proposal: Proposal = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        caller: Caller = reads,
    ) -> BreaksOut:
        """Open breaks: alarms first, then the oldest, then the largest amounts; the next page with ``cursor``."""
        wanted = SentFilter(run=run, custodian=custodian, account=account, proposal=proposal, code=code)
        about = f"breaks {wanted}"
        after = None if cursor is None else read_cursor(cursor, about, BREAK_KEY)
        grace = backend.grace
        due = replace(caller.narrow(wanted), grace=grace)
        found = backend.ledger.answers.breaks_found(due, ALARMS, limit=limit, after=after)
        early = backend.ledger.fills.not_yet_due(grace, caller.token.custodians)
        now = backend.now()
        return BreaksOut(
            breaks=[BreakOut.of(row, now) for row in found.rows.iter_rows(named=True)],
            not_yet_due=early,
            next_cursor=None if found.after is None else write_cursor(found.after, about),
        )


def _add_aside(router: APIRouter, backend: Backend, reads: Any) -> None:
    @router.get("/executions/aside", tags=["fills"])
    def aside(limit: Limit = 100, cursor: Cursor = None, caller: Caller = reads) -> AsidesOut:
        """Executions that were not used and why, the newest first. Whose accounts they are about is not known."""
        caller.need_everything("What is set aside")
        after = None if cursor is None else read_cursor(cursor, "aside", ASIDE_KEY)
        found = backend.ledger.answers.aside_stretch(limit=limit, after=after)
        return AsidesOut(
            executions=[AsideOut.made_of(row) for row in found.rows.iter_rows(named=True)],
            next_cursor=None if found.after is None else write_cursor(found.after, "aside"),
        )
