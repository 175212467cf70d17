"""The lake: replacing twice is replacing once, half a write is no write, and several processes write at once."""

import errno
import stat
import weakref
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path

import duckdb
import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.errors import LakeBusy
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.stored import INTERNAL, TABLES
from schemas.tables import PUBLIC, RUN_COLUMNS
from warehouse.faults.engine_errors import is_passing
from warehouse.lake import attach
from warehouse.lake.attach import ATTEMPTS, retry_conflicts
from warehouse.lake.lake import Lake, open_lake
from warehouse.lake.sharing import Sharing
from warehouse.lake.snapshots import past_of

RUN = RunRef("monday", date(2026, 3, 2), RunKind.NIGHTLY, 2)
OTHER = RunRef("tuesday", date(2026, 3, 3), RunKind.NIGHTLY, 1)
CONFLICT = duckdb.TransactionException("TransactionContext Error: Transaction conflict on commit")


USED = ("account_drift", "account_outcomes", "gate", "scope", "orders", "lot_relief")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("lake") / "it's home")


@pytest.fixture
def lake(settings: Settings) -> Lake:
    """One lake for all tests, because making its tables takes a second; empty at the start of each."""
    lake = open_lake(settings)
    for run in (RUN, OTHER):
        lake.load(run, USED, [])
    return lake


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each wait would have been."""
    waits: list[float] = []
    monkeypatch.setattr(attach.time, "sleep", waits.append)
    return waits


def outcomes(*accounts: str, outcome: str = "in_band") -> pl.DataFrame:
    return pl.DataFrame({"account_id": accounts, "outcome": outcome, "reason": None}, schema=PUBLIC["account_outcomes"])


def gate(*accounts: str) -> pl.DataFrame:
    return pl.DataFrame({"account_id": accounts, "outcome": "quarantined", "reason": "lots"}, schema=INTERNAL["gate"])


def accounts_in(lake: Lake, run: RunRef = RUN, shard: int | None = None, table: str = "account_outcomes") -> list[str]:
    return lake.read(table, run.run_id, shard)["account_id"].sort().to_list()


def test_what_is_written_is_read(lake: Lake) -> None:
    rows = pl.DataFrame(
        {"account_id": ["A1", "A2"], "nav_usd": [Decimal("12345678901234567890.123456"), Decimal(-1)]}
        | {"one_way_drift": [0.1 + 0.2, None], "max_abs_drift": [-0.0, 5e-324], "triggers": ["drift|cash", ""]},
        schema=PUBLIC["account_drift"],
    )
    assert lake.replace(RUN, 0, {"account_drift": rows}) == 2
    read = lake.read("account_drift", RUN.run_id)
    assert read.schema == rows.schema
    assert read.sort("account_id").rows() == rows.rows()


def test_an_empty_table_has_its_columns_and_types(lake: Lake) -> None:
    for table, columns in TABLES.items():
        read = lake.read(table, "nobody")
        assert read.height == 0
        assert read.schema == pl.Schema({name: kind for name, kind in columns.items() if name not in RUN_COLUMNS})


def test_columns_can_be_chosen(lake: Lake) -> None:
    lake.replace(RUN, 0, {"account_outcomes": outcomes("A1")})
    assert lake.read("account_outcomes", RUN.run_id, columns=("outcome",)).to_dicts() == [{"outcome": "in_band"}]


def test_replacing_twice_is_replacing_once(lake: Lake) -> None:
    for _ in range(2):
        lake.replace(RUN, 0, {"account_outcomes": outcomes("A1", "A2")})
    assert accounts_in(lake) == ["A1", "A2"]


def test_what_is_not_delivered_again_is_gone(lake: Lake) -> None:
    lake.replace(RUN, 0, {"account_outcomes": outcomes("A1", "A2")})
    lake.replace(RUN, 0, {"account_outcomes": outcomes("A2", outcome="frozen")})
    assert lake.read("account_outcomes", RUN.run_id).rows() == [("A2", "frozen", None)]
    lake.replace(RUN, 0, {"account_outcomes": outcomes()})
    assert accounts_in(lake) == []


def test_other_shards_runs_and_tables_stay(lake: Lake) -> None:
    lake.replace(RUN, 0, {"account_outcomes": outcomes("A1"), "gate": gate("A1")})
    lake.replace(RUN, 1, {"account_outcomes": outcomes("A2")})
    lake.replace(OTHER, 0, {"account_outcomes": outcomes("A3")})

    lake.replace(RUN, 0, {"account_outcomes": outcomes("A4")})

    assert (accounts_in(lake, shard=0), accounts_in(lake, shard=1)) == (["A4"], ["A2"])
    assert accounts_in(lake) == ["A2", "A4"]
    assert accounts_in(lake, OTHER) == ["A3"]
    assert accounts_in(lake, table="gate") == ["A1"]


def test_half_a_write_is_no_write(lake: Lake, settings: Settings) -> None:
    lake.replace(RUN, 0, {"account_outcomes": outcomes("A1"), "gate": gate("A1")})
    spoilt = gate("A2").with_columns(reason=pl.lit(1.5)).drop("account_id")

    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        lake.replace(RUN, 0, {"account_outcomes": outcomes("A2"), "gate": spoilt})

    for one in (lake, open_lake(settings)):
        assert accounts_in(one) == ["A1"]
        assert accounts_in(one, table="gate") == ["A1"]
    assert lake.replace(RUN, 0, {"account_outcomes": outcomes("A3")}) == 1
    assert accounts_in(lake) == ["A3"]


def test_half_a_load_is_no_load(lake: Lake) -> None:
    def batches(*, is_broken: bool) -> object:
        yield "scope", pl.DataFrame({"account_id": ["A1"], "shard": [0]})
        if is_broken:
            raise OSError("the source went away")
        yield "scope", pl.DataFrame({"account_id": ["A2"], "shard": [1]})

    assert lake.load(RUN, ["scope", "gate"], batches(is_broken=False)) == 2  # type: ignore[arg-type]
    with pytest.raises(OSError, match="the source went away"):
        lake.load(RUN, ["scope", "gate"], batches(is_broken=True))  # type: ignore[arg-type]
    assert accounts_in(lake, table="scope") == ["A1", "A2"]
    assert accounts_in(lake, table="scope", shard=1) == ["A2"]


def test_a_load_holds_one_batch_at_a_time(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that is registered within a transaction is kept until it ends: a night's pull held the whole book."""
    given: list[weakref.ref[object]] = []
    as_arrow = pl.DataFrame.to_arrow

    def watched(frame: pl.DataFrame) -> object:
        table = as_arrow(frame)
        given.append(weakref.ref(table))
        return table

    monkeypatch.setattr(pl.DataFrame, "to_arrow", watched)

    def batches() -> Iterator[tuple[str, pl.DataFrame]]:
        for number in range(5):
            yield "scope", pl.DataFrame({"account_id": [f"A{number}"], "shard": [0]})
            assert [one() for one in given] == [None] * (number + 1)

    assert lake.load(RUN, ["scope"], batches()) == 5


