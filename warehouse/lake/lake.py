"""The lake: bulk facts in DuckLake, written per run and shard, never changed after their run is closed.

Embedded, the catalogue is a SQLite file and the data are Parquet files in a folder; grown, PostgreSQL and S3. Only the two
addresses differ. Writing is delete and insert in one transaction, so that a step run twice is a step run once and half a
write is no write. Several processes may read and write at once. Each write makes a snapshot of the lake, which notes its run as
the commit's message (https://ducklake.select/docs/stable/duckdb/usage/snapshots), so that a replay finds it.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import duckdb
import polars as pl

from schemas.errors import LakeBusy
from schemas.landing_columns import SHARDED_TABLES
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.stored import TABLES
from warehouse.faults import disk_refusal, is_passing, is_stale, translate_damage
from warehouse.lake.attach import T, retry_conflicts, sql, transaction, why_not
from warehouse.lake.attachment import Attachment, attached, is_given_up
from warehouse.lake.sharing import Sharing
from warehouse.lake.tables import no_rows, run_places, with_run_columns

_attachments: dict[tuple[str, str], Attachment] = {}
_lock = threading.Lock()


def open_lake(settings: Settings) -> "Lake":
    """The lake at the settings' addresses, made or brought up to date first: all its tables with all their columns.

    The process attaches an address once; each call returns a cursor of its own, so threads may call freely.
    """
    key = (settings.lake_address, settings.lake_data_address)
    with _lock:
        attachment = _attachments.setdefault(key, Attachment(partial(attached, *key)))
    return Lake(attachment, Sharing.of(settings.lake_address))


@contextmanager
def lake_of_its_own(settings: Settings) -> Iterator["Lake"]:
    """As ``open_lake``, by a connection that nobody else uses and that is closed at the end: for a lake that is thrown away."""
    with closing(Attachment(partial(attached, settings.lake_address, settings.lake_data_address))) as attachment:
        yield Lake(attachment, Sharing.of(settings.lake_address))


@dataclass(frozen=True, slots=True)
class Copy:
    """Landed rows of an earlier run to be landed again, with ``shift`` added to their numbers."""

    table: str
    from_run: str
    first_row: int
    last_row: int
    shift: int


class Lake:
    """Reads and writes lake tables; one thread at a time."""

    def __init__(self, attachment: Attachment, sharing: Sharing) -> None:
        self._attachment, self._sharing = attachment, sharing
        self._cursor, self._filled = attachment.cursor()
        self._frames: dict[str, pl.DataFrame] = {}

    def read(self, table: str, run_id: str, shard: int | None = None, columns: tuple[str, ...] = ()) -> pl.DataFrame:
        """Rows of ``table`` of one run (of one shard where given), without the run columns; in no promised order."""
        return self._rows("read_rows", table, {"run_id": run_id, "shard": shard}, columns)

    def read_tables(
        self, columns: Mapping[str, tuple[str, ...]], run_id: str, shard: int | None = None
    ) -> dict[str, pl.DataFrame]:
        """``read`` of several tables at one moment; ``columns``: by table, none meaning all. One look at the catalogue for all."""

        def reading() -> dict[str, pl.DataFrame]:
            values = {"run_id": run_id, "shard": shard}
            with transaction(self._cursor):
                filled = self._filled.among(columns, self._cursor)
                return {
                    table: self._rows_once("read_rows", table, values, names)
                    if table in filled
                    else no_rows(table, names)
                    for table, names in columns.items()
                }

        return self._retried(reading)

    def read_account(self, table: str, run_id: str, account_id: str, columns: tuple[str, ...] = ()) -> pl.DataFrame:
        """Rows of ``table`` of one account in one run, without the run columns; in no promised order."""
        return self._rows("read_account", table, {"run_id": run_id, "account_id": account_id}, columns)

    def runs_of(self, account_id: str) -> dict[str, int]:
        """Runs with an outcome of the account, and the shard that has it."""
        statement = sql("account_runs")
        found = self._retried(lambda: self._fetch(statement, {"account_id": account_id}))
        return dict(found.sort("run_id").iter_rows())

    def _rows(
        self, statement: str, table: str, values: Mapping[str, str | int | None], columns: tuple[str, ...] = ()
    ) -> pl.DataFrame:
        def reading() -> pl.DataFrame:
            if not self._filled.among([table], self._cursor):
                return no_rows(table, columns)
            return self._rows_once(statement, table, values, columns)

        return self._retried(reading)

    def _rows_once(
        self, statement: str, table: str, values: Mapping[str, str | int | None], columns: tuple[str, ...]
    ) -> pl.DataFrame:
        schema = no_rows(table, columns).schema
        text = sql(statement).format(table=table, columns=", ".join(f'"{name}"' for name in schema))
        rows = self._fetch(text, values)
        return rows if rows.schema == schema else rows.cast(schema)

    def orders_of(self, run_id: str, proposals: pl.Series) -> pl.DataFrame:
        """Orders of the run's proposals named: ``order_id, proposal_id, account_id, security_id, side, quantity, amount_usd, is_loss, cost_usd``.

        ``is_loss``: a sell whose lots' gains sum below 0.
        """
        with self._registered(wanted=proposals.to_frame("proposal_id")):
            return self._retried(lambda: self._fetch(sql("orders_of"), {"run_id": run_id}))

    def last_accepted(self, runs: Sequence[str], accounts: pl.Series) -> pl.DataFrame:
        """Where the last accepted holdings of some accounts are: ``account_id, run_id, shard, accepted_date, is_carried``.

        ``runs``: the runs to look into, the newest last. An account that none of them accepted or carried has no row.
        """
        with self._registered(wanted=accounts.to_frame("account_id"), runs=run_places(runs)):
            return self._retried(lambda: self._fetch(sql("last_accepted"), {}))

    def last_known(self, runs: Sequence[str]) -> pl.DataFrame:
        """Where the newest rows of each account in some runs, the newest last, are: ``account_id, run_id, shard, custodian``."""
        with self._registered(runs=run_places(runs)):
            return self._retried(lambda: self._fetch(sql("last_known"), {}))

    def rows_of(
        self, table: str, run_id: str, shards: Sequence[int], accounts: pl.Series, columns: tuple[str, ...]
    ) -> pl.DataFrame:
        """Some columns of the rows of some accounts, which stand in the shards named; in no promised order."""
        names = ", ".join(f'"{name}"' for name in columns)
        text = sql("rows_of_accounts").format(table=table, columns=names)
        with self._registered(wanted=accounts.to_frame("account_id")):
            rows = self._retried(lambda: self._fetch(text, {"run_id": run_id, "shards": list(shards)}))
        return rows.cast({name: TABLES[table][name] for name in columns})

    def rows_of_securities(
        self, table: str, run_id: str, securities: pl.Series, columns: tuple[str, ...]
    ) -> pl.DataFrame:
        """Some columns of the rows of some securities; in no promised order."""
        text = sql("rows_of_securities").format(table=table, columns=", ".join(f'"{name}"' for name in columns))
        with self._registered(wanted=securities.to_frame("security_id")):
            rows = self._retried(lambda: self._fetch(text, {"run_id": run_id}))
        return rows.cast({name: TABLES[table][name] for name in columns})

    def figures(self, statement: str, **values: str | int | None) -> dict[str, Any]:
        """The one row of ``night_size`` or ``trade_sums``."""
        return self.rows_found(statement, None, **values).row(0, named=True)

    def rows_found(self, statement: str, of: Mapping[str, pl.DataFrame] | None = None, **values: Any) -> pl.DataFrame:
        """The rows of a statement, which reads the frames ``of`` by their names."""
        with self._registered(**(of or {})):
            return self._retried(lambda: self._fetch(sql(statement), values))

    def stray_rows(self, table: str, run_id: str) -> pl.DataFrame:
        """``account_id, raw`` and ``security_id``, or ``asset_class``, of landed rows whose account no source delivered, each once.

        ``raw`` where the account is in doubt.
        """
        columns = TABLES[f"landed_{table}"]
        about = next((f", r.{name}" for name in ("security_id", "asset_class") if name in columns), "")
        statement = sql("stray_rows").format(table=table, about=about)
        return self._retried(lambda: self._fetch(statement, {"run_id": run_id}))

    def has_rows(self, table: str, run_id: str, *, first_row: int, last_row: int, count: int) -> bool:
        """Whether a run has ``count`` rows of a landing table with numbers between the two."""
        values: dict[str, str | int] = {"run_id": run_id, "first_row": first_row, "last_row": last_row}
        found = self._retried(lambda: self._fetch(sql("landed_count").format(table=table), values))
        return int(found.item()) == count

    def held_prices(self, run_id: str) -> pl.DataFrame:
        """``security_id, price_usd, price_date`` of each security that the run's accounts hold."""
        return self._retried(lambda: self._fetch(sql("held_prices"), {"run_id": run_id}))

    def _retried(self, work: Callable[[], T]) -> T:
        """``work()``, while nobody takes rows out of the catalogue; again where another writer got in first."""

        def shared() -> T:
            with self._sharing.shared():
                return work()

        return retry_conflicts(shared, between=self._renew)

    def _renew(self, error: duckdb.Error | None = None) -> None:
        """Go on with another cursor where DuckDB has given up the database of this one, or what it remembers is not true any more."""
        if is_given_up(self._cursor) or (error is not None and is_stale(error)):
            self._cursor, self._filled = self._attachment.cursor(instead_of=self._filled)
            for name, frame in self._frames.items():
                self._cursor.register(name, frame.to_arrow())

    @contextmanager
    def _registered(self, **frames: pl.DataFrame) -> Iterator[None]:
        """Frames that statements may read by these names. Within a transaction DuckDB would keep them until it ends."""
        self._frames = frames
        for name, frame in frames.items():
            self._cursor.register(name, frame.to_arrow())
        try:
            yield
        finally:
            self._frames = {}
            with suppress(duckdb.FatalException):  # of a database that was given up nothing is left
                for name in frames:
                    self._cursor.unregister(name)

    def _fetch(self, statement: str, values: Mapping[str, str | int | list[int] | None]) -> pl.DataFrame:
        """By way of Arrow: ``sql(..., params=...).pl()`` was measured fifteen times slower."""
        text = self._filled.stood_in(statement, self._cursor)
        with translate_damage():
            frame = pl.from_arrow(self._cursor.execute(text, values).to_arrow_table())
        return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()

    def replace(self, run: RunRef, shard: int, frames: Mapping[str, pl.DataFrame]) -> int:
        """Make ``frames`` the only rows of their tables for this run and shard, all in one transaction; the rows written."""
        self._retried(lambda: self._replace(run, shard, frames))
        return sum(frame.height for frame in frames.values())

    def load(
        self,
        run: RunRef,
        tables: Iterable[str],
        batches: Iterable[tuple[str, pl.DataFrame]],
        copies: Callable[[], Sequence[Copy]] = tuple,
        shards: pl.DataFrame | None = None,
    ) -> int:
        """Make ``batches`` and ``copies`` the only rows of ``tables`` for this run, all in one transaction; the rows written.

        A batch carries its own ``shard`` column; it is stored sorted by it, so that reading a shard prunes. ``copies`` is
        asked when the batches have been read; rows of accounts go to the shards of ``shards`` (``account_id, shard``), as
        ``sql/copy_sharded.sql`` says.
        """
        rows = 0
        self._renew()
        try:
            given = {} if shards is None else {"shards": shards}
            with self._sharing.shared(), self._registered(**given), self._writing(run):
                self._delete("delete_run", tables, {"run_id": run.run_id})
                for table, frame in batches:
                    self._insert(table, frame.sort("shard", maintain_order=True), run)
                    rows += frame.height
                rows += sum(self._copy(run, each, is_sharded=shards is not None) for each in copies())
        except duckdb.Error as error:
            if is_passing(error):
                self._renew(error)
                raise LakeBusy(why_not(error)) from error
            if refusal := disk_refusal("the lake", error):
                raise refusal from error
            raise
        return rows

    @contextmanager
    def _writing(self, run: RunRef) -> Iterator[None]:
        """One transaction, whose snapshot names the run; it is said last, so that a long write locks nothing for it."""
        with transaction(self._cursor):
            yield
            self._cursor.execute(sql("name_snapshot"), {"run_id": run.run_id})

    def _copy(self, run: RunRef, copy: Copy, *, is_sharded: bool) -> int:
        values = {"run_id": run.run_id, "as_of": run.as_of_date.isoformat(), **asdict(copy)}
        del values["table"]
        if not is_sharded or copy.table not in SHARDED_TABLES:
            return _count(self._cursor.execute(sql("copy_common").format(table=copy.table), values))
        values |= {"has_common": copy.table == "restrictions"}
        return _count(self._cursor.execute(sql("copy_sharded").format(table=copy.table), values))

    def _delete(self, statement: str, tables: Iterable[str], key: Mapping[str, str | int]) -> None:
        for table in self._filled.among(tables, self._cursor):
            self._cursor.execute(sql(statement).format(table=table), key)

    def _insert(self, table: str, frame: pl.DataFrame, run: RunRef) -> None:
        """Append rows that DuckDB finds by the variable's name: registered, it would keep those of a whole night until they are committed (duckdb-python, issue 469)."""
        if frame.height:
            incoming = with_run_columns(frame, table, run).to_arrow()  # noqa: F841 - the statement reads it
            self._cursor.execute(sql("insert_shard").format(table=table))

    def _replace(self, run: RunRef, shard: int, frames: Mapping[str, pl.DataFrame]) -> None:
        key: dict[str, str | int] = {"run_id": run.run_id, "shard": shard}
        with self._writing(run):
            self._delete("delete_shard", frames, key)
            for table, frame in frames.items():
                self._insert(table, frame.with_columns(shard=pl.lit(shard, pl.Int32)), run)


def _count(inserted: duckdb.DuckDBPyConnection) -> int:
    """How many rows a statement inserted."""
    return int(inserted.fetchall()[0][0])
