"""The same night on one process, on local workers, and on a cluster with PostgreSQL and S3 on which everything breaks once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import dask
import polars as pl
import psycopg
import pytest
import sqlalchemy as sa
from distributed import KilledWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.workers.chosen_executor import InProcess
from flows.workers.dask_cluster import api_address, fault_of, local_workers, need_shared_stores
from flows.workers.dask_worker import faults_of, worker_facts
from schemas.enums import RunKind, Step
from schemas.errors import InputRefused, Terminal, WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings, load_settings
from tasks.demo.sample import BookSummary, make_book
from tasks.runtime.stores import open_ledger
from tests.support.cli_session import variables_of
from tests.support.scale_scene import (
    DEATHS,
    PRELOAD,
    Cluster,
    Ended,
    assert_same,
    cluster_in,
    ended,
    night,
    restart_after,
)
from tests.support.servers import ObjectStore, Postgres, only_these_servers
from warehouse.faults.engine_errors import is_disconnect
from warehouse.lake.connection import Bounds, bounds, connect, s3_secret

ACCOUNTS = 240
SHARD = 60

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:Series.values returning:Warning"),  # exchange_calendars on new pandas
]


class Book:
    """A sample book, and the night on it in one process with stores in files."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "landing"
        self.summary: BookSummary = make_book(self.source, account_count=ACCOUNTS)
        self.here: Ended = night(settings_in(folder / "here"), self.source, self.summary)

    def night(self, settings: Settings) -> Ended:
        return night(settings, self.source, self.summary)


def settings_in(home: Path, **changes: Any) -> Settings:
    return Settings(home=home, accounts_per_shard=SHARD, **changes)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory, prefect_api: None) -> Book:  # noqa: ARG001 - a server first
    return Book(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Postgres,
    s3_server: ObjectStore,
    prefect_api: None,  # noqa: ARG001
) -> Iterator[Cluster]:
    with only_these_servers() as patch:
        patch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
        folder = tmp_path_factory.mktemp("cluster")
        with cluster_in(folder, postgres_server, s3_server, dict(os.environ)) as made:
            patch.setenv("AWS_ENDPOINT_URL_S3", made.environment["AWS_ENDPOINT_URL_S3"])
            yield made


def test_two_local_workers_of_which_one_is_killed_do_the_night_of_one_process(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    for death in ("measure-1", "orders-2"):
        (deaths / death).touch()
    monkeypatch.setenv(DEATHS, str(deaths))
    for name, value in PRELOAD.items():
        monkeypatch.setenv(name, value)
    with dask.config.set({"distributed.worker.preload": ["tests.support.scale_scene"]}):
        there = book.night(settings_in(tmp_path / "home", dask="local:2"))

    assert list(deaths.iterdir()) == [], "each of them happened"
    assert_same(there, book.here)


def test_a_cluster_on_which_everything_breaks_once_does_the_night_of_one_process_once(
    cluster: Cluster, book: Book, tmp_path: Path
) -> None:
    """PostgreSQL is killed and comes back, a worker is killed, S3 fails one request in twenty."""
    settings = cluster.settings(tmp_path)
    (cluster.folder / "deaths" / "measure-3").touch()
    cluster.line.every = 20
    try:
        with restart_after(settings, cluster.postgres, Step.VALIDATE) as restarts:
            there = book.night(settings)
    finally:
        cluster.line.every = 0

    assert len(restarts) == 1
    assert cluster.line.broken > 5
    assert list((cluster.folder / "deaths").iterdir()) == []
    assert_same(there, book.here)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"anchor.key", "anchors", "exports"}, "nothing of the book is kept here"


def test_two_that_start_the_same_night_at_once_do_it_once(cluster: Cluster, book: Book, tmp_path: Path) -> None:
    settings = cluster.with_new_stores().settings(tmp_path, dask="")
    words = [sys.executable, "-m", "tests.support.scale_scene", str(book.source), book.summary.as_of_date.isoformat()]
    environment = os.environ | variables_of(settings)
    started = [
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in "ab"
    ]
    said = [each.communicate(timeout=300)[0] for each in started]

    assert [each.returncode for each in started] == [0, 0], said
    assert "another process works on it" in "".join(said)
    assert_same(ended(settings), book.here)


