"""One proposal with everything that a reviewer may ask: what is traded and why, tax, cost, rules, the proof, the history."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from nicegui import ui

from console.pages.account_trail import household_panel
from console.pages.after_export import After, after_panel, read_after
from console.pages.amend import change_orders
from console.pages.decide import VERBS, DecisionResult, decision_dialog, tell
from console.pages.grace import Grace
from console.pages.parts import chips, class_panel, orders_panel, panel
from console.pages.preview import buttons
from console.pages.proposal_panels import (
    cash_panel,
    changes_panel,
    history_panel,
    rules_panel,
    solution_panels,
)
from console.shared import (
    Backend,
    PageContext,
    clock,
    dollars,
    follow,
    from_to,
    frontier_chart,
    nothing_here,
    page_context,
    percent,
    plural,
    until,
    waiting_page,
    word,
    words,
)
from schemas.enums import ProposalState, Role
from schemas.errors import WrongUsage
from tasks.core.export import sells_first
from tasks.core.propose import OrderChange
from tasks.review import DecidedProposals, changes, explain_account, household_page, review, version_before
from warehouse.ledger import Decision, DecisionRow, ReviewedVersion

STATES_THAT_WAIT: Final = frozenset({ProposalState.PENDING_REVIEW})
UNASKED: Final = frozenset({Decision.APPROVE, Decision.HOLD})
RELEASABLE: Final = frozenset({ProposalState.APPROVED, ProposalState.AUTO_APPROVED})


@dataclass(frozen=True)
class ProposalView:
    """What the page shows, read at once."""

    proposal: dict[str, Any]
    page: dict[str, Any]
    decisions: Sequence[DecisionRow]
    before: dict[str, Any] | None
    changes: Sequence[OrderChange]
    orders: Sequence[dict[str, Any]]
    newest: str | None
    """The version that took its place; null: this is the newest."""
    after: After | None
    joint: dict[str, Any] | None
    """The household as of the run, where the proposal is decided with others."""
    household: Sequence[Any]
    """The proposals that are decided with this one, itself among them, where it is of a household that is managed together."""
    mark: tuple[object, ...]


def register(backend: Backend) -> None:
    """``/proposals/<id>``."""

    @ui.page("/proposals/{proposal_id}")
    async def page(request: Request, proposal_id: str) -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Proposal")
        if content is None:
            return
        drawn: list[tuple[object, ...]] = []
        drawing = asyncio.Lock()

        async def draw() -> None:
            view = await desk.look(lambda: _read(desk, proposal_id))
            drawn[:] = [] if view is None else [view.mark]
            content.clear()
            with content:
                if view is None:
                    nothing_here()
                else:
                    _draw(desk, view, show)

        async def show() -> None:
            async with drawing:
                await draw()

        async def look_again() -> None:
            """Draw anew only what has changed, and not twice: a button that is replaced under the mouse takes no click."""
            async with drawing:
                mark = await desk.look(lambda: _mark(desk, proposal_id))
                if mark is not None and drawn != [mark]:
                    await draw()

        await show()
        follow(desk, look_again)


def _mark(desk: PageContext, name: str) -> tuple[object, ...]:
    """What changes when anything that the page shows of decisions, or of what came back, does."""
    ledger = desk.backend.ledger
    ledger.proposals.expire(desk.now)
    (full,) = review.resolve(ledger.proposals, [name])
    proposal = ledger.proposals.get_proposal(full) or {}
    newest = ledger.amendments.amended(str(proposal.get("run_id")), str(proposal.get("account_id"))).replaced
    after = read_after(desk, proposal) if proposal else None
    return proposal.get("revision"), len(ledger.proposals.decisions_of(full)), full in newest, after


def _read(desk: PageContext, proposal_id: str) -> ProposalView:
    backend = desk.backend
    ledger = backend.ledger
    mark = _mark(desk, proposal_id)
    (full,) = review.resolve(ledger.proposals, [proposal_id])
    proposal = ledger.proposals.get_proposal(full)
    if proposal is None:
        raise WrongUsage(f"there is no proposal {proposal_id}")
    found = explain_account(
        backend.lake,
        ledger.runs,
        ledger.proposals,
        ledger.amendments,
        proposal["account_id"],
        run_id=proposal["run_id"],
    )
    read = backend.reader(proposal["account_id"])
    orders = review.show(ledger.proposals, ledger.amendments, full, read, now=desk.now).orders
    before = version_before(ledger.proposals, proposal)
    sorted_orders = orders.sort(sells_first(), "symbol", "security_id").to_dicts()
    said = ledger.proposals.decisions_of(full)
    newest = found["proposal"]["proposal_id"] if found["proposal"] else full
    differs = changes(ledger.amendments, read, before, orders)
    replaced_by = None if newest == full else newest
    after = read_after(desk, proposal)
    household = ledger.proposals.decided_with([full]) if proposal["household_id"] else []
    joint = None
    if proposal["household_id"]:
        joint = household_page(backend.account_stores, proposal["household_id"], run_id=proposal["run_id"])
    return ProposalView(
        proposal, found, said, before, differs, sorted_orders, replaced_by, after, joint, household, mark
    )


def _draw(desk: PageContext, view: ProposalView, again: Callable[[], Awaitable[None]]) -> None:
    _head(desk, view, again)
    if view.after is not None:
        after_panel(view.after, desk.now)
    if view.joint is not None:
        household_panel(view.joint, view.proposal["account_id"])
    if view.newest is None:
        class_panel(view.page)
        orders_panel(view.page["orders"])
    else:
        with ui.element("div").classes("banner"):
            ui.label("A newer version took the place of this one.")
            ui.link("To the newest version", f"/proposals/{view.newest}")
        orders_panel(view.orders)
    with ui.element("div").classes("halves"):
        if view.newest is None:
            solution_panels(view.page)
            cash_panel(view.page)
            rules_panel(view.page)
        history_panel(view.proposal, view.decisions)
        changes_panel(view.proposal, view.before, view.changes)
        _frontier(desk, view.proposal)


def _head(desk: PageContext, view: ProposalView, again: Callable[[], Awaitable[None]]) -> None:
    proposal, account = view.proposal, view.page["account"]
    with ui.element("section").classes("panel head"):
        with ui.row().classes("headline"):
            ui.link(proposal["account_id"], f"/accounts/{proposal['account_id']}").classes("title mono")
            ui.label(word(proposal["state"])).classes(f"state {proposal['state']}")
            if proposal["version"] > 1:
                ui.label(f"version {proposal['version']}, changed by {proposal['amender']}").classes("chip mark")
            if proposal["held_by"]:
                ui.label(f"held by {proposal['held_by']}").classes("chip mark")
            if proposal["household_id"]:
                ui.link(f"household {proposal['household_id']}", f"/households/{proposal['household_id']}").classes(
                    "chip mark"
                )
            ui.space()
            ui.link(f"night of {proposal['as_of_date']}", f"/?run={proposal['run_id']}").classes("quiet")
        ui.label(
            f"{account['tax_status']}, model {account['model_id']}, policy {account['policy_id']}, "
            f"at {account['custodian']}"
        ).classes("quiet")
        wanted = (*view.page["tilts"], *view.page["indexes"])
        for text in (*view.page["outcome"]["sentences"], *(one["sentence"] for one in wanted)):
            ui.label(text)
        _household(view)
        with ui.row().classes("chips"):
            chips(words(proposal["look_reasons"]))
            chips(words(proposal["route_reasons"]), "mark")
        if view.page["anomaly"] and view.page["anomaly"]["sentence"]:
            ui.label(f"Unusual: {view.page['anomaly']['sentence']}").classes("note")
        with ui.element("div").classes("tiles small"):
            _figures(desk, proposal)
        _decisions(desk, view, again)


def _household(view: ProposalView) -> None:
    """The others that a decision here is about."""
    others = [row for row in view.household if row.proposal_id != view.proposal["proposal_id"]]
    if others:
        with ui.row().classes("chips"):
            ui.label("Decided as one, and leaves, with")
            for row in others:
                ui.link(row.account_id, f"/proposals/{row.proposal_id}").classes("mono")


def _figures(desk: PageContext, proposal: dict[str, Any]) -> None:
    is_waiting = proposal["state"] in STATES_THAT_WAIT
    ends = min(filter(None, (proposal["cut_off_at"], proposal["expires_at"])))
    for figure, text in (
        (dollars(proposal["nav_usd"]), "account value"),
        (dollars(proposal["gross_value_usd"]), f"of trades, {percent(proposal['turnover'])} turnover"),
        (dollars(proposal["est_tax_usd"]), "estimated tax"),
        (dollars(proposal["est_cost_usd"]), "estimated cost"),
        (
            from_to(proposal["one_way_drift_before"], proposal["one_way_drift_after"]),
            "own one-way drift; the household's is below" if proposal["household_id"] else "one-way drift",
        ),
        (
            until(ends, desk.now) if is_waiting else clock(proposal["state_changed_at"]),
            "ends" if is_waiting else "since",
        ),
    ):
        with ui.element("div").classes("tile"):
            ui.label(figure).classes("figure")
            ui.label(text).classes("quiet")


def _decisions(desk: PageContext, view: ProposalView, again: Callable[[], Awaitable[None]]) -> None:
    proposal = view.proposal

    async def decide(name: str, decision: Decision) -> None:
        number = 1 if decision is Decision.COMMENT else max(len(view.household), 1)
        what = f"this proposal for {proposal['account_id']}"
        if number > 1:
            what = f"{plural(number, 'proposal')} of household {proposal['household_id']}"
        note = await decision_dialog(decision, what, is_asked=decision not in UNASKED or number > 1)
        if note is None:
            return
        seen = {name: ReviewedVersion(proposal["content_hash"], proposal["revision"])}

        async def done(decided: DecidedProposals | None) -> None:
            if decided is not None:
                tell(DecisionResult(decision, decided.states, decided.refused, decided.together))
            await again()

        await Grace(desk).let(
            decision,
            f"{VERBS[decision]} {what}",
            lambda: review.decide_seen(
                desk.backend.ledger.decisions, seen, decision, actor=desk.name, now=desk.now, note=note
            ),
            done,
        )

    name = proposal["proposal_id"]
    current = [one for one in view.decisions if one.decision is Decision.APPROVE]
    approvers = [one.actor for one in current if one.content_hash == proposal["content_hash"]]
    with ui.row().classes("decisions"):
        if desk.may_review and proposal["state"] in STATES_THAT_WAIT:
            buttons(proposal, decide, approvers, desk.name)
            _assign(desk, proposal, again)
            if not proposal["household_id"]:
                ui.button("Change orders…", on_click=lambda: change_orders(desk, proposal, view.orders)).props(
                    "no-caps flat dense"
                )
        if desk.may_review and proposal["state"] in RELEASABLE:
            ui.button("Withdraw approval…", on_click=lambda: decide(name, Decision.WITHDRAW)).props("no-caps outline")
        ui.button("Comment…", on_click=lambda: decide(name, Decision.COMMENT)).props("no-caps flat dense")


def _assign(desk: PageContext, proposal: dict[str, Any], again: Callable[[], Awaitable[None]]) -> None:
    async def give(name: str | None) -> None:
        ledger = desk.backend.ledger
        await desk.ask(lambda: ledger.decisions.assign([proposal["proposal_id"]], name, actor=desk.name, now=desk.now))
        await again()

    reviewers = [
        user.name for user in desk.backend.ledger.users.list_users() if user.roles & {Role.REVIEWER, Role.ADMIN}
    ]
    with ui.button(proposal["assignee"] or "Assign").props("no-caps flat dense icon-right=expand_more"), ui.menu():
        for reviewer in reviewers:
            ui.menu_item(reviewer, lambda n=reviewer: give(n))
        ui.menu_item("nobody", lambda: give(None))


def _frontier(desk: PageContext, proposal: dict[str, Any]) -> None:
    """What other ways of trading would give; worked out when asked for, it takes seconds."""
    with panel("Other ways to trade", wide=True) as section:
        button = ui.button("Work them out", icon="insights").props("no-caps outline")

    async def work() -> None:
        button.props("loading")
        found = await desk.look(lambda: _scenarios(desk, proposal))
        button.props(remove="loading")
        if found is not None:
            button.set_visibility(False)
            with section:
                ui.label(found["sentence"])
                ui.echart(frontier_chart(found["scenarios"])).style("height: 340px")

    button.on_click(work)


def _scenarios(desk: PageContext, proposal: dict[str, Any]) -> dict[str, Any]:
    backend, account_id, run_id = desk.backend, proposal["account_id"], proposal["run_id"]
    page = explain_account(
        backend.lake,
        backend.ledger.runs,
        backend.ledger.proposals,
        backend.ledger.amendments,
        account_id,
        run_id=run_id,
        has_frontier=True,
    )
    found: dict[str, Any] = page["frontier"]
    return found
