"""Breaks: where what came back differs from what left, what a person must look at first; and executions set aside.

Rows are filtered, counted and paged by the database.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import polars as pl
from fastapi import Request
from nicegui import ui

from console.pages.parts import Pager, chips, panel, plain_table
from console.shared import (
    ADVICE,
    MEANINGS,
    NONE,
    Backend,
    PageContext,
    clock,
    count,
    dollars,
    follow,
    frame,
    page_context,
    plural,
    price,
    shares,
    word,
)
from schemas.enums import Break
from tasks.core.reconcile import ALARMS
from warehouse.ledger import RowPage, SentFilter

PAGE_ROWS: Final = 50
ASIDE_ROWS: Final = 50
COLUMNS: Final = {
    "what": "what",
    "account": "account",
    "custodian": "custodian",
    "order": "order",
    "filled": "filled",
    "amount": "amount",
    "age": "age",
}
NUMBERS: Final = ("filled", "amount", "age")
CELLS: Final = """
<template v-if="col.name === 'what'"><span :class="'chip ' + (props.row.is_alarm ? 'bad' : '')">{{ props.row.code }}</span>
  <span v-if="props.row.is_alarm" class="chip bad">alarm</span><div>{{ props.row.what }}</div>
  <div v-if="props.row.is_alarm" class="quiet">{{ props.row.advice }}</div></template>
<template v-else-if="col.name === 'account'"><a v-if="props.row.link" :href="props.row.link" class="row-link mono">{{ props.row.account }}</a>
  <span v-else>{{ props.row.account }}</span></template>
<template v-else-if="col.name === 'order'"><span :class="'side ' + props.row.side">{{ props.row.side }}</span> {{ props.row.symbol }}
  <div class="quiet mono">{{ props.row.order }}</div></template>
