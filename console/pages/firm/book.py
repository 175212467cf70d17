"""The whole book over nights, by model, custodian or asset class, and what waits for whom and until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from console.pages.parts import Pager, panel, plain_table
from console.shared import (
    MOST_LINES,
    NONE,
    Backend,
    Options,
    PageContext,
    clock,
    count,
    dollars,
    follow,
    from_to,
    large_dollars,
    lines_chart,
    page_context,
    percent,
    stack_chart,
    until,
    waiting_page,
    word,
)
from tasks.review import BookBy, BookGroup, Waiting, WaitKind, book_groups, names_by_value, waiting_now

TITLE: Final = "Book"
NIGHTS: Final = (10, 30, 90, 260)
PAGE_ROWS: Final = 25
REFRESH_SECONDS: Final = 4
CHART_PIXELS: Final = 290
WAITS: Final = {
    WaitKind.APPROVAL: "an approval",
    WaitKind.SECOND_APPROVAL: "a second approval",
    WaitKind.HELD_BACK: "who holds it back",
    WaitKind.EXPORT: "the export",
    WaitKind.HELD_RUN: "a held run",
    WaitKind.MODEL_CHANGE: "a change of model",
    WaitKind.POLICY_CHANGE: "a change of policy",
}
WAIT_COLUMNS: Final = {
    "what": "waits for",
    "whom": "of",
    "about": "at",
    "count": "how many",
    "value": "trades",
    "cut_off": "cut-off",
    "late": "too late",
}
COLUMNS: Final = {
    "night": "night",
    "name": "",
    "accounts": "accounts",
    "value": "value",
    "drift": "drift",
    "out": "out of band",
    "turnover": "turnover",
    "tax": "tax",
    "cost": "cost",
    "outcomes": "outcomes",
}
NUMBERS: Final = ("accounts", "value", "drift", "out", "turnover", "tax", "cost", "count", "trades")


def register(backend: Backend) -> None:
    """``/book?by=&nights=``."""

    @ui.page("/book")
    async def page(request: Request, by: str = BookBy.MODEL, nights: str = str(NIGHTS[0])) -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, TITLE)
        if content is None:
            return
        chosen = BookBy(by) if by in set(BookBy) else BookBy.MODEL
        most = int(nights) if nights in map(str, NIGHTS) else NIGHTS[0]
        view = BookView(desk, chosen, most)
        await desk.show(content, view.read, view.draw)
        follow(desk, view.refresh, every=REFRESH_SECONDS)


@dataclass(frozen=True)
class BookSeen:
    """What the page shows. ``whole``: a group a night, of every account; ``groups`` by what was chosen; both oldest night first."""

    whole: list[BookGroup]
    groups: list[BookGroup]
    waits: list[Waiting]


class BookView:
    """The page as one person looks at it."""

    def __init__(self, desk: PageContext, by: BookBy, most: int) -> None:
        self.desk, self.by, self.most = desk, by, most
        self.skip = 0
        self.waits: ui.column | None = None

    def read(self) -> BookSeen:
        """Everything the page shows."""
        backend = self.desk.backend
        nights = backend.book_nights(self.most)
        waits = waiting_now(backend.wait_stores, self.desk.now)
        return BookSeen(book_groups(nights, None), book_groups(nights, self.by), waits)

    async def refresh(self) -> None:
        """What waits, as it stands now; the nights stay as they were."""
        found = await self.desk.look(lambda: waiting_now(self.desk.backend.wait_stores, self.desk.now))
        if found is not None and self.waits is not None:
            self.waits.clear()
            with self.waits:
                _waits_table(found, self.desk)

    def draw(self, seen: BookSeen) -> None:
        """Draw the page once."""
        self._choices()
        if seen.whole:
            _headline(seen.whole[-1])
        else:
            ui.label("No night on the whole book is done yet. An operator starts one on the page Runs.").classes(
                "quiet"
            )
        with panel("What waits for whom, and until when", wide=True):
            self.waits = ui.column().classes("stack")
            with self.waits:
                _waits_table(seen.waits, self.desk)
        if seen.whole:
            self._charts(seen)
            self._figures(seen)

    def _choices(self) -> None:
        with ui.row().classes("filter-bar"):
            by = ui.select({one: f"by {_group_word(one)}" for one in BookBy}, value=self.by, label="Groups")
            most = ui.select({one: f"{one} nights" for one in NIGHTS}, value=self.most, label="How far back")
            for choice in (by, most):
                choice.props("outlined dense").classes("narrow")
                choice.on_value_change(lambda: ui.navigate.to(f"/book?by={by.value}&nights={most.value}"))

    def _charts(self, seen: BookSeen) -> None:
        by = _group_word(self.by)
        with ui.element("div").classes("halves"):
            drift = "Drift from the target" if self.by is BookBy.CLASS else "Drift"
            self._lines(f"{drift} by {by}, % of value", seen, "one_way_drift", 100, "{value} %")
            self._lines(f"Turnover proposed by {by}, % of value", seen, "turnover", 100, "{value} %")
            self._lines(f"Tax proposed by {by}, thousands of dollars", seen, "tax_usd", 1e-3, "${value}k")
            self._lines(f"Cost proposed by {by}, thousands of dollars", seen, "cost_usd", 1e-3, "${value}k")
            with panel("Accounts by outcome"):
                _chart(_outcomes(seen.whole), "Accounts by outcome, night by night")

    def _lines(self, title: str, seen: BookSeen, measure: str, times: float, axis: str) -> None:
        names = names_by_value(seen.groups)[:MOST_LINES]
        known = {(group.as_of_date, group.name): getattr(group, measure) for group in seen.groups}
        nights = [group.as_of_date for group in seen.whole]
        lines = {name: [_figure(known.get((night, name)), times) for night in nights] for name in names}
        with panel(title):
            _chart(lines_chart(nights, lines, axis), f"{title}, night by night")
            if len(names) < len({group.name for group in seen.groups}):
                ui.label(f"The {len(names)} largest; the figures below have all.").classes("quiet")

    def _figures(self, seen: BookSeen) -> None:
        newest_first = sorted(seen.groups, key=lambda group: group.as_of_date, reverse=True)
        rows = [_row(group, self.by) for group in newest_first]
        with panel(f"The figures, by {_group_word(self.by)}", wide=True):
            columns = {**COLUMNS, "name": _group_word(self.by)}
            if self.by is BookBy.CLASS:
                del columns["outcomes"]
            table = plain_table(columns, rows[:PAGE_ROWS], numbers=NUMBERS, link="name")
            table.props('aria-label="Figures of every night"')

            async def turn(by: int) -> None:
                self.skip = max(self.skip + by, 0)
                table.rows = [{"id": n, **row} for n, row in enumerate(rows[self.skip : self.skip + PAGE_ROWS])]
                table.update()
                pager.show(self.skip, len(rows), "no figures")

            pager = Pager(turn, PAGE_ROWS)
            pager.show(0, len(rows), "no figures")


def _group_word(by: BookBy) -> str:
    return "asset class" if by is BookBy.CLASS else str(by)


def _figure(value: Any, times: float) -> float | None:
    return None if value is None else round(float(value) * times, 4)


def _chart(options: Options, said: str) -> None:
    chart = ui.echart(options).style(f"height: {CHART_PIXELS}px")
    chart.props(f'role="img" aria-label="{said}"')


def _outcomes(whole: Sequence[BookGroup]) -> Options:
    names = sorted(
        {name for group in whole for name in group.outcomes}, key=lambda name: -whole[-1].outcomes.get(name, 0)
    )
    counts = {name: [group.outcomes.get(name, 0) for group in whole] for name in names}
    return stack_chart([group.as_of_date for group in whole], counts)


def _headline(night: BookGroup) -> None:
    with ui.row().classes("headline"):
        ui.label("The whole book").classes("title").props('role="heading" aria-level="2"')
        ui.link(f"night of {night.as_of_date}", f"/?run={quote(night.run_id)}").classes("quiet")
    figures = [
        (count(night.accounts), "accounts"),
        (large_dollars(night.value_usd), "value"),
        (from_to(night.one_way_drift, night.one_way_drift_after), "drift, if all is traded"),
        (percent(night.turnover, 2), "turnover proposed"),
        (large_dollars(night.tax_usd), "tax"),
        (large_dollars(night.cost_usd), "cost"),
    ]
    with ui.element("div").classes("tiles"):
        for figure, text in figures:
            with ui.element("div").classes("tile"):
                ui.label(figure).classes("figure")
                ui.label(text).classes("quiet")


def _row(group: BookGroup, by: BookBy) -> dict[str, Any]:
    drift = (
        percent(group.one_way_drift, 2)
        if group.one_way_drift_after is None
        else from_to(group.one_way_drift, group.one_way_drift_after)
    )
    links = {
        BookBy.MODEL: f"/models/{quote(group.name)}",
        BookBy.CUSTODIAN: f"/queue?filter=custodian%3D{quote(group.name)}",
        BookBy.CLASS: "/models",
    }
    return {
        "night": group.as_of_date.isoformat(),
        "name": group.name,
        "link": links[by],
        "accounts": count(group.accounts),
        "value": large_dollars(group.value_usd),
        "drift": drift,
        "out": count(group.out_of_band),
        "turnover": percent(group.turnover, 2),
        "tax": dollars(group.tax_usd),
        "cost": dollars(group.cost_usd),
        "outcomes": ", ".join(f"{word(name)} {count(number)}" for name, number in group.outcomes.items()),
    }


def _waits_table(waits: Sequence[Waiting], desk: PageContext) -> None:
    if not waits:
        ui.label("Nothing waits.").classes("quiet")
        return
    rows = [
        {
            "what": WAITS[one.kind],
            "link": _where(one),
            "whom": f"a {one.role}: {', '.join(one.people) or 'nobody has the role'}",
            "about": one.custodian or one.subject or NONE,
            "count": count(one.count),
            "value": large_dollars(one.gross_value_usd),
            "cut_off": until(one.cut_off_at, desk.now),
            "late": NONE if one.expires_at is None else f"{until(one.expires_at, desk.now)}, {clock(one.expires_at)}",
        }
        for one in waits
    ]
    table = plain_table(WAIT_COLUMNS, rows, numbers=("count", "value"), link="what")
    table.props('aria-label="What waits"')


def _where(one: Waiting) -> str:
    if one.kind is WaitKind.HELD_RUN:
        return f"/?run={quote(one.subject or '')}"
    if one.kind is WaitKind.MODEL_CHANGE:
        return "/model-changes"
    if one.kind is WaitKind.POLICY_CHANGE:
        return "/studies"
    states = "approved|auto_approved" if one.kind is WaitKind.EXPORT else "pending_review"
    return f"/queue?filter={quote(f'state={states},custodian={one.custodian}')}"
