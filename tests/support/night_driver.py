"""A night in this process without a Prefect run around it: the steps of ``flows/nightly.py``, in its order.

Started as a program it is the night that is killed: ``python -m tests.support.night_driver HOME SOURCE DATE POINT...`` runs night and
export once for each point, each time in a process that sends itself SIGKILL there.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.nightly import NightResult
from schemas.enums import RunKind, Step
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tasks.export.export import ExportResult
from tasks.export.release import export_approved
from tasks.performance.step import performance_task
from tasks.propose.measure import measure_task
from tasks.propose.propose import propose_task
from tasks.propose.publish import publish_task
from tasks.propose.route import route_task
from tasks.pull.pull import pull_task
from tasks.pull.request import Request
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import open_ledger, utc_now
from tasks.runtime.umask import private_files
from tasks.validate.guards import guard_inputs_task, guard_trades_task
from tasks.validate.validate import validate_task
from warehouse.lake.lake import Lake, open_lake
from warehouse.ledger.export import Exports
from warehouse.ledger.review import proposals as ledger_proposals
from warehouse.ledger.runs import Runs

SUBMITTER = "prefect"


def run_night(
    settings: Settings,
    source: Path | None,
    as_of: date,
    *,
    kind: RunKind = RunKind.NIGHTLY,
    scope: tuple[str, ...] = (),
) -> NightResult:
    """The flow ``nightly``, step by step; what is recorded as finished is skipped. Without ``source``: those of the settings."""
    given = [] if source is None else [str(source)]
    return run_request(settings, Request(settings.sources_of(as_of, given), as_of, kind, SUBMITTER, scope))


def run_request(settings: Settings, request: Request) -> NightResult:
    """The same for whatever is asked for."""
    with use_settings(settings):
        run = pull_task.fn(request)
        with closing(open_ledger(settings)) as ledger:
            done = ledger.runs.finished_steps(run.run_id)
            works: list[tuple[Step, int, Callable[[], Any]]] = [
                *(
                    (Step.VALIDATE, shard, lambda s=shard: validate_task.fn(run, s))
                    for shard in (GLOBAL_SHARD, *run.shards)
                ),
                (Step.VALIDATE, run.shard_count, lambda: guard_inputs_task.fn(run)),
                *((Step.MEASURE, shard, lambda s=shard: measure_task.fn(run, s)) for shard in run.shards),
                *((Step.PROPOSE, shard, lambda s=shard: propose_task.fn(run, s)) for shard in run.shards),
                (Step.PROPOSE, run.shard_count, lambda: guard_trades_task.fn(run)),
                (Step.ROUTE, GLOBAL_SHARD, lambda: route_task.fn(run)),
            ]
            try:
                for step, shard, work in works:
                    if (step, shard) not in done:
                        work()
                result = NightResult(run.run_id, publish_task.fn(run))
                is_recorded = settings.is_performance_written and run.kind is RunKind.NIGHTLY
                for shard in run.shards if is_recorded else ():
                    if (Step.PERFORMANCE, shard) not in done:
                        performance_task.fn(run, shard)
            except Exception as error:
                ledger.runs.fail_run(run.run_id, str(error), utc_now())
                raise
            return result


def export(settings: Settings, run_id: str | None = None) -> list[ExportResult]:
    """What ``trimtab export`` does."""
    return list(export_approved(settings, run_id).results)


def public_tables(settings: Settings, run_id: str) -> dict[str, pl.DataFrame]:
    """Every public table of a run, sorted, floats as their bits."""
    return {table: as_bits(open_lake(settings).read(table, run_id)) for table in PUBLIC}


def as_bits(frame: pl.DataFrame) -> pl.DataFrame:
    """Sorted rows; a float stands as its 64 bits and a flag for null, so that equal means equal to the last bit."""
    floats = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    bits = [pl.Series(name, frame[name].fill_null(0.0).to_numpy().view(np.uint64)) for name in floats]
    nulls = [pl.col(name).is_null().alias(f"{name} is null") for name in floats]
    return frame.with_columns(nulls).with_columns(bits).sort(pl.all())


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder, by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- the night that is killed


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(owner: type | object, name: str, is_there: Callable[..., bool], *, is_after: bool = False) -> None:
    """Let a function kill this process, before or after its work, at the call that ``is_there`` tells."""
    real = getattr(owner, name)

    def deadly(*args: Any, **options: Any) -> Any:
        there = is_there(*args, **options)
        if there and not is_after:
            die()
        result = real(*args, **options)
        if there:
            die()
        return result

    setattr(owner, name, deadly)


def _step(step: Step, shard: int) -> Callable[[], None]:
    """Between the lake's commit and the ledger's row."""
    return lambda: dying_at(Runs, "finish_step", lambda _l, _r, s, n, **_o: (s, n) == (step, shard))


def _write(table: str, shard: int | None = None) -> Callable[[], None]:
    """After a table's rows are in, before the lake's commit."""

    def is_there(_lake: Lake, name: str, frame: pl.DataFrame, _run: object) -> bool:
        return name == table and (shard is None or frame["shard"].to_list()[:1] == [shard])

    return lambda: dying_at(Lake, "_insert", is_there, is_after=True)


POINTS: Mapping[str, Callable[[], None]] = {
    "pull, lake not committed": _write("landed_lots"),
    "pull, not recorded": _step(Step.PULL, GLOBAL_SHARD),
    "validate of all, not recorded": _step(Step.VALIDATE, GLOBAL_SHARD),
    "validate, lake not committed": _write("quarantine", 1),
    "validate, not recorded": _step(Step.VALIDATE, 1),
    "measure, lake not committed": _write("drift", 1),
    "measure, not recorded": _step(Step.MEASURE, 1),
    "propose, lake not committed": _write("orders", 1),
    "propose, not recorded": _step(Step.PROPOSE, 1),
    "route, ledger not committed": lambda: dying_at(ledger_proposals, "_insert", lambda *_a, **_o: True, is_after=True),
    "route, not recorded": _step(Step.ROUTE, GLOBAL_SHARD),
    "publish, not closed": lambda: dying_at(Runs, "finish_run", lambda *_a, **_o: True),
    "publish, not recorded": _step(Step.PUBLISH, GLOBAL_SHARD),
    "performance, lake not committed": _write("performance", 1),
    "performance, not recorded": _step(Step.PERFORMANCE, 1),
    "export, not claimed": lambda: dying_at(Exports, "claim_export", lambda *_a, **_o: True),
    "export, claimed": lambda: dying_at(Exports, "claim_export", lambda *_a, **_o: True, is_after=True),
    "export, not published": lambda: dying_at(Exports, "publish_export", lambda *_a, **_o: True),
    "export, published": lambda: dying_at(Exports, "publish_export", lambda *_a, **_o: True, is_after=True),
}
"""Where a night is killed, in the order of the night."""


def killed(settings: Settings, source: Path, as_of: date, points: list[str]) -> dict[str, int]:
    """Signal or exit code that each attempt ended with, one attempt after the other in the same home."""
    command = [
        sys.executable,
        "-m",
        "tests.support.night_driver",
        settings.model_dump_json(),
        str(source),
        str(as_of),
        *points,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    ends: dict[str, int] = json.loads(done.stdout)
    return ends


def _main(told: str, source: str, as_of: str, *points: str) -> None:
    """Nothing but imports has happened yet when the attempts fork: no thread is lost in between."""
    private_files()
    settings = Settings(**json.loads(told))
    ends = {}
    for point in points:
        child = os.fork()
        if child == 0:
            POINTS[point]()
            night = run_night(settings, Path(source), date.fromisoformat(as_of))
            export(settings, night.run_id)
            os._exit(0)
        ends[point] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps(ends))


if __name__ == "__main__":
    _main(*sys.argv[1:])
