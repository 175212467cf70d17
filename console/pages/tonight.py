"""Tonight: how far the newest run's accounts came, what stops the others, and how long is left."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import Request
from nicegui import ui

from console.pages.broken import BrokenRows, broken_panel, broken_rows
from console.pages.jobs import JobsPanel, ask_for, ask_resumption
from console.pages.parts import facts, panel, plain_table, standing_of
from console.shared import (
    Backend,
    PageContext,
    clock,
    count,
    drift_chart,
    follow,
    funnel_chart,
    large_dollars,
    page_context,
    plural,
    until,
    waiting_page,
    word,
)
from schemas.enums import RunState
from tasks.core.explain import OUTCOMES, REASONS, STANDINGS, STATES, AccountPart, Stage
from tasks.propose import RunProgress
from tasks.propose import run_progress as look_at
from warehouse.ledger import JobKind, RunRow

MOST_REASONS: Final = 12
SOON_HOURS: Final = 1.0
REFRESH_SECONDS: Final = 4
"""How often the page is drawn anew at most, while people decide."""
MEANINGS: Final = {
    str(name): text for said in (OUTCOMES, STATES, REASONS, STANDINGS) for name, text in dict(said).items()
}


def register(backend: Backend) -> None:
    """``/``, of the newest run, and ``/?run=`` of another."""

    @ui.page("/")
    async def page(request: Request, run: str = "") -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Tonight")
        if content is None:
            return
        content.clear()
        with content:
            JobsPanel(desk, is_quiet=True)
            drawn = ui.column().classes("stack")

        async def show() -> None:
            seen = await desk.look(lambda: _read(desk, run))
            drawn.clear()
            with drawn:
                if seen is None:
                    ui.label(
                        "No run yet. An operator starts one on the page Runs; trimtab demo makes one on a sample book."
                    ).classes("quiet")
                else:
                    _night(desk, seen)

        await show()
        follow(desk, show, every=REFRESH_SECONDS)


@dataclass(frozen=True)
class NightView:
    """What the page shows, read at once. ``newer``: the run that took its place; ``broken``: of a run that is held."""

    seen: RunProgress
    newer: RunRow | None
    broken: BrokenRows | None


def _read(desk: PageContext, name: str) -> NightView | None:
    ledger = desk.backend.ledger
    found = ledger.runs.get_run(name) if name else ledger.runs.newest_run()
    if found is None:
        return None
    seen = look_at(
        found,
        desk.backend.picture(found),
        runs=ledger.runs,
        proposals=ledger.proposals,
        queue=ledger.queue,
        halts=ledger.halts,
        now=desk.now,
    )
    broken = broken_rows(desk, found) if found.state is RunState.HELD else None
    return NightView(seen, ledger.runs.newer_run_of(found), broken)


def _night(desk: PageContext, view: NightView) -> None:
    seen, now = view.seen, desk.now
    _headline(desk, view)
    with ui.element("div").classes("tiles"):
        _tile(count(seen.waiting.count), "wait for a person", link="/queue")
        _tile(large_dollars(seen.waiting.gross_value_usd), "of trades wait")
        _tile(count(seen.ready), "approved, not exported", link="/queue?filter=state%3Dapproved%7Cauto_approved")
        _cut_off_tile(seen, now)
    if seen.stages:
        with panel("How far accounts came", wide=True), ui.element("div").classes("chart-and-table"):
            ui.echart(funnel_chart(seen.stages)).style("height: 250px").props(
                'role="img" aria-label="Accounts by stage"'
            )
            _stops(seen.stages)
    with ui.element("div").classes("halves"):
        if any(seen.before):
            with panel("Drift from the model, accounts"):
                chart = ui.echart(drift_chart(seen.before, seen.after)).style("height: 320px")
                chart.props('role="img" aria-label="Accounts by one-way drift, now and after the trades"')
        _cut_offs(seen, now)
        _reasons(seen)
        _steps(seen)


def _headline(desk: PageContext, view: NightView) -> None:
    seen, newer = view.seen, view.newer
    run_row = seen.run
    with ui.row().classes("headline"):
        ui.label(f"Night of {run_row.as_of_date.isoformat()}").classes("title").props('role="heading" aria-level="2"')
        ui.label(word(standing_of(run_row, newer))).classes(f"state {standing_of(run_row, newer)}")
        ui.label(run_row.run_id).classes("quiet mono")
        ui.space()
        if desk.may_operate and seen.ready and run_row.state is RunState.DONE:
            go = ui.button(f"Export {count(seen.ready)} approved", on_click=lambda: _export(desk, run_row))
            go.props("no-caps unelevated")
    if newer is not None:
        with ui.element("div").classes("banner"):
            ui.label("A newer run of the same night took its place.")
            ui.link(newer.run_id, f"/?run={newer.run_id}").classes("mono")
    elif run_row.state is RunState.HELD:
        _held(desk, run_row, view.broken)
    elif run_row.released_by:
        with ui.element("div").classes("banner"):
            ui.label(
                f"{run_row.released_by} let it go on past {', '.join(run_row.held_guards)}: {run_row.release_note}"
            )


async def _export(desk: PageContext, run_row: RunRow) -> None:
    await ask_for(desk, JobKind.EXPORT, {"run_id": run_row.run_id})


def _held(desk: PageContext, run_row: RunRow, broken: BrokenRows | None) -> None:
    """Why it is held, what stands behind it and whose, and letting it go on."""
    with ui.element("div").classes("banner bad").props('role="alert"'):
        ui.label("Held by its guards; nothing of it leaves.").classes("strong")
        for line in filter(None, (run_row.held_reason or "").splitlines()):
            ui.label(line)
        with ui.row().classes("decisions"):
            if desk.may_operate:
                go = ui.button("Resume with a note…", on_click=lambda: ask_resumption(desk, run_row))
                go.props("no-caps unelevated")
            else:
                ui.label("A releaser or an admin lets it go on.").classes("quiet")
            ui.link("To the quarantine", f"/quarantine?run={run_row.run_id}")
    if broken is not None:
        broken_panel(run_row, broken)


def _tile(figure: str, text: str, link: str = "", *, is_urgent: bool = False) -> None:
    with ui.link(target=link) if link else ui.element("div") as tile:
        ui.label(figure).classes("figure")
        ui.label(text).classes("quiet")
    tile.classes("tile urgent" if is_urgent else "tile")


def _cut_off_tile(seen: RunProgress, now: datetime) -> None:
    nearest = min(((at, name) for name, (at, _) in seen.cut_offs.items()), default=None)
    if nearest is None:
        _tile("–", "no cut-off ahead")  # noqa: RUF001
        return
    at, custodian = nearest
    hours = (at - now).total_seconds() / 3600
    _tile(until(at, now), f"to the cut-off of {custodian}", is_urgent=hours < SOON_HOURS)


def _stops(stages: tuple[Stage, ...]) -> None:
    """Where the others are: every stage is the next one and its rows here."""
    rows = [
        {"stage": stage.here.name, "why": word(part.name), "what": _meaning(part), **_numbers(part)}
        for stage in stages
        for part in stage.stopped
        if part.accounts
    ]
    columns = {"stage": "of", "why": "stopped", "what": "", "accounts": "accounts", "nav": "value", "traded": "trades"}
    plain_table(columns, rows, numbers=("accounts", "nav", "traded"))


def _numbers(part: AccountPart) -> dict[str, str]:
    traded = large_dollars(part.traded_usd) if part.traded_usd else ""
    return {
        "accounts": count(part.accounts),
        "nav": large_dollars(part.nav_usd) if part.nav_usd else "not known",
        "traded": traded,
    }


def _meaning(part: AccountPart) -> str:
    return MEANINGS.get(part.name, "")


def _cut_offs(seen: RunProgress, now: datetime) -> None:
    if not seen.cut_offs:
        return
    with panel("Cut-offs"):
        rows = [
            {"custodian": name, "left": until(at, now), "at": clock(at), "waiting": count(number)}
            for name, (at, number) in sorted(seen.cut_offs.items(), key=lambda item: item[1][0])
        ]
        columns = {"custodian": "custodian", "left": "left", "at": "at", "waiting": "waiting"}
        plain_table(columns, rows, numbers=("waiting",))


def _reasons(seen: RunProgress) -> None:
    if not seen.reasons:
        return
    with panel("Not traded, by reason"):
        rows = [
            {"outcome": word(outcome), "reason": MEANINGS.get(reason, word(reason)), "accounts": count(number)}
            for outcome, reason, number in seen.reasons[:MOST_REASONS]
        ]
        plain_table({"outcome": "", "reason": "reason", "accounts": "accounts"}, rows, numbers=("accounts",))
        if len(seen.reasons) > MOST_REASONS:
            ui.label(f"and {plural(len(seen.reasons) - MOST_REASONS, 'more reason')}").classes("quiet")


def _steps(seen: RunProgress) -> None:
    with panel("The run"):
        facts(_run_facts(seen.run))
        seconds: dict[str, float] = {}
        for row in seen.steps:
            seconds[row.step] = seconds.get(row.step, 0.0) + row.seconds
        rows = [{"step": name, "seconds": f"{taken:.1f}"} for name, taken in seconds.items()]
        plain_table({"step": "step", "seconds": "seconds"}, rows, numbers=("seconds",))


def _run_facts(run_row: RunRow) -> dict[str, str]:
    return {
        "accounts pulled": count(run_row.accounts_pulled),
        "started": clock(run_row.started_at),
        "finished": clock(run_row.finished_at),
        "submitted by": run_row.submitter,
        "code": run_row.code_version,
    }
