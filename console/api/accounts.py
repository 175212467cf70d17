"""The part of the REST API that tells of accounts, households and the orders that a run proposed."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from console.api.caller import Caller, Cursor, Limit, Named, need_run
from console.api.cursors import Kinds, read_cursor, write_cursor
from console.api.models import Name
from console.api.models_of_accounts import (
    AccountDetailOut,
    AccountOut,
    AccountsOut,
    CashOut,
    ClassAfterOut,
    ClassOut,
    HoldingOut,
    HoldingsOut,
    HouseholdDetailOut,
    HouseholdOut,
    HouseholdsOut,
    MemberOut,
    NightOut,
    NightsOut,
    ProposedOrderOut,
    ProposedOrdersOut,
)
from console.api.problems import ApiProblem
from console.shared import Backend
from schemas.enums import Outcome, RunState
from schemas.errors import WrongUsage
from tasks.review import account_page, household_page

BY_NAME: Final[tuple[Kinds, ...]] = ((str,),)
BY_ACCOUNT: Final[tuple[Kinds, ...]] = ((str,), (str,))
OfRun = Annotated[Name | None, Query(alias="run", description="As of this run; the newest that is done where absent.")]
OfAccount = Annotated[Name | None, Query(alias="account", description="Of this account alone.")]
OfOutcome = Annotated[Outcome | None, Query(alias="outcome", description="Of this outcome alone.")]


def add_accounts(router: APIRouter, backend: Backend, reads: Any) -> None:
    """Accounts, one and many. A token that sees some custodians only sees one account of theirs at a time, and no list."""
    _add_account(router, backend, reads)
    _add_households(router, backend, reads)

    @router.get("/accounts", tags=["accounts"])
    def accounts(
        *,
        run: OfRun = None,
        outcome: OfOutcome = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        caller: Caller = reads,
    ) -> AccountsOut:
        """Accounts of a run with their outcome, value and drift, by name; the next page with ``cursor``."""
        caller.need_everything("A list of accounts")
        run_id = _run(backend, run)
        about = f"accounts {run_id} {outcome}"
        after = _after(cursor, about, BY_NAME, ("",))
        rows = _page(backend, "accounts_page", limit, run_id=run_id, after=after[0], outcome=outcome)
        shown = [AccountOut.of(row, run_id) for row in rows[:limit]]
        return AccountsOut(accounts=shown, next_cursor=_next(rows, limit, about, "account_id"))

    @router.get("/orders", tags=["accounts"])
    def orders(
        *,
        run: OfRun = None,
        account: OfAccount = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        caller: Caller = reads,
    ) -> ProposedOrdersOut:
        """Orders that a run proposed, by account; the next page with ``cursor``. What left is under ``/fills``."""
        caller.need_everything("A list of orders")
        run_id = _run(backend, run)
        about = f"orders {run_id} {account}"
        first, second = _after(cursor, about, BY_ACCOUNT, ("", ""))
        values = {"run_id": run_id, "after_account": first, "after_order": second, "account_id": account}
        rows = _page(backend, "orders_page", limit, **values)
        return ProposedOrdersOut(
            orders=[ProposedOrderOut.made_of(row) for row in rows[:limit]],
            next_cursor=_next(rows, limit, about, "account_id", "order_id"),
        )


def _add_account(router: APIRouter, backend: Backend, reads: Any) -> None:
    @router.get("/accounts/{account_id}", tags=["accounts"])
    def account(account_id: Named, run: OfRun = None, caller: Caller = reads) -> AccountDetailOut:
        """An account as of a run, the newest that has it where none is named."""
        page = _account(backend, caller, account_id, run)
        return AccountDetailOut(
            account=AccountOut.of(
                {**page["account"], **page["value"], **page["outcome"]},
                page["run"]["run_id"],
            ),
            sentences=page["outcome"]["sentences"],
            cash=CashOut.made_of(page["cash"]),
            classes=[ClassOut.made_of(row) for row in page["classes"]],
        )

    @router.get("/accounts/{account_id}/holdings", tags=["accounts"])
    def holdings(account_id: Named, run: OfRun = None, caller: Caller = reads) -> HoldingsOut:
        """What an account holds as of a run, with its lots."""
        page = _account(backend, caller, account_id, run)
        return HoldingsOut(run_id=page["run"]["run_id"], holdings=[HoldingOut.of(row) for row in page["holdings"]])

    @router.get("/accounts/{account_id}/nights", tags=["accounts"])
    def nights(account_id: Named, caller: Caller = reads) -> NightsOut:
        """Drift and outcomes of an account over nights, the newest first."""
        page = _account(backend, caller, account_id, None)
        return NightsOut(nights=[NightOut.of(row) for row in page["nights"]])


def _add_households(router: APIRouter, backend: Backend, reads: Any) -> None:
    @router.get("/households", tags=["accounts"])
    def households(
        *, run: OfRun = None, limit: Limit = 100, cursor: Cursor = None, caller: Caller = reads
    ) -> HouseholdsOut:
        """Households of a run, by name; the next page with ``cursor``."""
        caller.need_everything("A list of households")
        run_id = _run(backend, run)
        about = f"households {run_id}"
        after = _after(cursor, about, BY_NAME, ("",))
        rows = _page(backend, "households_page", limit, run_id=run_id, after=after[0])
        shown = [HouseholdOut.made_of(row, run_id=run_id) for row in rows[:limit]]
        return HouseholdsOut(households=shown, next_cursor=_next(rows, limit, about, "household_id"))

    @router.get("/households/{household_id}", tags=["accounts"])
    def household(household_id: Named, run: OfRun = None, caller: Caller = reads) -> HouseholdDetailOut:
        """A household as of a run, the newest that has it where none is named."""
        caller.need_everything("A household")
        page = page_or_404(lambda: household_page(backend.account_stores, household_id, run_id=run))
        return HouseholdDetailOut.made_of(
            page,
            run_id=page["run"]["run_id"],
            run_state=page["run"]["state"],
            accounts=[MemberOut.made_of(row) for row in page["accounts"]],
            classes=[ClassAfterOut.made_of(row) for row in page["classes"]],
        )


def _account(backend: Backend, caller: Caller, account_id: str, run: str | None) -> dict[str, Any]:
    """An account's page; of one that the caller may not see it is as if there were none."""
    page = page_or_404(lambda: account_page(backend.account_stores, account_id, run_id=run))
    custodians = caller.token.custodians
    if custodians is not None and page["account"]["custodian"] not in custodians:
        raise ApiProblem(HTTPStatus.NOT_FOUND, f"No run has an account {account_id}.")
    return page


