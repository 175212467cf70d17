"""``trimtab explain``: what a run made of one account, as a page or as JSON."""

from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from flows.commands.explain_limits import (
    print_certificate,
    print_limits,
    print_losses,
    print_tax,
    print_ways,
    say,
    title,
)
from flows.commands.explain_tables import (
    CLASSES,
    CLASSES_BEFORE,
    LOTS,
    ORDERS,
    SCENARIOS,
    Page,
    drift_text,
    number,
    print_rows,
    usd,
)
from flows.commands.terminal import Json, RunOfAccount, print_json, text_console
from schemas.enums import ProposalState
from tasks.core.explain import STATES, folded, folded_orders, folded_words
from tasks.review import explain_account
from tasks.runtime import open_ledger, settings_of_a_home
from warehouse.lake import open_lake

PAGE_WIDTH: Final = 100
"""Columns of a page that goes to a file or another program."""
MOST_ALIKE: Final = 12
"""Orders of members of an index, of one side, that are shown one by one."""
NAMED: Final = 5
"""How many of more are named."""


def explain(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    run: RunOfAccount = None,
    *,
    is_json: Json = False,
    has_frontier: Annotated[
        bool, typer.Option("--frontier", help="Add what other penalties and destinations would have traded.")
    ] = False,
) -> None:
    """Say what a run made of an account and why: drift, orders, what stopped the rest, tax, cash, who decided."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        page = explain_account(
            open_lake(settings),
            ledger.runs,
            ledger.proposals,
            ledger.amendments,
            account,
            run_id=run,
            has_frontier=has_frontier,
        )
    if is_json:
        print_json(page)
        return
    print_page(page, text_console(PAGE_WIDTH))


def print_page(page: Page, console: Console) -> None:
    """Every section that says something, in the order in which an operator asks."""
    for section in (
        _head,
        _quarantine,
        _drift,
        _orders,
        _print_obstacles,
        print_ways,
        print_tax,
        print_losses,
        _cash,
        print_limits,
        _wash_sales,
        print_certificate,
        _print_decisions,
    ):
        section(page, console)
    if "frontier" in page:
        _frontier(page, console)


def _head(page: Page, console: Console) -> None:
    account, run, outcome = page["account"], page["run"], page["outcome"]
    named = ("household_id", "custodian", "tax_status", "model_id", "policy_id")
    facts = [f"{name.removesuffix('_id').replace('_', ' ')} {account[name]}" for name in named if account[name]]
    console.print(Text(f"Account {account['account_id']}", style="bold"))
    say(console, *([", ".join(facts)] if facts else []))
    say(console, f"run {run['run_id']} ({run['kind']}, {run['state']}), as of {run['as_of_date']}")
    console.print()
    console.print(
        Text(f"{outcome['outcome']}: ", style="bold").append(" ".join(outcome["sentences"]), style="not bold")
    )
    if page["anomaly"] and page["anomaly"]["sentence"]:
        console.print(Text("unusual: ", style="bold").append(page["anomaly"]["sentence"], style="not bold"))


def _quarantine(page: Page, console: Console) -> None:
    if page["causes"]:
        title(console, "What stands behind it")
        say(console, *(f"{one['text']}: {one['found']}" for one in page["causes"]))
    if page["quarantine"]:
        title(console, "Broken rows")
        say(console, *(row["message"] for row in page["quarantine"]))


def _drift(page: Page, console: Console) -> None:
    drift = page["drift"]
    if drift is None:
        return
    after = drift["one_way_drift_after"]
    then = "" if after is None else f", {after:.2%} after"
    title(console, "Drift")
    say(console, f"NAV {usd(drift['nav_usd'])} USD; one-way drift {drift['one_way_drift_before']:.2%} of it{then}.")
    print_rows(console, CLASSES if after is not None else CLASSES_BEFORE, folded(page["classes"]))
    say(console, *(one["sentence"] for one in (*page["tilts"], *page["indexes"])))
    if page["household_classes"]:
        say(console, "Its household is rebalanced together, and these are the household's bands:")
        print_rows(console, CLASSES_BEFORE, page["household_classes"])


def _orders(page: Page, console: Console) -> None:
    if not page["orders"]:
        return
    title(console, "Orders")
    say(
        console,
        "Benefit and cost: of a dollar of the order on average, beside all other orders, in basis points; worth: what it is worth "
        "beyond its cost; spread and tax: estimates, USD.",
    )
    rest, many = folded_orders(page["orders"], MOST_ALIKE)
    print_rows(console, ORDERS, rest)
    console.print()
    say(console, *(_why(order) for order in rest), *(_together(*one) for one in many))
    lots = [{"symbol": order["symbol"], **lot} for order in rest for lot in order["lots"]]
    if lots:
        title(console, "Lots sold")
        print_rows(console, LOTS, lots)


def _together(words: str, orders: Sequence[Page]) -> str:
    """What orders of members of an index come to, and which of them are worth most; ``--json`` has each."""
    sums = {name: sum(one[name] for one in orders) for name in ("value_usd", "est_cost_usd", "est_tax_usd")}
    largest = sorted(orders, key=lambda one: -one["value_usd"])[:NAMED]
    named = ", ".join(f"{one['symbol']} {usd(one['value_usd'])}" for one in largest)
    spent = f"spread {usd(sums['est_cost_usd'])}, tax {usd(sums['est_tax_usd'])}"
    return f"{words}: {usd(sums['value_usd'])} USD, {spent}; the largest {named}; --json has each with its reason and its lots."


def _why(order: Page) -> str:
    note = f". {order['note']}" if order["note"] else ""
    return f"{order['side']} {order['symbol']}: {order['reason']}{note}"


def _print_obstacles(page: Page, console: Console) -> None:
    if page["stopped"]:
        title(console, "What stopped the rest")
        say(console, *(_stop(row) for row in folded_words(page["stopped"], ("code",))))


def _stop(row: Page) -> str:
    detail = f" ({row['detail']})" if row["detail"] else ""
    moved = f"drift {drift_text(row['drift_before'])}, {drift_text(row['drift_after'])} after"
    return f"{row['asset_class']}, {moved}: {row['sentence'].rstrip('.')}{detail}."


def _cash(page: Page, console: Console) -> None:
    cash = page["cash"]
    if cash is None:
        return
    title(console, "Cash")
    parts = (
        f"settled {usd(cash['settled_usd'])}, pending {usd(cash['pending_usd'])}, reserve {usd(cash['reserve_usd'])}"
    )
    say(
        console,
        f"Beyond the reserve {usd(cash['before_usd'])} USD before, {usd(cash['after_usd'])} USD after ({parts}).",
    )
    if cash["price_of_cash_sentence"] and not page["limits"]:
        say(console, cash["price_of_cash_sentence"])


def _wash_sales(page: Page, console: Console) -> None:
    washed = page["wash_sales"]
    barred = [
        f"The household sold {row['security_id']} at a loss: not to be bought until {row['until_date']} is over."
        for row in washed["may_not_buy"]
    ]
    replaced = [
        f"{row['security_id']}: {number(row['replaced_quantity'])} shares bought by the household within the window replace as"
        f" many of the {number(row['sold_at_loss_quantity'])} sold at a loss; the loss on them saves no tax."
        for row in washed["losses_replaced"]
    ]
    if barred or replaced:
        title(console, "Wash sales")
        say(console, *barred, *replaced)


def _print_decisions(page: Page, console: Console) -> None:
    proposal = page["proposal"]
    if proposal is None:
        return
    title(console, "Proposal")
    why = f" ({', '.join(proposal['route_reasons'].split('|'))})" if proposal["route_reasons"] else ""
    state = "not routed yet" if proposal["state"] is None else STATES[ProposalState(proposal["state"])]
    say(console, f"{proposal['proposal_id']}: {state}. Routed to {proposal['route']}{why}.")
    spent = f"turnover {proposal['turnover']:.2%}, estimated cost {usd(proposal['est_cost_usd'])} USD"
    say(console, f"{proposal['order_count']} orders worth {usd(proposal['gross_value_usd'])} USD, {spent}.")
    for one in proposal["decisions"]:
        note = f": {one['note']}" if one["note"] else ""
        say(console, f"{one['decided_at']:%Y-%m-%d %H:%M}Z {one['actor']} said {one['decision']}{note}")


def _frontier(page: Page, console: Console) -> None:
    title(console, "Tracking against tax and cost")
    if page["frontier"] is None:
        say(console, "The account may not be traded at all.")
        return
    print_rows(console, SCENARIOS, page["frontier"]["scenarios"])
    say(console, page["frontier"]["sentence"])