def test_loading_twice_is_loading_once_and_clears_tables_without_rows(lake: Lake) -> None:
    lake.replace(RUN, 0, {"gate": gate("A9")})
    for _ in range(2):
        lake.load(RUN, ["scope", "gate"], [("scope", pl.DataFrame({"account_id": ["A1"], "shard": [0]}))])
    assert accounts_in(lake, table="scope") == ["A1"]
    assert accounts_in(lake, table="gate") == []


def test_each_write_notes_its_run_and_one_that_changes_nothing_makes_no_snapshot(
    lake: Lake, settings: Settings
) -> None:
    with past_of(settings) as past:
        before = len(past.snapshots)
    lake.replace(RUN, 0, {"account_outcomes": outcomes("A1")})
    lake.replace(RUN, 0, {"gate": gate()})
    lake.load(OTHER, ["scope"], [("scope", pl.DataFrame({"account_id": ["A1"], "shard": [0]}))])
    lake._cursor.execute("DELETE FROM lake.scope")
    with past_of(settings) as past:
        assert [one.run_id for one in past.snapshots[before:]] == [RUN.run_id, OTHER.run_id, None]


def test_a_writer_that_lost_the_race_tries_again(lake: Lake, settings: Settings, no_waiting: list[float]) -> None:
    """Two cursors of one process delete the same rows; the second to commit is refused by DuckDB and starts over."""
    lake.replace(RUN, 0, {"account_outcomes": outcomes("A1")})
    rival = open_lake(settings)

    class Overtaken(Lake):
        overtakes = 1

        def _insert(self, table: str, frame: pl.DataFrame, run: RunRef) -> None:
            if self.overtakes:
                self.overtakes -= 1
                rival.replace(RUN, 0, {"account_outcomes": outcomes("A2")})
            super()._insert(table, frame, run)

    Overtaken(open_lake(settings)._attachment, Sharing()).replace(RUN, 0, {"account_outcomes": outcomes("A3")})

    assert len(no_waiting) == 1
    assert accounts_in(lake) == ["A3"]


def test_a_load_that_lost_the_race_says_that_it_may_succeed_later(lake: Lake, settings: Settings) -> None:
    lake.replace(RUN, 0, {"scope": pl.DataFrame({"account_id": ["A1"]})})
    rival = open_lake(settings)

    def batches() -> object:
        rival.replace(RUN, 0, {"scope": pl.DataFrame({"account_id": ["A2"]})})
        yield "scope", pl.DataFrame({"account_id": ["A3"], "shard": [0]})

    with pytest.raises(LakeBusy, match="being written by others\n\nHint: try again"):
        lake.load(RUN, ["scope"], batches())  # type: ignore[arg-type]
    assert accounts_in(lake, table="scope") == ["A2"]


