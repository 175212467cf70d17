"""``trimtab monitor``: one look at drift on fresh prices or many at a stream of prices, which start runs over what is newly out of band."""

import json
import signal
import threading
from contextlib import closing
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, notice, print_json, print_table
from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.monitor import FollowLook, FollowState, MonitorResult, follow_stream, monitor_book
from tasks.runtime import Stores, open_ledger, sessions_to, settings_of_a_home, utc_now
from warehouse.lake import open_lake

NOT_STARTED: Final = "No Prefect API is set, so nothing was started. Run it with `trimtab nightly --scope {}`."


def monitor(
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DATE", help="Day of the look; the newest trading day where absent."),
    ] = None,
    *,
    is_follow: Annotated[
        bool,
        typer.Option("--follow", help="Stay, and look every few seconds at prices of the stream TRIMTAB_STREAM_URL."),
    ] = False,
    looks: Annotated[int | None, typer.Option("--looks", min=1, help="With --follow: end after so many looks.")] = None,
    is_json: Json = False,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look: enter nothing, start nothing.")] = False,
) -> None:
    """Look at drift on fresh prices, at any time of day; start a run where accounts are newly out of band."""
    settings = settings_of_a_home()
    if is_follow:
        day = None if as_of is None else _day(as_of, settings)
        _follow(settings, day, looks, is_json=is_json, is_dry_run=is_dry_run)
        return
    if looks is not None:
        raise WrongUsage("--looks is of --follow alone")
    day = _day(as_of, settings)
    with closing(open_ledger(settings)) as ledger:
        told = monitor_book(Stores(settings, open_lake(settings), ledger), day, utc_now(), is_dry=is_dry_run)
    for line in told.notices:
        notice(line)
    if is_json:
        print_json(asdict(told))
    else:
        _print(told)
    for scope in sorted(set(told.breach_batch_ids) - set(told.announced)):
        notice(NOT_STARTED.format(scope))


def _follow(settings: Settings, day: date | None, looks: int | None, *, is_json: bool, is_dry_run: bool) -> None:
    """Until a signal or so many looks; JSON of each on a line of its own, or a line where something is another than before."""
    stop = threading.Event()
    before = {which: signal.signal(which, lambda *_: stop.set()) for which in (signal.SIGINT, signal.SIGTERM)}
    shown: list[object] = []

    def tell(found: FollowLook) -> None:
        for line in found.notices:
            notice(line)
        if is_json:
            say(json.dumps(asdict(found), default=str))
        elif [line := _line(found)] != shown:
            shown[:] = [line]
            say(f"{found.looked_at_time:%H:%M:%S}Z {line}")
        for scope in sorted(set(found.breach_batch_ids) - set(found.announced)):
            notice(NOT_STARTED.format(scope))

    try:
        with closing(open_ledger(settings)) as ledger:
            at = Stores(settings, open_lake(settings), ledger)
            follow_stream(at, day, tell, stop.wait, is_dry=is_dry_run, looks=looks)
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def _line(found: FollowLook) -> str:
    """A step in one line, without what differs from one to the next where nothing happened."""
    if found.state in {FollowState.WAITING, FollowState.AWAY} and not found.looked_at:
        return f"{found.state}: {'; '.join(found.reasons)}"
    counts = {
        "looked at": found.looked_at,
        "without a fresh price": found.skipped,
        "out of band": found.out_of_band,
        "newly": found.newly,
        "armed again": found.armed_again,
        "old prices": found.old,
        "never quoted": found.never_quoted,
    }
    parts = [f"{count:,} {name}" for name, count in counts.items() if count or name in {"looked at", "out of band"}]
    refused = [f"{count:,} lines {reason}" for reason, count in found.refused_lines.items()]
    scopes = [f"scope {scope}" for scope in found.breach_batch_ids]
    return f"{found.state}: {'; '.join([*found.reasons, ', '.join(parts), *refused, *scopes])}"


def _day(given: str | None, settings: Settings) -> date:
    if given is None:
        today = datetime.now(ZoneInfo(settings.exchange_time_zone)).date()
        return sessions_to(today, settings.exchange, 1)[-1]
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise WrongUsage(f"{given} is not a date; needed YYYY-MM-DD") from None


def _print(told: MonitorResult) -> None:
    rows = [
        ("looked at", told.looked_at),
        ("without a fresh price", told.skipped),
        ("out of band", told.out_of_band),
        ("newly out of band", told.newly),
        ("armed again", told.armed_again),
        ("scope", " ".join(told.breach_batch_ids)),
        ("started by Prefect", " ".join(told.announced)),
        ("seconds", told.seconds),
    ]
    print_table(f"{told.as_of_date} after {told.night_run_id}", ["accounts", ""], rows)
