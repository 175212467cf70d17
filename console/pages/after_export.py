"""What happened to a proposal after it left: what became of each order, what is broken, where its export was delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nicegui import ui

from console.pages.parts import panel, plain_table
from console.shared import (
    NONE,
    Leg,
    PageContext,
    Way,
    break_sentence,
    clock,
    count,
    day,
    dollars,
    ordered,
    plural,
    price,
    shares,
    size,
    ways_of,
    word,
)
from schemas.enums import Break
from tasks.core.reconcile import ALARMS
from warehouse.ledger import SENT_STATES, SentFilter

MOST_ORDERS: Final = 1_000
COLUMNS: Final = {
    "side": "",
    "symbol": "symbol",
    "state": "state",
    "filled": "filled",
    "price": "average price",
    "fees": "fees",
    "traded": "last trade",
    "broken": "open",
}
NUMBERS: Final = ("filled", "price", "fees")
CELLS: Final = """
<span v-if="col.name === 'side'" :class="'side ' + props.row.side">{{ props.row.side }}</span>
<span v-else-if="col.name === 'state'" :class="'state ' + props.row.word">{{ props.row.state }}</span>
<template v-else-if="col.name === 'broken'"><div v-for="each in props.row.broken" :key="each.text">
  <span v-if="each.is_alarm" class="chip bad">alarm</span>{{ each.text }}</div></template>
"""
WAY_COLUMNS: Final = {
    "name": "place",
    "state": "state",
    "files": "files",
    "size": "size",
    "attempts": "attempts",
    "at": "delivered",
    "problem": "problem",
}
WAY_CELLS: Final = """
<span v-if="col.name === 'state'" :class="'state ' + props.row.state">{{ props.row.state }}</span>
"""


@dataclass(frozen=True)
class After:
    """Orders of a proposal (``ANSWERED``), their breaks (``FOUND``), and the deliveries of the export that they left in."""

    export_id: str
    orders: list[dict[str, Any]]
    breaks: list[dict[str, Any]]
    ways: list[Way]


def read_after(desk: PageContext, proposal: dict[str, Any]) -> After | None:
    """What happened since; null where the proposal has not left."""
    ledger, wanted = desk.backend.ledger, SentFilter(proposal=proposal["proposal_id"])
    export = ledger.deliveries.export_named(proposal["export_id"]) if proposal["state"] in SENT_STATES else None
    if export is None:
        return None
    orders = ledger.answers.answers(wanted, limit=MOST_ORDERS).rows.sort(
        "side", "symbol", "order_id", descending=[True, False, False]
    )
    broken = ledger.answers.breaks_found(wanted, ALARMS, limit=MOST_ORDERS).rows
    return After(
        export.export_id, orders.to_dicts(), broken.to_dicts(), ways_of(desk.backend, [export])[export.export_id]
    )


def after_panel(after: After, now: datetime) -> None:
    """The panel."""
    with panel("After the export", wide=True):
        if after.orders:
            _orders(after, now)
        else:
            ui.label("It left before orders were kept; what became of them is not known here.").classes("quiet")
        ui.label(f"Deliveries of {after.export_id}").classes("panel-title").props('role="heading" aria-level="3"')
        if after.ways:
            ways_table(after.ways)
        else:
            ui.label("It is for no place but the folder of exports.").classes("quiet")


def _orders(after: After, now: datetime) -> None:
    broken: dict[str, list[dict[str, Any]]] = {}
    for row in after.breaks:
        text = break_sentence({**row, "age_days": (now - row["since_at"]).days})
        broken.setdefault(row["order_id"], []).append({"text": text, "is_alarm": Break(row["code"]) in ALARMS})
    done = sum(1 for one in after.orders if one["is_closed"])
    ui.label(f"{count(done)} of {plural(len(after.orders), 'order')} closed").classes("quiet")
    rows = [{**_order(one), "broken": broken.get(one["order_id"], [])} for one in after.orders]
    table = plain_table(COLUMNS, rows, numbers=NUMBERS, cells=CELLS)
    table.props('aria-label="What became of each order"')


def _order(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": one["order_id"],
        "side": one["side"],
        "symbol": one["symbol"] or one["security_id"],
        "state": word(one["state"]),
        "word": one["state"],
        "filled": f"{shares(one['filled_quantity'])} of {ordered(one['quantity'], one['amount_usd'])}",
        "price": price(one["average_price_usd"]),
        "fees": dollars(one["fees_usd"] if one["last_trade_date"] or one["fees_usd"] else None),
        "traded": day(one["last_trade_date"]),
    }


def ways_table(ways: Sequence[Way]) -> None:
    """Deliveries, one a line."""
    rows = [
        {
            "name": way.name,
            "state": str(way.state),
            "files": _files(way),
            "size": size(way.size_bytes),
            "attempts": count(way.attempts),
            "at": clock(way.delivered_at),
            "problem": way.problem or "",
        }
        for way in ways
    ]
    table = plain_table(WAY_COLUMNS, rows, numbers=("files", "size", "attempts"), cells=WAY_CELLS)
    table.props('aria-label="Deliveries"')


def _files(way: Way) -> str:
    """How many files the place has, and of how many while it is under way."""
    if way.file_count is None:
        return NONE
    return (
        count(way.file_count) if way.state is Leg.DELIVERED else f"{count(way.sent_count)} of {count(way.file_count)}"
    )
