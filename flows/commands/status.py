"""``trimtab status`` and ``runs``: where things stand, and what to do where they stand still."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Annotated, Final

import typer

from flows.commands.halt import HOW_TO_LIFT, sentence
from flows.commands.say import say
from flows.commands.terminal import Json, notice, print_json, print_table
from schemas.enums import RunState
from schemas.run import GLOBAL_SHARD
from tasks.reconcile import OpenOrders, count_open_orders
from tasks.runtime import open_ledger, settings_of_a_home, utc_now
from warehouse.ledger import HaltRow, InputRow, RunRow, StepRow

RUN: Final = (
    *("run_id", "as_of_date", "kind", "state", "submitter", "accounts_pulled", "counts"),
    *("started_at", "finished_at", "held_reason", "released_by"),
)
"""What of a run is printed as JSON, as the REST API gives it."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The newest run, null if there is none yet, whether everything is halted, and orders without a final word, of whatever run."""

    halt: HaltRow | None
    run: RunRow | None
    inputs: Sequence[InputRow]
    steps: Sequence[StepRow]
    queue: Mapping[str, int]
    open_orders: OpenOrders


def status(*, is_json: Json = False) -> None:
    """Show the newest run: its state, what it took, its steps and how many proposals stand where; open orders; and a halt."""
    standing = _standing()
    if is_json:
        print_json(_as_json(standing))
        return
    if standing.halt is not None:
        say(f"Everything is {sentence(standing.halt)}\n{HOW_TO_LIFT}\n")
    if standing.run is None:
        notice("no run yet\n\nHint: `trimtab demo` makes one.")
        return
    _print_run(standing.run, standing)


def runs(*, is_json: Json = False, limit: Annotated[int, typer.Option("--limit", min=1)] = 20) -> None:
    """List runs, the newest first."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        rows = ledger.runs.list_runs(limit)
    if is_json:
        print_json([{name: getattr(row, name) for name in RUN} for row in rows])
        return
    table = [
        [
            row.run_id,
            row.state,
            f"{row.accounts_pulled:,}",
            row.submitter,
            f"{row.started_at:%Y-%m-%d %H:%M}",
            row.held_reason or "",
        ]
        for row in rows
    ]
    columns = ("run", "state", "accounts", "submitter", "started (UTC)", "held because")
    print_table("runs", columns, table, whole=("run",))


def _standing() -> StatusReport:
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        halt, run = ledger.halts.current_halt(), ledger.runs.newest_run()
        left = count_open_orders(ledger.fills, settings.exchange, utc_now())
        if run is None:
            return StatusReport(halt, None, (), (), {}, left)
        queue = dict(ledger.proposals.list_proposals(run_id=run.run_id)["state"].value_counts().iter_rows())
        inputs, steps = ledger.inputs.inputs_of(run.run_id), ledger.runs.step_rows(run.run_id)
        return StatusReport(halt, run, inputs, steps, queue, left)


def _as_json(standing: StatusReport) -> dict[str, object]:
    run = standing.run
    of_run = {} if run is None else {name: getattr(run, name) for name in ("state", "held_reason", "counts")}
    return {
        "run_id": None if run is None else run.run_id,
        **of_run,
        "held_guards": [] if run is None else run.held_guards,
        "queue": standing.queue,
        "open_orders": asdict(standing.open_orders),
        "inputs": [asdict(one) for one in standing.inputs],
        "halt": None if standing.halt is None else asdict(standing.halt),
    }


def _print_run(run: RunRow, standing: StatusReport) -> None:
    say(_headline(run))
    if standing.inputs:
        files = [(one.source, one.name, one.table_name, one.row_count, _state(one)) for one in standing.inputs]
        print_table("inputs", ["source", "file", "table", "rows", "state"], files)
    steps = [
        (one.step, "" if one.shard == GLOBAL_SHARD else str(one.shard), f"{one.rows:,}", f"{one.seconds:.2f}")
        for one in standing.steps
    ]
    print_table("steps", ["step", "shard", "rows", "seconds"], steps)
    print_table(
        "proposals", ["state", "count"], [(state, f"{count:,}") for state, count in sorted(standing.queue.items())]
    )
    if standing.open_orders.count:
        say(_open_orders_sentence(standing.open_orders))


def _open_orders_sentence(left: OpenOrders) -> str:
    orders = "1 order" if left.count == 1 else f"{left.count:,} orders"
    days = "1 trading day" if left.session_count == 1 else f"{left.session_count} trading days"
    return f"{orders} left without a final word, the oldest of {left.oldest_date}, {days} ago: `trimtab orders list` says which accounts wait."


def _headline(run: RunRow) -> str:
    """The run's state; why it is held, one guard a line, and how it goes on."""
    if run.state is not RunState.HELD:
        return f"{run.run_id}: {run.state}"
    reasons = [f"  {line}" for line in (run.held_reason or "").splitlines() if line]
    how = f"A releaser or an admin lets it go on with `trimtab resume {run.run_id} --note WHY`."
    return "\n".join([f"{run.run_id}: held because", *reasons, how])


def _state(one: InputRow) -> str:
    return one.state if one.note is None else f"{one.state}: {one.note}"
