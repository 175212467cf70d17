"""The queue: what to look at first, decided one by one, by selection, or all that a filter matches.

Rows are filtered, sorted and paged by the database. A decision is about exactly what was on the screen, or counted in the
dialog: what changed since is left alone and named.

Keys: j and k move, Enter opens, x selects, a approves, r rejects, h holds, u takes back what does not count yet, / goes to the filter, ? explains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import polars as pl
from fastapi import Request
from nicegui import events, ui

from console.pages.decide import VERBS, DecisionResult, decision_dialog, tell, told_together
from console.pages.grace import Grace
from console.pages.parts import ALL_ROWS, Pager
from console.pages.preview import Preview, approvals
from console.pages.queue_filter import FilterBar
from console.shared import (
    Backend,
    PageContext,
    count,
    dollars,
    follow,
    frame,
    from_to,
    large_dollars,
    page_context,
    percent,
    plural,
    sentence,
    span,
    word,
    words,
)
from schemas.errors import WrongUsage
from tasks.review import DecidedProposals, review
from warehouse.ledger import Decision, Filter, Page, ReviewedVersion, Sort, Totals

PAGE_ROWS: Final = 50
COLUMNS: Final = (
    ("priority", "first", "right"),
    ("account", "account", "left"),
    ("custodian", "custodian", "left"),
    ("why", "why look", "left"),
    ("traded", "trades", "right"),
    ("turnover", "of NAV", "right"),
    ("tax", "tax", "right"),
    ("drift", "drift", "right"),
    ("left", "time left", "right"),
)
BODY: Final = """
<q-tr :props="props" :class="{cursor: props.row.is_cursor, fresh: props.row.is_fresh, leaving: props.row.is_leaving}" @click="() => $parent.$emit('pick', props.row.id)"
      @dblclick="() => $parent.$emit('open', props.row.id)" :aria-selected="props.row.is_cursor">
  <q-td auto-width><q-checkbox dense v-model="props.selected" :aria-label="'Select ' + props.row.account" @click.stop /></q-td>
  <q-td v-for="col in props.cols" :key="col.name" :props="props">
    <template v-if="col.name === 'account'"><a :href="props.row.link" class="row-link mono" @click.stop>{{ props.row.account }}</a>
      <div v-if="props.row.household"><a :href="props.row.home" class="chip mark" @click.stop>household {{ props.row.household }}</a></div>
      <div v-if="props.row.marks.length"><span v-for="each in props.row.marks" :key="each" class="chip mark">{{ each }}</span></div></template>
    <template v-else-if="col.name === 'why'"><span v-for="each in props.row.reasons" :key="each" class="chip">{{ each }}</span></template>
    <template v-else>{{ col.value }}</template>
  </q-td>