def page_or_404(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is read; where there is no such thing, the problem that says so."""
    try:
        return read()
    except WrongUsage as nothing:
        said = str(nothing).partition("\n")[0]
        raise ApiProblem(HTTPStatus.NOT_FOUND, f"{said[:1].upper()}{said[1:]}.") from None


def _run(backend: Backend, name: str | None) -> str:
    if name is not None:
        return need_run(backend, name).run_id
    found = next((run for run in backend.ledger.runs.list_runs(None) if run.state is RunState.DONE), None)
    if found is None:
        raise ApiProblem(HTTPStatus.NOT_FOUND, "There is no run that is done.")
    return found.run_id


def _page(backend: Backend, statement: str, limit: int, **values: Any) -> list[dict[str, Any]]:
    """Rows of a list, one more than are shown where there are more."""
    return backend.lake.rows_found(statement, most=limit + 1, **values).to_dicts()


def _after(cursor: str | None, about: str, kinds: tuple[Kinds, ...], first: tuple[str, ...]) -> tuple[Any, ...]:
    return first if cursor is None else read_cursor(cursor, about, kinds)


def _next(rows: list[dict[str, Any]], limit: int, about: str, *key: str) -> str | None:
    return write_cursor([rows[limit - 1][name] for name in key], about) if len(rows) > limit else None
