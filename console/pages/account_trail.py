"""Panels of an account: its proposals, orders and fills, recent trades, rows set aside, and its household."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nicegui import ui

from console.pages.parts import panel, plain_table
from console.shared import NONE, count, day, dollars, from_to, ordered, percent, plural, price, shares, word

Page = Mapping[str, Any]
STATE_CELLS: Final = """
<a v-if="col.name === 'night' && props.row.link" :href="props.row.link" class="row-link">{{ props.row.night }}</a>
<a v-else-if="col.name === 'account'" :href="props.row.link" class="row-link mono">{{ props.row.account }}</a>
<span v-else-if="col.name === 'outcome' && props.row.outcome" :class="'state ' + props.row.word">{{ props.row.outcome }}</span>
<template v-else-if="col.name === 'proposal' && props.row.proposal"><a :href="props.row.to" class="row-link">{{ props.row.proposal }}</a></template>
<span v-else-if="col.name === 'state'" :class="'state ' + props.row.word">{{ props.row.state }}</span>
<span v-else-if="col.name === 'side'" :class="'side ' + props.row.side">{{ props.row.side }}</span>
"""
SHOWN: Final = 12
"""Rows of a long list that stand open; the rest unfolds."""


def unfolding_table(
    rows: Sequence[Page], columns: Mapping[str, str], numbers: Sequence[str], label: str, more: str
) -> None:
    """The first rows of a table, and the rest where it is asked for."""
    table = plain_table(columns, rows[:SHOWN], numbers=numbers, cells=STATE_CELLS)
    table.props(f'aria-label="{label}"')
    if len(rows) > SHOWN:
        with ui.expansion(plural(len(rows) - SHOWN, more)).classes("quiet"):
            plain_table(columns, rows[SHOWN:], numbers=numbers, cells=STATE_CELLS).props(
                f'aria-label="{label}, {more}s"'
            )


def proposals_panel(page: Page) -> None:
    """Every proposal, newest first."""
    with panel("Proposals", wide=True):
        rows = [
            {
                "night": day(row["as_of_date"]),
                "link": f"/proposals/{row['proposal_id']}",
                "state": word(row["state"]),
                "word": row["state"],
                "version": str(row["version"]),
                "trades": dollars(row["gross_value_usd"]),
                "tax": dollars(row["est_tax_usd"]),
                "drift": from_to(row["one_way_drift_before"], row["one_way_drift_after"]),
                "orders": count(row["order_count"]),
            }
            for row in page["proposals"]
        ]
        if not rows:
            ui.label("None yet.").classes("quiet")
            return
        columns = {name: name for name in ("night", "state", "version", "trades", "tax", "drift", "orders")}
        unfolding_table(rows, columns, ("trades", "tax", "drift", "orders"), "Proposals", "older proposal")


def sent_panel(page: Page) -> None:
    """Orders that left, and what became of them."""
    if not page["orders"]:
        return
    with panel("Orders that left", wide=True):
        rows = [
            {
                "side": row["side"],
                "symbol": row["symbol"] or row["security_id"],
                "ordered": ordered(row["quantity"], row["amount_usd"]),
                "state": word(row["state"]),
                "word": row["state"],
                "filled": shares(row["filled_quantity"]),
                "price": price(row["average_price_usd"]),
                "fees": dollars(row["fees_usd"]),
                "traded": day(row["last_trade_date"]),
                "proposal": row["export_id"],
                "to": f"/proposals/{row['proposal_id']}",
            }
            for row in page["orders"]
        ]
        columns = {
            "side": "",
            "symbol": "symbol",
            "ordered": "ordered",
            "state": "state",
            "filled": "filled",
            "price": "average price",
            "fees": "fees",
            "traded": "last trade",
            "proposal": "export",
        }
        unfolding_table(rows, columns, ("ordered", "filled", "price", "fees"), "Orders that left", "older order")


def trades_panel(page: Page) -> None:
    """Trades that the source tells of."""
    if not page["trades"]:
        return
    with panel("Recent trades"):
        rows = [
            {
                "night": day(row["trade_date"]),
                "link": "",
                "side": row["side"],
                "security": row["security_id"],
                "shares": shares(row["quantity"]),
                "price": price(row["price_usd"]),
                "gain": dollars(row["realized_gain_usd"]),
            }
            for row in page["trades"]
        ]
        columns = {
            "night": "date",
            "side": "",
            "security": "security",
            "shares": "shares",
            "price": "price",
            "gain": "gain",
        }
        unfolding_table(rows, columns, ("shares", "price", "gain"), "Recent trades", "older trade")


def set_aside_panel(page: Page) -> None:
    """Its rows that the gate set aside."""
    if not page["quarantine"]:
        return
    with panel("Rows set aside", wide=True):
        rows = [
            {
                "table": row["table_name"],
                "row": f"{row['file_name'] or ''} {row['row_number'] or ''}",
                "why": row["message"] or row["broken_rules"],
            }
            for row in page["quarantine"]
        ]
        plain_table({"table": "table", "row": "row", "why": "why"}, rows).props('aria-label="Rows set aside"')
        ui.link("To the quarantine", f"/quarantine?run={page['run']['run_id']}")


def members_table(household: Page, account_id: str = "") -> None:
    """Accounts of a household side by side; the one that is looked at is marked."""
    rows = [
        {
            "account": one["account_id"] + (" (this one)" if one["account_id"] == account_id else ""),
            "link": f"/accounts/{one['account_id']}",
            "custodian": one["custodian"] or NONE,
            "tax": word(one["tax_status"] or NONE),
            "nav": dollars(one["nav_usd"]),
            "drift": from_to(one["one_way_drift"], one["one_way_drift_after"])
            if one["one_way_drift_after"] is not None
            else percent(one["one_way_drift"]),
            "outcome": word(one["outcome"] or ""),
            "word": one["outcome"] or "",
            "trades": dollars(one["gross_value_usd"]) if one["proposal_id"] else "",
            "proposal": word(one["state"] or ""),
            "to": f"/proposals/{one['proposal_id']}",
        }
        for one in household["accounts"]
    ]
    columns = {
        "account": "account",
        "custodian": "custodian",
        "tax": "tax status",
        "nav": "value",
        "drift": "drift",
        "outcome": "outcome",
        "trades": "trades",
        "proposal": "proposal",
    }
    table = plain_table(columns, rows, numbers=("nav", "drift", "trades"), cells=STATE_CELLS)
    table.props('aria-label="Accounts of the household"')


def household_panel(household: Page, account_id: str) -> None:
    """The household that an account's trades are decided with: its drift before and after, and its accounts side by side."""
    with panel(f"Household {household['household_id']}: one decision", wide=True):
        drift = from_to(household["one_way_drift"], household["one_way_drift_after"])
        ui.label(f"One-way drift of the household {drift} of {dollars(household['nav_usd'])}.").classes("strong")
        ui.label("An account's own drift may grow where the household's shrinks.").classes("quiet")
        members_table(household, account_id)
        ui.link("Weights of the household, before and after", f"/households/{household['household_id']}")