</q-tr>
"""


@dataclass
class State:
    """What a person looks at."""

    text: str = ""
    sort: Sort = Sort.PRIORITY
    skip: int = 0
    cursor: str | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, ReviewedVersion] = field(default_factory=dict)


def register(backend: Backend) -> None:
    """``/queue?filter=&sort=``."""

    @ui.page("/queue")
    async def page(request: Request, filter: str = "", sort: str = "") -> None:  # noqa: A002 - the query's names
        desk = page_context(backend, request)
        with frame(desk, request, "Queue"):
            if not await desk.arrived():
                return
            known = Sort(sort) if sort in set(Sort) else Sort.PRIORITY
            view = QueueView(desk, State(text=filter, sort=known))
            await view.build()
        follow(desk, view.refresh)


class QueueView:
    """One open queue."""

    def __init__(self, desk: PageContext, state: State) -> None:
        self.desk = desk
        self.state = state
        self.selected: set[str] = set()
        self.leaving: dict[str, bool] = {}
        """Proposals that something was said of which does not count yet."""
        self.grace = Grace(desk)

    @property
    def ledger(self) -> Any:
        """The ledger."""
        return self.desk.backend.ledger

    async def build(self) -> None:
        """Draw the page once."""
        self.bar = FilterBar(self.desk, self.state.text, self.state.sort, self._chosen)
        await self.bar.build()
        self.totals = ui.row().classes("totals").props('role="status" aria-live="polite"')
        with ui.element("div").classes("split"):
            with ui.element("div").classes("grid"):
                self._grid()
                self.pager = Pager(self._turn, PAGE_ROWS)
            side = ui.element("aside").classes("side").props('aria-label="The proposal under the cursor"')
            self.preview = Preview(self.desk, side, self._one)
        ui.keyboard(self._key, ignore=["input", "select", "textarea", "button"])
        await self.refresh()

    def _grid(self) -> None:
        columns = [{"name": name, "label": label, "field": name, "align": align} for name, label, align in COLUMNS]
        self.table = ui.table(rows=[], columns=columns, row_key="id", selection="multiple")
        self.table.props('flat dense wrap-cells hide-pagination :rows-per-page-options="[0]"').classes("queue")
        self.table.add_slot("body", BODY)
        self.table.add_slot("header-selection", ALL_ROWS)
        self.table.on_select(self._on_select)
        self.table.on("pick", self._picked)
        self.table.on("open", self._opened)

    def wanted(self) -> Filter:
        """The filter as typed."""
        return review.parse_filter(self.state.text)

    async def refresh(self) -> None:
        """Read the page again; the cursor stays on its proposal, or goes to the one that took its place."""
        state = self.state
        try:
            wanted = self.wanted()
        except WrongUsage as error:
            self.bar.complain(sentence(str(error)))
            return
        self.bar.complain("")
        found = await self.desk.look(lambda: self._read(wanted))
        if found is None:
            return
        page, totals, approvers = found
        place = next((number for number, row in enumerate(state.rows) if row["id"] == state.cursor), 0)
        before = state.seen
        now = self.desk.now
        state.rows = [_row(row, now, approvers.get(row["proposal_id"], [])) for row in page.rows.iter_rows(named=True)]
        state.seen = {
            row["proposal_id"]: ReviewedVersion(row["content_hash"], row["revision"])
            for row in page.rows.iter_rows(named=True)
        }
        for row in state.rows:
            row["is_fresh"] = bool(before) and before.get(row["id"]) != state.seen[row["id"]]
        shown = {row["id"] for row in state.rows}
        self.selected &= shown
        self.table.selected = [row for row in state.rows if row["id"] in self.selected]
        if state.cursor not in shown:
            state.cursor = state.rows[min(place, len(state.rows) - 1)]["id"] if state.rows else None
        self._draw(totals)
        await self._draw_side()

    def _read(self, wanted: Filter) -> tuple[Page, Totals, dict[str, list[str]]]:
        self.ledger.proposals.expire(self.desk.now)
        totals = self.ledger.queue.totals(wanted)
        self.state.skip = min(self.state.skip, max(totals.count - 1, 0) // PAGE_ROWS * PAGE_ROWS)
        page = self.ledger.queue.page(wanted, sort=self.state.sort, limit=PAGE_ROWS, skip=self.state.skip)
        doubled = page.rows.filter(pl.col("approvals_needed") > 1)["proposal_id"]
        return page, totals, self.ledger.decisions.approvers_of(doubled)

    def _draw(self, totals: Totals) -> None:
        state = self.state
        self._point()
        self.totals.clear()
        with self.totals:
            ui.label(plural(totals.count, "proposal")).classes("strong")
            ui.label(f"{large_dollars(totals.gross_value_usd)} of trades")
            ui.label(f"{large_dollars(totals.est_tax_usd)} of tax")
            if totals.held:
                ui.label(f"{totals.held:,} held")
            ui.space()
            if self.desk.may_review and totals.count:
                self._bulk(totals.count)
        self.pager.show(state.skip, totals.count, "nothing here")

    def _bulk(self, number: int) -> None:
        if self.selected:
            ui.label(f"{len(self.selected)} selected").classes("strong")
            ui.button("Approve selected", on_click=lambda: self._decide(Decision.APPROVE)).props("no-caps unelevated")
            ui.button("Reject selected", on_click=lambda: self._decide(Decision.REJECT)).props("no-caps outline")
            return
        ui.button(f"Approve all {count(number)}…", on_click=lambda: self._decide_all(Decision.APPROVE)).props(
            "no-caps unelevated"
        )
        with ui.button(icon="more_vert").props('flat round aria-label="More decisions on all that match"'), ui.menu():
            ui.menu_item(f"Reject all {count(number)}…", lambda: self._decide_all(Decision.REJECT))
            ui.menu_item(f"Hold all {count(number)}…", lambda: self._decide_all(Decision.HOLD))
            ui.menu_item(f"Withdraw all {count(number)}…", lambda: self._decide_all(Decision.WITHDRAW))

    def _point(self) -> None:
        """Show where the cursor is."""
        for row in self.state.rows:
            row["is_cursor"] = row["id"] == self.state.cursor
            row["is_leaving"] = row["id"] in self.leaving
        self.table.rows = self.state.rows
        self.table.update()

    async def _draw_side(self) -> None:
        if self.state.cursor is None:
            self.preview.say("Nothing matches: the queue is done, or the filter is narrow.")
        else:
            await self.preview.show(self.state.cursor)

    async def _one(self, proposal_id: str, decision: Decision) -> None:
        await self._decide(decision, {proposal_id})

    async def _decide(self, decision: Decision, chosen: set[str] | None = None) -> None:
        """Decide the selection, or what is under the cursor, as it stood on the screen."""
        ids = chosen or self.selected or ({self.state.cursor} if self.state.cursor else set())
        seen = {one: self.state.seen[one] for one in ids if one in self.state.seen}
        if seen:
            about: tuple[int, list[str]] | None = await self.desk.look(
                lambda: review.decided_with(self.ledger.proposals, seen)
            )
            number, together = about or (len(seen), [])
            what = told_together(plural(number, "proposal"), together)
            await self._say(decision, seen, what, is_asked=number > len(seen))

    async def _decide_all(self, decision: Decision) -> None:
        """Decide everything that the filter matches, as it stands when the dialog opens."""
        wanted = self.wanted()
        seen = await self.desk.ask(
            lambda: review.seen_matching(self.ledger.proposals, self.ledger.queue, wanted, now=self.desk.now)
        )
        if seen:
            about: tuple[int, list[str]] | None = await self.desk.look(
                lambda: review.decided_with(self.ledger.proposals, seen)
            )
            number, together = about or (len(seen), [])
            totals: Totals | None = await self.desk.look(lambda: self.ledger.queue.totals(wanted))
            worth = f", {large_dollars(totals.gross_value_usd)} of trades" if totals else ""
            matching = f" matching {self.state.text}" if self.state.text else " that wait"
            beyond = f", and {number - len(seen):,} more of their households" if number > len(seen) else ""
            what = told_together(f"{plural(len(seen), 'proposal')}{matching}{worth}{beyond}", together)
            await self._say(decision, seen, what, is_asked=True)

    async def _say(self, decision: Decision, seen: Mapping[str, ReviewedVersion], what: str, *, is_asked: bool) -> None:
        """``is_asked``: whatever the decision."""
        note = await decision_dialog(decision, what, is_asked=is_asked or decision is Decision.REJECT)
        if note is None:
            return
        desk = self.desk
        self.leaving |= dict.fromkeys(seen, True)
        self.selected.clear()
        await self._step_over(seen)

        async def done(decided: DecidedProposals | None) -> None:
            for one in seen:
                self.leaving.pop(one, None)
            if decided is not None:
                tell(DecisionResult(decision, decided.states, decided.refused, decided.together))
            await self.refresh()

        await self.grace.let(
            decision,
            f"{VERBS[decision]} {what.partition(' (')[0]}",
            lambda: review.decide_seen(
                desk.backend.ledger.decisions, seen, decision, actor=desk.name, now=desk.now, note=note
            ),
            done,
        )

    async def _step_over(self, seen: Mapping[str, ReviewedVersion]) -> None:
        """The cursor goes on to the next row that nothing was said of; those that something was said of are shown so."""
        ids = [row["id"] for row in self.state.rows]
        if self.state.cursor in seen:
            place = ids.index(self.state.cursor) if self.state.cursor in ids else 0
            after = [one for one in (*ids[place:], *ids[:place]) if one not in self.leaving]
            self.state.cursor = after[0] if after else self.state.cursor
        self._point()
        await self._draw_side()

    async def _on_select(self, event: events.TableSelectionEventArguments) -> None:
        self.selected = {row["id"] for row in event.selection}
        await self.refresh()

    async def _picked(self, event: events.GenericEventArguments) -> None:
        await self._move_to(str(event.args))

    def _opened(self, event: events.GenericEventArguments) -> None:
        ui.navigate.to(f"/proposals/{event.args}")

    async def _move_to(self, proposal_id: str) -> None:
        if proposal_id in self.state.seen and proposal_id != self.state.cursor:
            self.state.cursor = proposal_id
            self._point()
            await self._draw_side()

    async def _key(self, event: events.KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.alt or event.modifiers.meta:
            return
        key = event.key.name
        if key in {"j", "k", "ArrowDown", "ArrowUp"}:
            await self._step(1 if key in {"j", "ArrowDown"} else -1)
        elif key == "Enter" and self.state.cursor:
            ui.navigate.to(f"/proposals/{self.state.cursor}")
        elif key == "x" and self.state.cursor:
            self.selected ^= {self.state.cursor}
            await self.refresh()
        elif key == "u":
            self.grace.undo()
        elif key == "/":
            self.bar.focus()
        elif key == "?":
            self.bar.help()
        elif self.desk.may_review and key in {"a", "r", "h"}:
            await self._decide({"a": Decision.APPROVE, "r": Decision.REJECT, "h": Decision.HOLD}[key])

    async def _step(self, by: int) -> None:
        ids = [row["id"] for row in self.state.rows]
        if self.state.cursor in ids:
            place = ids.index(self.state.cursor) + by
            if 0 <= place < len(ids):
                await self._move_to(ids[place])
            elif place >= len(ids):
                await self._turn(PAGE_ROWS)

    async def _turn(self, by: int) -> None:
        self.state.skip = max(self.state.skip + by, 0)
        self.state.cursor = None
        await self.refresh()

    async def _chosen(self, text: str, sort: Sort) -> None:
        """Another filter or order: from the top, and nothing of it was seen before."""
        self.state = State(text=text, sort=sort)
        self.selected.clear()
        self._remember()
        await self.refresh()

    def _remember(self) -> None:
        """The address leads back here."""
        chosen = {"filter": self.state.text, "sort": "" if self.state.sort is Sort.PRIORITY else str(self.state.sort)}
        query = urlencode({name: value for name, value in chosen.items() if value})
        ui.navigate.history.replace(f"/queue?{query}" if query else "/queue")


def _row(row: Mapping[str, Any], now: datetime, approvers: Sequence[str]) -> dict[str, Any]:
    """A proposal as the grid shows it."""
    is_waiting = row["state"] == "pending_review"
    marks = [] if is_waiting else [word(row["state"])]
    if row["held_by"]:
        marks.append(f"held by {row['held_by']}")
    if told := approvals(row, approvers):
        marks.append(told)
    if row["version"] > 1:
        marks.append(f"version {row['version']}")
    if row["assignee"]:
        marks.append(f"for {row['assignee']}")
    ends = min(filter(None, (row["cut_off_at"], row["expires_at"])), default=None) if is_waiting else None
    return {
        "id": row["proposal_id"],
        "link": f"/proposals/{row['proposal_id']}",
        "priority": row["priority"],
        "account": row["account_id"],
        "custodian": row["custodian"],
        "why": "",
        "reasons": words(row["look_reasons"]) or words(row["route_reasons"]),
        "traded": dollars(row["gross_value_usd"]),
        "turnover": percent(row["turnover"]),
        "tax": dollars(row["est_tax_usd"]),
        "drift": ("own " if row["household_id"] else "")
        + from_to(row["one_way_drift_before"], row["one_way_drift_after"]),
        "left": span(ends - now) if ends else "",
        "marks": marks,
        "household": row["household_id"] or "",
        "home": f"/households/{row['household_id']}",
        "is_cursor": False,
        "is_fresh": False,
    }