def broken_restriction(source: Path, folder: Path) -> Path:
    """The book with a restriction of every account that cannot be read."""
    shutil.copytree(source, folder)
    path = folder / "restrictions.parquet"
    rows = pl.read_parquet(path).head(1) if path.exists() else pl.DataFrame({"account_id": ["a"], "security_id": ["s"]})
    everyones = rows.with_columns(account_id=pl.lit(None, pl.String), rule=pl.lit("nonsense"))
    everyones.write_parquet(path)
    return folder


def test_a_worker_refuses_as_the_process_itself_does(cluster: Cluster, book: Book, tmp_path: Path) -> None:
    source = broken_restriction(book.source, tmp_path / "broken")
    told_there = []
    for settings in (cluster.settings(tmp_path / "there"), settings_in(tmp_path / "here")):
        with pytest.raises(InputRefused, match="restricts every account") as caught:
            night(settings, source, book.summary)
        with closing(open_ledger(settings)) as ledger:
            run = ledger.runs.list_runs(1)[0]
        told_there.append((str(caught.value), run.run_id, run.state))
    assert told_there[0] == told_there[1]


def test_workers_with_another_lake_are_refused_before_anything_is_pulled(
    cluster: Cluster, book: Book, tmp_path: Path
) -> None:
    settings = cluster.settings(tmp_path, lake_data_url="s3://elsewhere/")
    with closing(open_ledger(settings)) as ledger:
        before = ledger.runs.list_runs()
    with pytest.raises(WrongUsage, match="differs from this process in TRIMTAB_LAKE_DATA_URL\n"):
        book.night(settings)
    with closing(open_ledger(settings)) as ledger:
        assert ledger.runs.list_runs() == before


# --- without a cluster


@pytest.mark.parametrize("given", ["", "local", "local:3", "tcp://host:8786", "tls://10.0.0.7:8786"])
def test_workers_are_named_by_one_setting(given: str) -> None:
    assert Settings(dask=given).dask == given


@pytest.mark.parametrize("given", ["yes", "local:0", "tcp://host", "http://host:8786", "localhost:8786"])
def test_what_names_no_workers_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_DASK", given)
    with pytest.raises(WrongUsage, match=f"setting dask: {given} names no workers; needed local, local:4, tcp://"):
        load_settings()


def test_local_takes_as_many_workers_as_asked_for() -> None:
    assert local_workers(Settings(dask="local:3")) == 3
    assert local_workers(Settings(dask="local")) >= 1


def test_stores_in_files_of_this_machine_are_not_for_workers_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(
        WrongUsage, match="TRIMTAB_LEDGER_URL, TRIMTAB_LAKE_URL, TRIMTAB_LAKE_DATA_URL must name servers"
    ):
        need_shared_stores(Settings(home=tmp_path, dask="tcp://host:8786"))
    servers = {"lake_url": "ducklake:postgres:host=db", "ledger_url": "postgresql+psycopg://db/l"}
    need_shared_stores(Settings(home=tmp_path, dask="tcp://host:8786", lake_data_url="s3://b/", **servers))
    need_shared_stores(Settings(home=tmp_path, dask="tcp://host:8786", lake_data_url="/mnt/shared", **servers))


def test_workers_elsewhere_need_a_prefect_server_that_they_reach() -> None:
    with temporary_settings({PREFECT_API_URL: None}):
        assert api_address(is_elsewhere=False) is None
        with pytest.raises(WrongUsage, match="PREFECT_API_URL is not set"):
            api_address(is_elsewhere=True)


def test_a_worker_is_told_by_what_differs_and_never_by_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_LEDGER_URL", "postgresql://me:hunter2@db/ledger")
    here = worker_facts()
    assert "hunter2" not in str(here)
    assert faults_of(here, here) == ""
    there = here | {"polars": "1.0", "--nthreads": "4", "TRIMTAB_LEDGER_URL": "another"}
    assert faults_of(here, there) == (
        "differs from this process in --nthreads (4 there, 1 needed), TRIMTAB_LEDGER_URL, "
        f"polars (1.0 there, {here['polars']} needed)"
    )


