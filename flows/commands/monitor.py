"""``trimtab monitor``: one look at drift on fresh prices, which starts a run over what is newly out of band."""

from contextlib import closing
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from flows.commands.terminal import Json, notice, print_json, print_table
from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.monitor import MonitorResult, monitor_book
from tasks.runtime import Stores, open_ledger, sessions_to, settings_of_a_home, utc_now
from warehouse.lake import open_lake


def monitor(
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DATE", help="Day of the look; the newest trading day where absent."),
    ] = None,
    *,
    is_json: Json = False,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look: enter nothing, start nothing.")] = False,
) -> None:
    """Look at drift on fresh prices, at any time of day; start a run where accounts are newly out of band."""
    settings = settings_of_a_home()
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
        notice(f"No Prefect API is set, so nothing was started. Run it with `trimtab nightly --scope {scope}`.")


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
