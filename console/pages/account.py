"""One account in one run: what became of it and why, and all its proposals."""

from typing import Any, Final

import polars as pl
from fastapi import Request
from nicegui import ui

from console.pages.parts import class_panel, facts, orders_panel, panel, plain_table
from console.pages.proposal_panels import solution_panels
from console.shared import Backend, PageContext, count, dollars, nothing_here, page_context, percent, waiting_page, word
from tasks.review import explain_account

MOST_PROPOSALS: Final = 100


def register(backend: Backend) -> None:
    """``/accounts/<id>``, of the newest run that has it, and ``?run=`` of another."""

    @ui.page("/accounts/{account_id}")
    async def page(request: Request, account_id: str, run: str = "") -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Account")
        if content is None:
            return
        found = await desk.look(lambda: _read(desk, account_id, run or None))
        content.clear()
        with content:
            if found is None:
                nothing_here()
            else:
                _draw(*found)


def _read(desk: PageContext, account_id: str, run: str | None) -> tuple[dict[str, Any], pl.DataFrame]:
    ledger = desk.backend.ledger
    page = explain_account(desk.backend.lake, ledger.runs, ledger.proposals, ledger.amendments, account_id, run_id=run)
    every = ledger.proposals.list_proposals(account_id=account_id).sort("created_at", "version", descending=True)
    return page, every.head(MOST_PROPOSALS)


def _draw(page: dict[str, Any], proposals: pl.DataFrame) -> None:
    account, outcome, drift = page["account"], page["outcome"], page["drift"]
    with ui.element("section").classes("panel head"):
        with ui.row().classes("headline"):
            ui.label(account["account_id"]).classes("title mono").props('role="heading" aria-level="1"')
            ui.label(word(outcome["outcome"])).classes(f"state {outcome['outcome']}")
            ui.space()
            ui.label(f"night of {page['run']['as_of_date']}").classes("quiet")
        for text in outcome["sentences"]:
            ui.label(text)
        facts(
            {
                "custodian": account["custodian"] or "",
                "household": account["household_id"] or "alone",
                "tax status": word(account["tax_status"] or ""),
                "model, policy": f"{account['model_id'] or ''}, {account['policy_id'] or ''}",
                "value": dollars(drift["nav_usd"]) if drift else "not known",
                "one-way drift": percent(drift["one_way_drift_before"]) if drift else "not known",
            }
        )
        if page["anomaly"] and page["anomaly"]["sentence"]:
            ui.label(f"Unusual: {page['anomaly']['sentence']}").classes("note")
    class_panel(page)
    if page["orders"]:
        orders_panel(page["orders"])
    with ui.element("div").classes("halves"):
        if page["orders"]:
            solution_panels(page)
        _quarantine(page)
        _proposals(proposals)


def _quarantine(page: dict[str, Any]) -> None:
    if page["causes"]:
        with panel("What stands behind it"):
            plain_table({"text": "cause", "found": "what was found"}, page["causes"])
    if not page["quarantine"]:
        return
    with panel("Rows set aside"):
        rows = [
            {
                "table": row["table_name"],
                "row": f"{row['file_name'] or ''} {row['row_number'] or ''}",
                "why": row["message"] or row["broken_rules"],
            }
            for row in page["quarantine"]
        ]
        plain_table({"table": "table", "row": "row", "why": "why"}, rows)


def _proposals(proposals: pl.DataFrame) -> None:
    with panel("Proposals"):
        if not proposals.height:
            ui.label("None yet.").classes("quiet")
            return
        rows = [
            {
                "night": row["as_of_date"].isoformat(),
                "state": word(row["state"]),
                "version": str(row["version"]),
                "trades": dollars(row["gross_value_usd"]),
                "tax": dollars(row["est_tax_usd"]),
                "orders": count(row["order_count"]),
                "link": f"/proposals/{row['proposal_id']}",
            }
            for row in proposals.iter_rows(named=True)
        ]
        columns = {name: name for name in ("night", "state", "version", "trades", "tax", "orders")}
        plain_table(columns, rows, numbers=("trades", "tax", "orders"), link="night")