class Came:
    """A future that came back so."""

    def __init__(self, status: str, error: BaseException | None = None) -> None:
        self.status, self._error = status, error

    def cancelled(self) -> bool:
        return self.status == "cancelled"

    def exception(self) -> BaseException | None:
        return self._error


def test_a_shard_under_which_every_worker_died_ends_the_night_with_a_sentence() -> None:
    given_up: Any = Came("error", KilledWorker("measure-1", "tcp://w", 4))
    fault = fault_of(given_up, 7)
    assert isinstance(fault, Terminal)
    assert "shard 7 ended 4 workers one after the other" in str(fault)
    for status in ("cancelled", "lost"):
        lost: Any = Came(status)
        assert fault_of(lost, 7) is None, "the ledger says what is left"
    torn: Any = Came("error", ValueError("cannot be unpickled"))
    assert str(fault_of(torn, 7)) == "cannot be unpickled"


def test_one_process_works_on_one_shard_after_the_other_and_stops_at_a_fault(book_day: RunRef) -> None:
    seen: list[Any] = []

    def work(_run: RunRef, shard: int) -> None:
        seen.append(shard)
        if shard == 2:
            raise InputRefused("no")

    with pytest.raises(InputRefused, match="no"):
        InProcess().each(
            Step.MEASURE,
            work,
            book_day,
            (0, 1, 2, 3),
            finished=frozenset,
            moved=lambda: seen.append("moved"),  # type: ignore[arg-type]
        )
    assert seen == [0, "moved", 1, "moved", 2]


@pytest.fixture
def book_day() -> RunRef:
    return RunRef("r", date(2026, 3, 2), RunKind.NIGHTLY, 4)


def test_duckdb_keeps_to_its_part_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Bounds(memory_bytes=500_000_000, threads=1)
    for name in ("memory_bytes", "threads"):
        monkeypatch.setattr(bounds, name, getattr(part, name))
    with connect() as connection:
        query = "SELECT current_setting('memory_limit'), current_setting('threads'), current_setting('temp_directory')"
        ((memory, threads, folder),) = connection.execute(query).fetchall()
    assert (memory, threads) == ("476.8 MiB", 1)
    assert Path(folder).is_absolute()


def test_s3_is_what_the_variables_of_aws_say() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "it's", "AWS_REGION": "eu-west-1"}
    assert s3_secret(keys) == (
        "CREATE SECRET (TYPE s3, PROVIDER config, KEY_ID 'me', SECRET 'it''s', REGION 'eu-west-1', USE_SSL true)"
    )
    own = s3_secret(keys | {"AWS_ENDPOINT_URL": "http://minio:9000/", "AWS_SESSION_TOKEN": "t"})
    assert "SESSION_TOKEN 't'" in own
    assert own.endswith("ENDPOINT 'minio:9000', URL_STYLE 'path', USE_SSL false)")
    both = s3_secret({"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_S3": "https://s3:2"})
    assert both.endswith("ENDPOINT 's3:2', URL_STYLE 'path', USE_SSL true)")


def test_a_ledger_that_went_away_is_told_from_a_wrong_statement() -> None:
    gone = sa.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError("connection refused"))
    assert is_disconnect(gone)
    shut_down = sa.exc.OperationalError("SELECT 1", {}, psycopg.errors.AdminShutdown("terminating"))
    assert is_disconnect(shut_down)
    assert is_disconnect(sa.exc.DBAPIError("SELECT 1", {}, Exception(), connection_invalidated=True))
    assert not is_disconnect(sa.exc.OperationalError("SELECT 1", {}, psycopg.errors.DiskFull("full")))
    assert not is_disconnect(sa.exc.ProgrammingError("SELEC", {}, psycopg.errors.SyntaxError("near SELEC")))
    assert not is_disconnect(ValueError("no"))