def test_a_load_whose_rows_cannot_be_read_does_not_blame_the_lake(lake: Lake) -> None:
    def batches() -> object:
        raise PermissionError(errno.EACCES, "of a source")
        yield

    with pytest.raises(PermissionError, match="of a source"):
        lake.load(RUN, ["scope"], batches())  # type: ignore[arg-type]


def test_a_conflict_is_tried_again_ever_more_slowly_and_then_told(no_waiting: list[float]) -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise CONFLICT

    with pytest.raises(LakeBusy, match="tried again several times"):
        retry_conflicts(work)
    assert len(calls) == ATTEMPTS
    assert len(no_waiting) == ATTEMPTS - 1
    assert max(no_waiting[:1]) < min(no_waiting[-1:])


def test_what_cannot_pass_is_not_tried_again(no_waiting: list[float]) -> None:
    def work() -> None:
        raise duckdb.CatalogException("Table with name x does not exist")

    with pytest.raises(duckdb.CatalogException):
        retry_conflicts(work)
    assert no_waiting == []


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("TransactionContext Error: Failed to commit: Failed to commit DuckLake transaction", True),
        ("IO Error: database is locked", True),
        ("Attempting to fetch from an unsuccessful query result\nError: Current transaction is aborted", True),
        ("Binder Error: column x not found", False),
    ],
)
def test_what_may_pass_is_told_by_its_message(text: str, passes: bool) -> None:  # noqa: FBT001
    assert is_passing(duckdb.Error(text)) is passes


def write_shard(home: str, shard: int) -> int:
    """In a process of its own: three times its shard, in two tables."""
    one = open_lake(Settings(home=Path(home)))
    names = [f"{shard}-{number}" for number in range(20)]
    for _ in range(3):
        one.replace(RUN, shard, {"account_outcomes": outcomes(*names), "gate": gate(*names)})
    return len(accounts_in(one, shard=shard))


def test_processes_write_different_shards_at_once(tmp_path: Path) -> None:
    """Also the first opening of all, which makes the tables, is a race."""
    settings = Settings(home=tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(write_shard, [str(settings.home)] * 2, range(2))) == [20, 20]
    lake = open_lake(settings)
    expected = sorted(f"{shard}-{number}" for shard in range(2) for number in range(20))
    assert accounts_in(lake) == expected
    assert accounts_in(lake, table="gate") == expected


def test_the_lake_is_for_its_owner_alone(lake: Lake, settings: Settings) -> None:
    lake.replace(RUN, 0, {"gate": gate("A1")})
    for folder in (settings.home / "lake", settings.home / "lake" / "data"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_threads_have_cursors_of_their_own_on_one_connection(settings: Settings) -> None:
    one, two = open_lake(settings), open_lake(settings)
    one.replace(RUN, 0, {"gate": gate("A1")})
    assert one._cursor is not two._cursor
    assert accounts_in(two, table="gate") == ["A1"]


def test_orders_of_some_proposals_say_whether_their_lots_lose(lake: Lake) -> None:
    orders = pl.DataFrame(
        {
            "order_id": ["1", "2", "3", "4"],
            "proposal_id": ["p", "p", "p", "other"],
            "account_id": ["a", "a", "a", "b"],
            "security_id": ["S", "B", "C", "S"],
            "side": ["sell", "sell", "buy", "sell"],
            "quantity": [Decimal(3), Decimal(1), Decimal(2), Decimal(9)],
        }
    )
    relief = pl.DataFrame(
        {"order_id": ["1", "1", "2", "4"], "gain_usd": [Decimal(-5), Decimal(4), None, Decimal(-1)]},
        schema={"order_id": pl.String, "gain_usd": pl.Decimal(38, 6)},
    )
    empty = {name: pl.DataFrame(schema=PUBLIC[name]) for name in ("orders", "lot_relief")}
    lake.replace(RUN, 0, {
        "orders": pl.concat([empty["orders"], orders.cast({"quantity": pl.Decimal(18, 6)})], how="diagonal"),
        "lot_relief": pl.concat([empty["lot_relief"], relief], how="diagonal"),
    })  # fmt: skip
    found = lake.orders_of(RUN.run_id, pl.Series(["p"])).sort("order_id")
    assert found.select("order_id", "account_id", "security_id", "side", "quantity", "is_loss").rows() == [
        ("1", "a", "S", "sell", Decimal(3), True),
        ("2", "a", "B", "sell", Decimal(1), False),
        ("3", "a", "C", "buy", Decimal(2), False),
    ]
    assert lake.orders_of(OTHER.run_id, pl.Series(["p"])).is_empty()