"""
ASIDE_COLUMNS: Final = {
    "code": "why",
    "message": "what was found",
    "execution": "execution",
    "names": "order named",
    "quantity": "quantity",
    "price": "price",
    "where": "record",
    "at": "received",
}


def register(backend: Backend) -> None:
    """``/breaks?code=&custodian=``."""

    @ui.page("/breaks")
    async def page(request: Request, code: str = "", custodian: str = "") -> None:
        desk = page_context(backend, request)
        with frame(desk, request, "Breaks"):
            if not await desk.arrived():
                return
            view = BreakView(
                desk, SentFilter(code=Break(code) if code in set(Break) else None, custodian=custodian or None)
            )
            await view.build()
        follow(desk, view.refresh)


@dataclass(frozen=True)
class BreakCounts:
    """Open breaks of one page; how many there are by code and by custodian, each without its own filter, and by both.

    ``early``: by custodian, orders that nobody has answered and that need no answer yet.
    """

    rows: pl.DataFrame
    codes: dict[str, int]
    custodians: dict[str, int]
    number: int
    early: dict[str, int]


class BreakView:
    """The page as one person looks at it."""

    def __init__(self, desk: PageContext, wanted: SentFilter) -> None:
        self.desk = desk
        self.wanted = wanted
        self.skip = 0
        self.aside_limit = ASIDE_ROWS

    @property
    def ledger(self) -> Any:
        """The ledger."""
        return self.desk.backend.ledger

    async def build(self) -> None:
        """Draw the page once."""
        with ui.column().classes("stack"):
            with panel("Open breaks", wide=True):
                with ui.row().classes("filter-bar"):
                    self.code = self._choice("Code", self.wanted.code)
                    self.custodian = self._choice("Custodian", self.wanted.custodian)
                    ui.space()
                    self.totals = ui.row().classes("totals").props('role="status" aria-live="polite"')
                self.early = ui.label().classes("note")
                self.table = plain_table(COLUMNS, [], numbers=NUMBERS, cells=CELLS)
                self.table.props('aria-label="Open breaks"')
                self.pager = Pager(self._turn, PAGE_ROWS)
            with panel("Executions set aside", wide=True):
                self.aside_totals = ui.row().classes("chips")
                self.aside = plain_table(ASIDE_COLUMNS, [], numbers=("quantity", "price"))
                self.aside.props('aria-label="Executions set aside"')
                self.older = ui.button("Show more", on_click=self._older).props("no-caps flat")
        await self.refresh()

    def _choice(self, label: str, value: str | None) -> ui.select:
        """A select whose first choice is everything; its choices come with the rows."""
        choices = {"": "all"} | ({value: word(value)} if value else {})
        choice = ui.select(choices, label=label, value=value or "", on_change=self._chosen)
        return choice.props("outlined dense").classes("narrow")

    async def refresh(self) -> None:
        """Read everything again."""
        found = await self.desk.look(self._read)
        if found is not None:
            self._draw(*found)

    def _read(self) -> tuple[BreakCounts, RowPage, dict[Break, int]]:
        ledger, wanted = self.ledger, replace(self.wanted, grace=self.desk.backend.grace)
        codes = ledger.answers.break_counts("code", replace(wanted, code=None))
        custodians = ledger.answers.break_counts("custodian", replace(wanted, custodian=None))
        number = codes.get(wanted.code, 0) if wanted.code else sum(codes.values())
        self.skip = min(self.skip, max(number - 1, 0) // PAGE_ROWS * PAGE_ROWS)
        rows = ledger.answers.breaks_found(wanted, ALARMS, limit=PAGE_ROWS, skip=self.skip).rows
        aside = ledger.answers.aside_stretch(limit=self.aside_limit)
        early = ledger.fills.not_yet_due(self.desk.backend.grace)
        return BreakCounts(rows, codes, custodians, number, early), aside, ledger.answers.aside_counts()

    def _draw(self, seen: BreakCounts, aside: RowPage, left_out: Mapping[Break, int]) -> None:
        now = self.desk.now
        self.code.set_options(_choices(seen.codes, self.wanted.code, word))
        self.custodian.set_options(_choices(seen.custodians, self.wanted.custodian, str))
        self.table.rows = [_row(row, now) for row in seen.rows.iter_rows(named=True)]
        self.table.update()
        self.totals.clear()
        alarms = sum(number for code, number in seen.codes.items() if Break(code) in ALARMS)
        with self.totals:
            ui.label(plural(seen.number, "break")).classes("strong")
            if alarms and self.wanted.code is None:
                ui.label(plural(alarms, "alarm")).classes("chip bad")
        self.early.text = _early(seen.early)
        self.early.set_visibility(bool(seen.early))
        self.pager.show(self.skip, seen.number, "nothing is open")
        self._draw_aside(aside, left_out)

    def _draw_aside(self, aside: RowPage, left_out: Mapping[Break, int]) -> None:
        self.aside_totals.clear()
        with self.aside_totals:
            for code, number in left_out.items():
                chips([f"{word(code)}: {count(number)}"], "bad" if code in ALARMS else "")
            if not left_out:
                ui.label("None.").classes("quiet")
        self.aside.rows = [{**_aside_row(row), "id": n} for n, row in enumerate(aside.rows.iter_rows(named=True))]
        self.aside.update()
        self.aside.set_visibility(bool(left_out))
        self.older.set_visibility(aside.after is not None)

    async def _chosen(self) -> None:
        code = self.code.value
        self.wanted = SentFilter(code=Break(code) if code else None, custodian=self.custodian.value or None)
        self.skip = 0
        chosen = {"code": code, "custodian": self.custodian.value}
        query = urlencode({name: value for name, value in chosen.items() if value})
        ui.navigate.history.replace(f"/breaks?{query}" if query else "/breaks")
        await self.refresh()

    async def _turn(self, by: int) -> None:
        self.skip = max(self.skip + by, 0)
        await self.refresh()

    async def _older(self) -> None:
        self.aside_limit += ASIDE_ROWS
        await self.refresh()


def _early(early: Mapping[str, int]) -> str:
    """How many orders have no answer and need none yet."""
    by = ", ".join(f"{custodian} {count(number)}" for custodian, number in early.items())
    return f"Not yet due: {plural(sum(early.values()), 'order')} without an answer so far ({by})."


def _choices(counts: Mapping[str, int], value: str | None, named: Callable[[str], str]) -> dict[str, str]:
    """Every value with its count; what is chosen stays a choice when nothing has it any more."""
    known = {**({value: 0} if value else {}), **counts}
    return {"": "all"} | {name: f"{named(name)} ({count(known[name])})" for name in sorted(known)}


def _row(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    code, days = Break(row["code"]), (now - row["since_at"]).days
    return {
        "id": f"{row['order_id']} {code} {row['source']} {row['execution_id']}",
        "code": word(code),
        "is_alarm": code in ALARMS,
        "what": MEANINGS[code],
        "advice": ADVICE[code],
        "account": row["account_id"] or ("a whole block" if row["export_id"] else "not known"),
        "link": f"/proposals/{row['proposal_id']}" if row["proposal_id"] else "",
        "custodian": row["custodian"] or NONE,
        "side": row["side"] or "",
        "symbol": row["symbol"] if row["export_id"] else "none of ours",
        "order": row["order_id"] if row["export_id"] else _as_told(row),
        "filled": f"{shares(row['filled_quantity'])} of {shares(row['ordered_quantity'])}",
        "amount": dollars(row["amount_usd"]),
        "age": plural(days, "day") if days > 0 else "today",
    }


def _as_told(row: Mapping[str, Any]) -> str:
    """A fill of no order of ours as its source tells it."""
    return f"{row['execution_id']} of {row['source']}, for {row['order_id'] or 'no order'}"


def _aside_row(row: Mapping[str, Any]) -> dict[str, Any]:
    quantity = row["quantity"]
    return {
        "code": word(row["code"]),
        "message": row["message"],
        "execution": row["execution_id"] or NONE,
        "names": row["client_order_id"] or NONE,
        "quantity": NONE if quantity is None else shares(quantity),
        "price": price(row["price_usd"]),
        "where": f"{row['file_name'] or row['source']} row {row['row_number']}",
        "at": clock(row["received_at"]),
    }
