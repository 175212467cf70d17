"""``trimtab review``: look at the queue and decide."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from flows.commands.say import say
from flows.commands.terminal import Json, lines, notice, print_frame, print_json, print_table
from schemas.enums import LookReason, ProposalState
from schemas.errors import WrongUsage
from tasks import review as review_stage
from tasks.core.explain import LOOKS
from tasks.core.propose import OrderChange
from tasks.review import DecidedProposals, ProposalDetail, changes, review, version_before
from tasks.runtime import current_actor, open_ledger, settings_of_a_home
from warehouse import lake
from warehouse.ledger import Decision, Sort

app = typer.Typer(no_args_is_help=True, help="Look at proposed trades, approve or reject them.")

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Proposals, or the first 6 characters or more.")]
Matching = Annotated[str | None, typer.Option("--filter", help=f"key=value,... with keys {', '.join(review.KEYS)}.")]
Note = Annotated[str, typer.Option("--note", help="Why; recorded with the decision.")]
Order = Annotated[Sort, typer.Option("--sort", help="What comes first.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Most rows to print as a table.")]

LISTED: Final = ("priority", "proposal", "trade", "why a person", "look at", "until")
ORDERS_SHOWN: Final = ("side", "symbol", "quantity", "price_usd", "value_usd", "est_cost_usd", "est_tax_usd", "reason")
LOTS_SHOWN: Final = ("security_id", "lot_id", "quantity", "unit_cost_usd", "acquired_date", "term", "gain_usd")


@app.command("list")
def list_(matching: Matching = None, sort: Order = Sort.PRIORITY, limit: Limit = 50, *, is_json: Json = False) -> None:
    """Show the proposals that wait for review, or those that a filter matches, what to look at first on top."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        found = review.queue(
            ledger.proposals, ledger.queue, review.parse_filter(matching or ""), now=datetime.now(UTC), sort=sort
        )
    if is_json:
        print_json(found.to_dicts())
        return
    rows = map(_table_row, found.head(limit).iter_rows(named=True))
    print_table(f"{found.height:,} proposals", LISTED, rows, whole=("proposal", "trade"))
    if found.height > limit:
        notice(f"{found.height - limit:,} more are not shown; --limit shows more, --filter finds some.")


def _table_row(one: Mapping[str, Any]) -> tuple[object, ...]:
    """A proposal of the queue in few columns of a few lines each, in the order of ``LISTED``."""
    state = "" if one["state"] == ProposalState.PENDING_REVIEW else one["state"]
    held = one["held_by"] and f"held by {one['held_by']}"
    turnover = f"turnover {one['turnover']:.1%}"
    tax = "" if one["est_tax_usd"] is None else f"tax {one['est_tax_usd']:,.2f}"
    approvals = f"{one['approvals_needed']} approvals" if one["approvals_needed"] > 1 else ""
    cut_off = one["cut_off_at"] and f"cut-off {one['cut_off_at']:%Y-%m-%d %H:%MZ}"
    return (
        one["priority"],
        lines(
            one["proposal_id"],
            f"{one['account_id']} {one['custodian']}",
            ", ".join(_codes(one["triggers"])),
            one["household_id"] and f"household {one['household_id']}",
            state,
            held,
        ),
        Text(
            lines(f"{one['gross_value_usd']:,.2f} USD", turnover, tax, f"orders {one['order_count']}"), justify="right"
        ),
        lines(*_codes(one["route_reasons"]), approvals),
        lines(*_codes(one["look_reasons"])),
        lines(cut_off, f"expires {one['expires_at']:%Y-%m-%d %H:%MZ}"),
    )


def _codes(joined: str | None) -> list[str]:
    return (joined or "").replace("_", " ").split("|")


@app.command()
def show(proposal: Annotated[str, typer.Argument(metavar="ID")], *, is_json: Json = False) -> None:
    """Show one proposal with its orders, the lots they close, and what was decided."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        read = lake.open_lake(settings).read
        detail = review.show(ledger.proposals, ledger.amendments, proposal, read, now=datetime.now(UTC))
        before = version_before(ledger.proposals, detail.proposal)
        differences = changes(ledger.amendments, read, before, detail.orders)
    if is_json:
        print_json(_as_json(detail, before, differences))
        return
    print_detail(detail)
    if before is not None:
        rows = [(one.side, one.symbol, one.before, one.now) for one in differences]
        print_table(f"Against {before['proposal_id']} ({before['state']})", ("side", "symbol", "then", "now"), rows)


def _as_json(
    detail: ProposalDetail, before: Mapping[str, Any] | None, differences: Sequence[OrderChange]
) -> dict[str, object]:
    return {
        "proposal": detail.proposal,
        "orders": detail.orders.to_dicts(),
        "lots": detail.lots.to_dicts(),
        "decisions": [asdict(one) for one in detail.decisions],
        "unusual": detail.unusual,
        "replaces": None if before is None else before["proposal_id"],
        "changes": [asdict(one) for one in differences],
    }


def print_detail(detail: ProposalDetail) -> None:
    """The proposal, its orders, its lots and its decisions, as tables."""
    print_table(f"Proposal {detail.proposal['proposal_id']}", ("what", "value"), detail.proposal.items())
    if reasons := detail.proposal["look_reasons"]:
        print_table(
            "Why to look", ("reason", "what it says"), [(one, LOOKS[LookReason(one)]) for one in reasons.split("|")]
        )
    if detail.unusual:
        say(f"unusual: {detail.unusual}\n")
    print_frame("Orders", detail.orders.select(ORDERS_SHOWN))
    if detail.lots.height:
        print_frame("Lots sold", detail.lots.select(LOTS_SHOWN))
    if detail.decisions:
        rows = [(one.decided_at, one.actor, one.decision, one.note) for one in detail.decisions]
        print_table("Decisions", ("decided_at", "actor", "decision", "note"), rows)


@app.command()
def approve(ids: Ids = None, matching: Matching = None, note: Note = "", *, is_json: Json = False) -> None:
    """Approve proposals; all of them or, if one cannot be, none."""
    _decide(Decision.APPROVE, ids, matching, note, is_json=is_json)


@app.command()
def reject(ids: Ids = None, matching: Matching = None, note: Note = "", *, is_json: Json = False) -> None:
    """Reject proposals; needs a note."""
    _decide(Decision.REJECT, ids, matching, note, is_json=is_json)


@app.command()
def hold(ids: Ids = None, matching: Matching = None, note: Note = "", *, is_json: Json = False) -> None:
    """Keep proposals from being approved by anybody else; they stay in the queue."""
    _decide(Decision.HOLD, ids, matching, note, is_json=is_json)


@app.command()
def unhold(ids: Ids = None, matching: Matching = None, note: Note = "", *, is_json: Json = False) -> None:
    """Release what is held; somebody else's hold needs a note."""
    _decide(Decision.UNHOLD, ids, matching, note, is_json=is_json)


