"""``trimtab demo``: a sample book on real market prices, a night on it, a simulated broker, the next night, and where to look then."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import typer
from prefect.settings import get_current_settings

from flows.commands.run import run_night
from flows.commands.say import say
from flows.commands.terminal import notice, print_table
from schemas.enums import Outcome, RunKind, Step
from schemas.settings import Settings
from tasks.core.broker import BrokerModel
from tasks.core.export import Export
from tasks.core.solver import warm_up
from tasks.demo import BookedFills, FileFormat, make_book, make_next_night, market_frame, next_closes, read_market
from tasks.export import export_approved
from tasks.reconcile import reconcile_one
from tasks.runtime import current_settings, make_folders, next_session, open_ledger
from tasks.simulate import exported_lots, simulate_fills
from warehouse.ledger import RunRow

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
    nights: Annotated[
        int, typer.Option("--nights", min=1, max=2, help="1: no fills, and no second night after them.")
    ] = 2,
) -> None:
    """Make a sample book on real market prices, run a night on it, export what policy approves, fill and reconcile that, run the next night."""
    run_demo(current_settings(), account_count=accounts, file_format=fmt, seed=seed, nights=nights)


def run_demo(settings: Settings, *, account_count: int, file_format: FileFormat, seed: int, nights: int) -> None:
    """Book, night, export, summary; fills and the night after them. Repeating it with the same book changes nothing.

    Its runs are simulations: nothing of them is delivered, and they take the fills of a simulated broker.
    """
    settings = settings.model_copy(update={"is_simulation": True})
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
    if nights > 1 and row is not None and folders:
        _go_round(settings, row, folder, folders, file_format=file_format, seed=seed)
    pages = get_current_settings().ui_url or "prefect server start"
    say(
        "\nLook next:\n"
        "  trimtab review list                      proposals that wait for a person\n"
        "  trimtab review show ID                   one of them, with its orders and lots\n"
        "  trimtab review approve ID --note WHY     then: trimtab export\n"
        "  trimtab simulate fills EXPORT            a broker for what you exported; then: trimtab reconcile FILE\n"
        "  trimtab reconcile                        what was not filled as it left\n"
        '  trimtab query "select outcome, count(*) from account_outcomes group by 1"\n'
        '  trimtab query "select * from latest.quarantine limit 5"\n'
        f"  {pages:<40} the Prefect UI shows the runs"
    )


def _go_round(
    settings: Settings, first: RunRow, book: Path, exports: Sequence[Path], *, file_format: FileFormat, seed: int
) -> None:
    """What left is filled by a simulated broker and reconciled; the custodian shows it, and there is a night on that."""
    if not first.is_simulation:
        notice(f"{first.run_id} began before the demo made simulations: no fills, and no second night, in this home.")
        return
    market, day = read_market(), next_session(first.as_of_date, settings.exchange)
    said = settings.home / "simulated"
    make_folders(said)
    spreads = said / "market.csv"
    spreads.write_text(market_frame(market).write_csv(), encoding="utf-8")
    for folder in exports:
        told = simulate_fills(
            folder,
            model=BrokerModel(),
            seed=seed,
            market=spreads,
            file_format="csv",
            to=said,
            exchange=settings.exchange,
        )
        taken = reconcile_one(settings, told.path, source="simulated")
        states = dict(taken.settled.changed["state"].value_counts().sort("state").iter_rows())
        say(
            f"\nsimulated broker: {told.path}, {sum(told.counts.values()):,} reports, {told.cost_bps or 0:.2f} bps beyond the reference prices"
        )
        say(
            "reconciled: "
            + (", ".join(f"{count:,} orders {state}" for state, count in states.items()) or "read before")
        )
    landing = settings.home / "landing" / f"demo-{day}"
    fills = booked_fills(settings, first.run_id, exports)
    make_next_night(landing, book, fills, next_closes(market, day, seed), file_format=file_format)
    night = run_night(settings, day, source=[str(landing)], kind=RunKind.NIGHTLY, scope=(), submitter=SUBMITTER)
    say(f"\nthe next night, {day}: {night.run_id}")
    _print_outcomes(night.counts)


def booked_fills(settings: Settings, run_id: str, exports: Sequence[Path]) -> BookedFills:
    """What is known to be filled of a run's orders, and which lots its exports say that they close."""
    with closing(open_ledger(settings)) as ledger:
        sent = ledger.answers.sent_orders().filter(run_id=run_id)
        told = ledger.answers.states_of(sent["order_id"].to_list()).filter(pl.col("filled_quantity") > 0)
    names = sent.select("order_id", "account_id", "security_id", "side")
    lots = pl.concat([exported_lots(folder) for folder in exports])
    return BookedFills(told.join(names, on="order_id").sort("order_id"), lots)


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
