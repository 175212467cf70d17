"""The proposal under the queue's cursor: enough to decide most of them without leaving the queue."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from nicegui import ui

from console.pages.parts import chips, facts
from console.shared import PageContext, class_chart, clock, dollars, from_to, height_of, ordered, percent, plural, words
from schemas.enums import ProposalState
from schemas.errors import WrongUsage
from tasks.core.export import sells_first
from tasks.review import ProposalDetail, review, weights_with
from warehouse.ledger import Decision

MOST_ORDERS: Final = 40
Deciding = Callable[[str, Decision], Awaitable[None]]


class Preview:
    """The part of the page beside the queue. Its chart stays and takes new values: making one anew each time is slow."""

    def __init__(self, desk: PageContext, side: ui.element, decide: Deciding) -> None:
        self._desk = desk
        self._decide = decide
        with side:
            self._head = ui.element("div")
            self._chart = ui.echart(class_chart([])).classes("hidden")
            self._rest = ui.element("div")

    def say(self, text: str) -> None:
        """A sentence instead of a proposal."""
        self._head.clear()
        self._rest.clear()
        self._chart.classes(add="hidden")
        with self._head:
            ui.label(text).classes("quiet")

    async def show(self, proposal_id: str) -> None:
        """A proposal; what is there stays until it is read."""
        found = await self._desk.look(lambda: _read(self._desk, proposal_id))
        if found is None:
            return
        detail, classes, approvers = found
        self._head.clear()
        with self._head:
            _head(self._desk, detail.proposal, self._decide, approvers)
        self._draw_chart(classes)
        self._rest.clear()
        with self._rest:
            _orders(detail)
            if detail.unusual:
                ui.label(f"Unusual: {detail.unusual}").classes("note")
            for one in detail.decisions:
                said = f": {one.note}" if one.note else ""
                ui.label(f"{clock(one.decided_at)} {one.actor}, {one.decision}{said}").classes("quiet")

    def _draw_chart(self, classes: list[dict[str, Any]]) -> None:
        self._chart.options.clear()
        self._chart.options.update(class_chart(classes))
        self._chart.style(f"height: {height_of(len(classes))}px")
        self._chart.classes(remove="hidden") if classes else self._chart.classes(add="hidden")
        self._chart.update()


def _read(desk: PageContext, proposal_id: str) -> tuple[ProposalDetail, list[dict[str, Any]], list[str]]:
    proposal = desk.backend.ledger.proposals.get_proposal(proposal_id)
    if proposal is None:
        raise WrongUsage(f"there is no proposal {proposal_id}")
    read = desk.backend.reader(proposal["account_id"])
    detail = review.show(desk.backend.ledger.proposals, desk.backend.ledger.amendments, proposal_id, read, now=desk.now)
    approvers = desk.backend.ledger.decisions.approvers_of([proposal_id]).get(proposal_id, [])
    return detail, weights_with(desk.backend.lake, detail.proposal, detail.orders), approvers


def _head(desk: PageContext, proposal: dict[str, Any], decide: Deciding, approvers: Sequence[str]) -> None:
    with ui.row().classes("headline"):
        ui.link(proposal["account_id"], f"/proposals/{proposal['proposal_id']}").classes("title mono")
        ui.label(proposal["custodian"]).classes("quiet")
    chips(words(proposal["look_reasons"]))
    chips(words(proposal["route_reasons"]), "mark")
    if desk.may_review and proposal["state"] == ProposalState.PENDING_REVIEW:
        buttons(proposal, decide, approvers, desk.name)
    if proposal["household_id"]:
        ui.link(f"household {proposal['household_id']}, one decision", f"/households/{proposal['household_id']}")
    facts(
        {
            "account value": dollars(proposal["nav_usd"]),
            "trades": f"{dollars(proposal['gross_value_usd'])} ({percent(proposal['turnover'])} turnover)",
            "tax, cost": f"{dollars(proposal['est_tax_usd'])}, {dollars(proposal['est_cost_usd'])}",
            "own drift" if proposal["household_id"] else "drift": from_to(
                proposal["one_way_drift_before"], proposal["one_way_drift_after"]
            ),
        }
    )


def approvals(proposal: Mapping[str, Any], approvers: Sequence[str]) -> str:
    """How far the approvals are that a proposal needs from more than one person; empty where one is enough."""
    needed = proposal["approvals_needed"]
    if needed == 1 or proposal["state"] != ProposalState.PENDING_REVIEW:
        return ""
    return (
        f"{len(approvers)} of {needed} approvals: {', '.join(approvers)}" if approvers else f"needs {needed} approvals"
    )


def buttons(proposal: dict[str, Any], decide: Deciding, approvers: Sequence[str], name_of_reader: str) -> None:
    """The decisions that may be taken on a waiting proposal; who approved it sees what it waits for instead of a button."""
    name = proposal["proposal_id"]
    if told := approvals(proposal, approvers):
        own = "; you approved it, and another person must now" if name_of_reader in approvers else ""
        ui.label(f"{told}{own}.").classes("note")
    with ui.row().classes("decisions"):
        if name_of_reader not in approvers:
            ui.button("Approve", on_click=lambda: decide(name, Decision.APPROVE)).props("no-caps unelevated dense")
        ui.button("Reject", on_click=lambda: decide(name, Decision.REJECT)).props("no-caps outline dense")
        if proposal["held_by"]:
            ui.button("Release hold", on_click=lambda: decide(name, Decision.UNHOLD)).props("no-caps flat dense")
        else:
            ui.button("Hold", on_click=lambda: decide(name, Decision.HOLD)).props("no-caps flat dense")


def _orders(detail: ProposalDetail) -> None:
    rows = detail.orders.sort(sells_first(), "symbol", "security_id").to_dicts()
    ui.label(plural(len(rows), "order")).classes("panel-title")
    with ui.element("table").classes("mini"):
        for row in rows[:MOST_ORDERS]:
            with ui.element("tr"):
                for text, kind in (
                    (row["side"], f"side {row['side']}"),
                    (row["symbol"] or row["security_id"], "mono"),
                    (ordered(row["quantity"], row["amount_usd"]), "number"),
                    (dollars(row["value_usd"]), "number"),
                ):
                    with ui.element("td").classes(kind):
                        ui.label(text)
    if len(rows) > MOST_ORDERS:
        ui.label(f"and {len(rows) - MOST_ORDERS} more").classes("quiet")