@app.command()
def comment(ids: Ids = None, note: Note = "", *, is_json: Json = False) -> None:
    """Say something about proposals; it changes nothing."""
    _decide(Decision.COMMENT, ids, None, note, is_json=is_json)


@app.command()
def amend(
    proposal: Annotated[str, typer.Argument(metavar="ID")],
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="ORDER", help="Leave this order out; its id or symbol.")
    ] = None,
    shrink: Annotated[
        list[str] | None, typer.Option("--shrink", metavar="ORDER=QUANTITY", help="Make this order so small.")
    ] = None,
    note: Note = "",
) -> None:
    """Drop or shrink orders; what is left is checked, and waits for another person as a new version."""
    wish = [*((name, Decimal(0)) for name in drop or ()), *(_quantity(text) for text in shrink or ())]
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        stored, now = lake.open_lake(settings), datetime.now(UTC)
        name = review_stage.amend_proposal(
            ledger.amendments,
            ledger.proposals,
            ledger.runs,
            stored,
            proposal,
            wish=wish,
            actor=current_actor(),
            now=now,
            note=note,
        )
    say(name)
    notice("The new version waits for another person: who changed it may not approve it.")


def _quantity(text: str) -> tuple[str, Decimal]:
    name, equals, quantity = text.partition("=")
    try:
        amount = Decimal(quantity)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (name and equals and amount.is_finite()):
        raise WrongUsage(f"--shrink takes an order and its quantity, as in AAPL=12, not {text!r}")
    return name, amount


@app.command()
def assign(
    ids: Ids = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="Who looks; nobody in particular where absent.")
    ] = None,
) -> None:
    """Say who is to look at proposals."""
    if not ids:
        raise WrongUsage("say which proposals to assign")
    with closing(open_ledger(settings_of_a_home())) as ledger:
        review.assign(ledger.decisions, ledger.proposals, ids, to, actor=current_actor(), now=datetime.now(UTC))
        count, together = review.decided_with(ledger.proposals, review.resolve(ledger.proposals, ids))
    notice(f"{count:,} assigned to {to or 'nobody'}.")
    for sentence in together:
        notice(f"{sentence}.")


@app.command()
def withdraw(ids: Ids = None, note: Note = "", *, is_json: Json = False) -> None:
    """Take approvals back that have not been exported."""
    _decide(Decision.WITHDRAW, ids, None, note, is_json=is_json)


def _decide(decision: Decision, ids: list[str] | None, matching: str | None, note: str, *, is_json: bool) -> None:
    if (not ids) == (matching is None):
        raise WrongUsage(f"say what to {decision}: either proposals or a --filter")
    actor, now = current_actor(), datetime.now(UTC)
    with closing(open_ledger(settings_of_a_home())) as ledger:
        if matching is None:
            decided = review.decide(
                ledger.decisions, ledger.proposals, ids or [], decision, actor=actor, now=now, note=note
            )
        else:
            decided = review.decide_matching(
                ledger.decisions,
                ledger.proposals,
                ledger.queue,
                review.parse_filter(matching),
                decision,
                actor=actor,
                now=now,
                note=note,
            )
    _print_decided(decided, is_json=is_json)


def _print_decided(decided: DecidedProposals, *, is_json: bool) -> None:
    if is_json:
        print_json({"decision": decided.decision, "states": decided.states, "households": decided.households})
        return
    if not decided.states:
        notice("Nothing matches; nothing was decided.")
        return
    counts = Counter(decided.states.values())
    print_table(f"{decided.decision}: {len(decided.states):,} proposals", ("state now", "proposals"), counts.items())
    for sentence in decided.together:
        notice(f"{sentence}.")
    waiting = counts[ProposalState.PENDING_REVIEW]
    if decided.decision is Decision.APPROVE and waiting:
        notice(f"{waiting:,} still waiting for a second person's approval.")
