"""``trimtab demo``: a sample book on real market prices, one night on it, and where to look next."""

import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer
from prefect.settings import get_current_settings

from flows.commands.run import run_night
from flows.commands.say import say
from flows.commands.terminal import notice, print_table
from schemas.enums import Outcome, RunKind, Step
from schemas.settings import Settings
from tasks.core.export import Export
from tasks.core.solver import warm_up
from tasks.demo import FileFormat, make_book
from tasks.export import export_approved
from tasks.runtime import current_settings, open_ledger

SUBMITTER = "demo"
"""The demo submits its run under its own name, so that whoever typed it may approve: a maker is never the checker."""

MEANINGS = {
    Outcome.IN_BAND: "every class within its band, nothing to do",
    Outcome.PROPOSED: "trades proposed",
    Outcome.BLOCKED: "cash is owed that cannot be raised, or nothing to invest",
    Outcome.QUARANTINED: "a row that its value depends on is broken",
    Outcome.FROZEN: "the custodian says frozen or closed",
    Outcome.COOLING_DOWN: "exported too recently",
    Outcome.NO_TRADE: "out of band, but tax, cost or a rule outweighs trading",
    Outcome.ERROR: "see the log",
}


def demo(
    accounts: Annotated[int, typer.Option("--accounts", min=1, help="How many accounts the sample book has.")] = 5_000,
    fmt: Annotated[
        Literal["parquet", "csv"], typer.Option("--format", help="Files of the landing folder.")
    ] = "parquet",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 20221228,
) -> None:
    """Make a sample book on real market prices, run a night on it, export what policy approves, say where to look."""
    run_demo(current_settings(), account_count=accounts, file_format=fmt, seed=seed)


def run_demo(settings: Settings, *, account_count: int, file_format: FileFormat, seed: int) -> None:
    """Book, night, export, summary. Repeating it with the same book changes nothing."""
    clock = Clock()
    folder = settings.home / "landing" / "demo"
    book = make_book(folder, account_count=account_count, seed=seed, file_format=file_format)
    clock.lap("sample book")
    warm_up()
    clock.lap("kernel compiled or loaded")
    night = run_night(
        settings, book.as_of_date, source=[str(folder)], kind=RunKind.NIGHTLY, scope=(), submitter=SUBMITTER
    )
    clock.lap("night")
    done = export_approved(settings, night.run_id)
    clock.lap("export")
    with closing(open_ledger(settings)) as ledger:
        steps = ledger.runs.step_rows(night.run_id)
        row = ledger.runs.get_run(night.run_id)
        pending = ledger.proposals.list_proposals(run_id=night.run_id)
        folders = [
            Path(one.folder) / Export(one.run_id, book.as_of_date, one.sequence, one.export_id).folder_name
            for one in ledger.exports.exports_of(night.run_id)
        ]
    _print_outcomes(night.counts)
    _print_times(
        clock,
        {
            step: (sum(s.rows for s in steps if s.step == step), sum(s.seconds for s in steps if s.step == step))
            for step in Step
        },
    )
    states = dict(pending["state"].value_counts().sort("state").iter_rows())
    say(
        f"\n{night.run_id} ({row.state if row else ''}): proposals "
        + ", ".join(f"{count:,} {state}" for state, count in states.items())
    )
    for made in done.results:
        say(f"exported {made.account_count:,} accounts, {made.order_count:,} orders")
    for where in folders:
        say(f"trade files: {where}")
    for held in done.held_back.iter_rows(named=True):
        notice(f"{held['proposal_id']} stays: {held['reason']}")
    pages = get_current_settings().ui_url or "prefect server start"
    say(
        "\nLook next:\n"
        "  trimtab review list                      proposals that wait for a person\n"
        "  trimtab review show ID                   one of them, with its orders and lots\n"
        "  trimtab review approve ID --note WHY     then: trimtab export\n"
        '  trimtab query "select outcome, count(*) from account_outcomes group by 1"\n'
        '  trimtab query "select * from latest.quarantine limit 5"\n'
        f"  {pages:<40} the Prefect UI shows the runs"
    )


class Clock:
    """Seconds of each part of a command."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What went by since the last lap belongs to ``name``."""
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now


def _print_outcomes(counts: Mapping[str, int]) -> None:
    rows = [[outcome, f"{counts[outcome]:,}", meaning] for outcome, meaning in MEANINGS.items() if counts[outcome]]
    print_table(
        "what became of each account",
        ["outcome", "accounts", "meaning"],
        [*rows, ["pulled", f"{counts['accounts']:,}", ""]],
    )


def _print_times(clock: Clock, steps: dict[Step, tuple[int, float]]) -> None:
    inside = sum(seconds for _, seconds in steps.values())
    rows = [[name, "", f"{seconds:.2f}", ""] for name, seconds in clock.laps.items() if name != "night"]
    rows += [
        [f"night: {step}", f"{count:,}", f"{seconds:.2f}", f"{count / max(seconds, 1e-9):,.0f}"]
        for step, (count, seconds) in steps.items()
    ]
    rows.append(["night: Prefect's own start and bookkeeping", "", f"{max(clock.laps['night'] - inside, 0):.2f}", ""])
    print_table("where the time went", ["part", "rows", "seconds", "rows per second"], rows)
