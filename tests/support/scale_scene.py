"""Nights on a cluster: a Dask scheduler and workers that die, PostgreSQL, and S3 behind a line that breaks.

A worker that was started with ``PRELOAD`` kills itself where a file in the folder ``DEATHS`` says, once for each file.
Started as a program, ``python -m tests.support.scale_scene SOURCE DATE`` is one night on the stores of its environment.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl
from distributed import Worker

from flows.commands import run as flows_run
from schemas.enums import RunKind, Step
from schemas.settings import Settings, load_settings
from tasks.demo.sample import BookSummary
from tasks.runtime.stores import open_ledger
from tests.support.delivery_scene import METHODS, Line, _end
from tests.support.night_driver import SUBMITTER, dying_at, export, files_of, public_tables
from tests.support.servers import ObjectStore, Postgres, _postgres_program, free_port, wait_for_port
from warehouse.lake.lake import Lake
from warehouse.ledger.runs import Runs

ROOT: Final = Path(__file__).parents[2]
DASK: Final = str(Path(sys.executable).parent / "dask")
DEATHS: Final = "DEATHS_OF_WORKERS"
"""Variable that names a folder with a file ``<step>-<shard>`` for each death."""
PRELOAD: Final = {"DASK_DISTRIBUTED__WORKER__PRELOAD": "['tests.support.scale_scene']"}
PATIENCE_SECONDS: Final = 300


@dataclass(frozen=True)
class Ended:
    """What a night and its export left."""

    tables: Mapping[str, pl.DataFrame]
    files: Mapping[str, bytes]
    steps: list[tuple[Step, int, int]]
    counts: Mapping[str, int]


def night(settings: Settings, source: Path, book: BookSummary) -> Ended:
    """The flow and the export, as the command line calls them."""
    flows_run.run_night(
        settings, book.as_of_date, source=[str(source)], kind=RunKind.NIGHTLY, scope=(), submitter=SUBMITTER
    )
    return ended(settings)


def ended(settings: Settings) -> Ended:
    """What the newest run left, exported; nothing of it may leave a second time."""
    with closing(open_ledger(settings)) as ledger:
        run = ledger.runs.list_runs(1)[0]
        steps = sorted((row.step, row.shard, row.rows) for row in ledger.runs.step_rows(run.run_id))
        done = [row for row in ledger.audit.audit_rows() if row.event == "run_done" and row.run_id == run.run_id]
        assert len(done) == 1
    assert len(export(settings, run.run_id)) == 1
    assert export(settings, run.run_id) == []
    return Ended(public_tables(settings, run.run_id), files_of(settings.export_folder), steps, dict(run.counts or {}))


def assert_same(left: Ended, right: Ended) -> None:
    """Every row of every table to the last bit, every file byte for byte, every step recorded once with its rows."""
    assert [name for name, table in left.tables.items() if not table.equals(right.tables[name])] == []
    assert left.files.keys() == right.files.keys()
    assert [path for path, content in left.files.items() if content != right.files[path]] == []
    assert (left.steps, left.counts) == (right.steps, right.counts)
    assert len(left.files) > 50


# --- workers that die


def dask_setup(_worker: Worker) -> None:
    """Dask calls this in a worker that was started with ``PRELOAD``."""
    if folder := os.environ.get(DEATHS):
        dying_at(Lake, "replace", lambda _l, _r, shard, frames: _is_due(Path(folder), frames, shard), is_after=True)
        dying_at(Runs, "finish_step", lambda _l, _r, step, shard, **_: _taken(Path(folder) / f"{step}-{shard}"))


def _is_due(folder: Path, frames: Mapping[str, Any], shard: int) -> bool:
    return any(_taken(folder / f"{table}-{shard}") for table in frames)


def _taken(flag: Path) -> bool:
    try:
        flag.unlink()
    except FileNotFoundError:
        return False
    return True


# --- servers that go away


def restarted(server: Postgres) -> None:
    """PostgreSQL as after a power cut: no connection outlives it."""
    ((data,),) = server.run("public", "SELECT setting FROM pg_settings WHERE name = 'data_directory'")
    words = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    command = [*words, _postgres_program("pg_ctl"), f"--pgdata={data}", f"--log={data}/log", "--wait"]
    subprocess.run([*command, "--mode=immediate", "restart"], check=True, capture_output=True, cwd="/")


class FlakyLine(Line):
    """A line to an HTTP server on which one request in ``every`` finds no answer, or the answer 503. 0: none does."""

    def __init__(self, target: int) -> None:
        self.every, self.broken = 0, 0
        self._seen = 0
        super().__init__(target, sys.maxsize)

    def _send(self, near: Any, far: Any) -> None:
        with suppress(OSError):
            while block := near.recv(1 << 16):
                if block.startswith(METHODS) and self._is_broken():
                    if self.broken % 2:
                        near.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    break
                far.sendall(block)
        _end(near, far)

    def _is_broken(self) -> bool:
        with self._lock:
            self._seen += 1
            is_broken = self.every > 0 and self._seen % self.every == 0
            self.broken += is_broken
            return is_broken


# --- the cluster


@dataclass
class Cluster:
    """A Dask scheduler and two workers, on PostgreSQL and S3; ``environment`` is theirs and the coordinator's."""

    address: str
    postgres: Postgres
    store: ObjectStore
    line: FlakyLine
    environment: dict[str, str]
    folder: Path
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def settings(self, home: Path, **changes: Any) -> Settings:
        names = ("LAKE_URL", "LAKE_DATA_URL", "LEDGER_URL")
        stores = {name.lower(): self.environment[f"TRIMTAB_{name}"] for name in names}
        return Settings(**{"home": home, "dask": self.address, "accounts_per_shard": 60, **stores, **changes})

    def with_new_stores(self) -> "Cluster":
        """The same servers, with stores that nobody has used."""
        return replace(self, environment=self.environment | new_stores(self.postgres, self.store))

    def start(self, *words: str, **environment: str) -> None:
        with (self.folder / f"{words[0]}-{len(self.started)}.log").open("wb") as log:
            command = [DASK, *words]
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment | environment, stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(process)

    def stop(self) -> None:
        for process in reversed(self.started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def new_stores(server: Postgres, store: ObjectStore) -> dict[str, str]:
    """Addresses of a lake and a ledger that nobody has used."""
    database = server.new_database()
    return {
        "TRIMTAB_LAKE_URL": f"ducklake:postgres:host=127.0.0.1 port={server.port} user=owner dbname={database}",
        "TRIMTAB_LAKE_DATA_URL": f"s3://{store.new_bucket()}/lake/",
        "TRIMTAB_LEDGER_URL": f"postgresql+psycopg://owner@127.0.0.1:{server.port}/{database}",
    }


@contextmanager
def cluster_in(folder: Path, server: Postgres, store: ObjectStore, variables: Mapping[str, str]) -> Iterator[Cluster]:
    """Two workers whose stores nobody has used. They die where a file in ``<folder>/deaths`` says."""
    (folder / "deaths").mkdir()
    port = free_port()
    with closing(FlakyLine(store.port)) as line:
        environment = {
            **variables,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{line.port}",
            "TRIMTAB_HOME": str(folder),
            **new_stores(server, store),
            "POLARS_MAX_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
            DEATHS: str(folder / "deaths"),
            **PRELOAD,
        }
        cluster = Cluster(f"tcp://127.0.0.1:{port}", server, store, line, environment, folder)
        cluster.start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        wait_for_port(port)
        limits = ("--nthreads", "1", "--memory-limit", "2GB", "--no-dashboard")
        cluster.start("worker", cluster.address, "--nworkers", "2", *limits, "--local-directory", str(folder))
        try:
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def restart_after(settings: Settings, server: Postgres, step: Step) -> Iterator[list[float]]:
    """Restart PostgreSQL as soon as a shard has finished a step; when, once it is done."""
    moments: list[float] = []

    def watch() -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and not moments:
            with closing(open_ledger(settings)) as ledger:
                runs = ledger.runs.list_runs(1)
                is_there = bool(runs) and any(row.step is step for row in ledger.runs.step_rows(runs[0].run_id))
            if is_there:
                restarted(server)
                moments.append(time.monotonic())
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield moments
    finally:
        watcher.join()


if __name__ == "__main__":
    flows_run.run_night(
        load_settings(),
        date.fromisoformat(sys.argv[2]),
        source=[sys.argv[1]],
        kind=RunKind.NIGHTLY,
        scope=(),
        submitter=SUBMITTER,
    )
