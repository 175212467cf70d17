"""Between the nights: who follows the stream of prices, what is out of band now, and the runs that were asked for. The page is drawn anew every few seconds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from fastapi import Request
from nicegui import ui

from console.pages.parts import facts, panel
from console.shared import Backend, clock, count, page_context, plural, waiting_page, word
from tasks.monitor import MonitorStanding, is_silent, monitor_standing
from warehouse.ledger import BreachRow, FollowerRow, ScopeRow

TITLE: Final = "Monitor"
DRAWN_EVERY_SECONDS: Final = 2.0
MOST_ROWS: Final = 50
STATES: Final = {
    "looking": "looks at the whole book",
    "held": "a guard holds what it finds: nothing of it is entered",
    "away": "the stream has no fresh price: files are looked at instead",
    "waiting": "waits",
}
"""What a follower does, by the state of its newest look (``tasks.monitor.FollowState``)."""
CAUSES: Final = {"late_file": "files that came late"}


def register(backend: Backend) -> None:
    """``/monitor``."""

    @ui.page("/monitor")
    async def page(request: Request) -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, TITLE)
        if content is None:
            return
        content.clear()
        with content:
            live, tables = ui.column().classes("stack"), ui.column().classes("stack")
        drawn: list[object] = []

        async def show() -> None:
            ledger = backend.ledger
            found = await desk.look(lambda: monitor_standing(ledger.followers, ledger.breaches, desk.now, MOST_ROWS))
            if found is None:
                return
            live.clear()
            with live:
                _followers(found.followers, desk.now)
            rows = (found.breaches, found.breach_count, found.scopes)
            if drawn != [rows]:  # else a link that somebody has come to by Tab would go from under them
                drawn[:] = [rows]
                tables.clear()
                with tables:
                    _tables(found)

        await show()
        ui.timer(DRAWN_EVERY_SECONDS, show)


def _followers(rows: Sequence[FollowerRow], now: datetime) -> None:
    if not rows:
        with panel("Followers of the price stream", wide=True):
            ui.label("None in the last day. An operator starts one by trimtab monitor --follow.").classes("quiet")
    for row in rows:
        _follower(row, now)


def _tables(found: MonitorStanding) -> None:
    with ui.element("div").classes("halves"):
        with panel(f"Out of band now: {count(found.breach_count)}"):
            _breaches(found.breaches, found.breach_count)
        with panel("Runs that looks asked for"):
            _scopes(found.scopes)


def _follower(row: FollowerRow, now: datetime) -> None:
    standing, said = _standing(row, now)
    with panel(f"Follower on {row.host}", wide=True):
        with ui.row().classes("headline"):
            ui.label(word(standing)).classes(f"state {standing}")
            ui.label(said)
        if row.reasons:
            with ui.element("div").classes("banner"):
                ui.label(row.reasons)
        with ui.element("div").classes("tiles small"):
            for number, what in (
                (row.looked_at, "accounts looked at"),
                (row.out_of_band, "out of band"),
                (row.newly, "newly since it started"),
                (row.skipped, "without a fresh price"),
            ):
                with ui.element("div").classes("tile"):
                    ui.label(count(number)).classes("figure")
                    ui.label(what).classes("quiet")
        pairs = {
            "Prices of securities held": f"{row.fresh:,} fresh, {row.old:,} old, {row.never_quoted:,} never quoted",
            "Lines of the stream refused": count(row.refused_lines),
            "A look takes": f"{row.seconds:.2f} s, every {row.look_every_seconds:g} s; {plural(row.look_count, 'look')} since {clock(row.started_at)}",
            "Process": str(row.process),
        }
        if row.night_run_id:
            pairs = {"Night": row.night_run_id, **pairs}
        facts(pairs)


def _standing(row: FollowerRow, now: datetime) -> tuple[str, str]:
    """In a word and a sentence."""
    ago = max((now - row.looked_at_time).total_seconds(), 0.0)
    if row.ended_at is not None:
        return "ended", f"was told to stop at {clock(row.ended_at)}"
    if is_silent(row, now):
        return (
            "silent",
            f"last looked {_ago(ago)}, and looks every {row.look_every_seconds:g} s: nobody watches the book",
        )
    return row.state, f"{STATES[row.state]}; last looked {_ago(ago)}"


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{plural(round(seconds / 60), 'minute')} ago"  # noqa: PLR2004


def _breaches(rows: Sequence[BreachRow], number: int) -> None:
    if not rows:
        ui.label("No account.").classes("quiet")
        return
    shown = [
        {
            "account": row.account_id,
            "because": ", ".join(word(cause) for cause in row.causes.split("|")),
            "since": f"{row.breached_at:%Y-%m-%d %H:%M:%S}",
            "run": row.run_id or "not begun",
            "link": f"/accounts/{row.account_id}",
        }
        for row in rows
    ]
    _table(
        {"account": "account", "because": "because", "since": "since (UTC)", "run": "run over it"},
        shown,
        link="account",
    )
    if number > len(rows):
        ui.label(f"The newest {len(rows):,} of {number:,}.").classes("quiet")


def _scopes(rows: Sequence[ScopeRow]) -> None:
    if not rows:
        ui.label("None yet.").classes("quiet")
        return
    shown = [
        {
            "made": f"{row.created_at:%Y-%m-%d %H:%M:%S}",
            "accounts": count(row.account_count) if row.account_count else "",
            "because": ", ".join(CAUSES.get(cause, word(cause)) for cause in row.cause.split("|")),
            "run": row.run_id or ("announced, not begun" if row.announced_at else "not announced"),
            "link": f"/?run={row.run_id}" if row.run_id else "/runs",
        }
        for row in rows
    ]
    _table({"made": "made (UTC)", "accounts": "accounts", "because": "because", "run": "run"}, shown, link="run")


def _table(columns: Mapping[str, str], rows: Sequence[Mapping[str, str]], *, link: str) -> None:
    """A table of elements: cells of ``plain_table`` that lead somewhere are made anew by the browser whenever anything on the page changes, and lose the focus."""
    with ui.element("table").classes("live"):
        with ui.element("thead"), ui.element("tr"):
            for label in columns.values():
                with ui.element("th").props('scope="col"'):
                    ui.label(label)
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for name in columns:
                        with ui.element("td"):
                            ui.link(row[name], row["link"]).classes("row-link") if name == link else ui.label(row[name])
