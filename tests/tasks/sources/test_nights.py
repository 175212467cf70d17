"""The same book from a folder, PostgreSQL, S3, SFTP, Flex and OFX ends in the same proposals."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from adbc_driver_postgresql import dbapi

from schemas.landing_columns import dtypes
from schemas.settings import Settings
from schemas.sources import Source
from tasks.runtime.stores import open_ledger
from tests.support.landing_book import gated
from tests.support.night_book import landed_book
from tests.support.night_driver import as_bits, run_night
from tests.support.servers import ObjectStore, Postgres, Sshd
from tests.support.statements import flex_xml, ofx
from warehouse.lake.lake import open_lake
from warehouse.ledger import InputState

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

ACCOUNTS = 150
NAMED_AFTER_THE_RUN = ("proposal_id", "order_id", "content_hash")
COMPARED = ("account_outcomes", "proposals", "orders", "lot_relief", "class_reasons", "drift", "quarantine")
Book = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Sample:
    book: Book
    as_of: date


def as_delivered(tables: Book) -> dict[str, pl.DataFrame]:
    """Landing columns only, as a source has them."""
    return {table: rows.select(dtypes(table).keys()) for table, rows in tables.items()}


@pytest.fixture(scope="module")
def sample() -> Sample:
    """The sample book with its broken rows."""
    tables, as_of = landed_book(ACCOUNTS)
    return Sample(as_delivered(tables), as_of)


@pytest.fixture(scope="module")
def sound(sample: Sample) -> Sample:
    """Its sound accounts, as a statement can tell them: no lot is frozen, and none has a cost of 0, which would be unknown."""
    tables, _ = landed_book(ACCOUNTS)
    bad = gated(tables)[1].accounts
    free = sample.book["lots"].filter(pl.col("unit_cost_usd") == 0)
    book = {
        table: rows.join(bad, on="account_id", how="anti").join(free, on="account_id", how="anti")
        if table in {"accounts", "lots", "cash", "trades"}
        else rows
        for table, rows in sample.book.items()
    }
    known = book["accounts"].select("account_id")
    for table in ("lots", "cash", "trades"):
        book[table] = book[table].join(known, on="account_id", how="semi")
    book["lots"] = book["lots"].with_columns(is_frozen=pl.lit(None, pl.Boolean))
    return Sample(book, sample.as_of)


def written(folder: Path, book: Book, *, without: tuple[str, ...] = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in book.items():
        if table not in without:
            rows.write_parquet(folder / f"{table}.parquet")
    return folder


def answers(settings: Settings, source: Path | None, as_of: date) -> dict[str, pl.DataFrame]:
    """What the night comes to, without names that are made from the run's."""
    night = run_night(settings, source, as_of)
    assert night.counts["proposed"] > 10
    found = {table: open_lake(settings).read(table, night.run_id) for table in COMPARED}
    return {table: as_bits(rows.drop(NAMED_AFTER_THE_RUN, strict=False)) for table, rows in found.items()}


def assert_same(
    mine: dict[str, pl.DataFrame], theirs: dict[str, pl.DataFrame], *, but_for: tuple[str, ...] = ()
) -> None:
    for table in COMPARED:
        left, right = (rows[table].drop(but_for, strict=False) for rows in (mine, theirs))
        differs = [name for name in left.columns if not left[name].sort().equals(right[name].sort())]
        assert not differs, (table, left.select(differs), right.select(differs))
        assert left.sort(pl.all()).equals(right.sort(pl.all())), table


@pytest.fixture(scope="module")
def home_from_a_folder(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("folder") / "home")


@pytest.fixture(scope="module")
def from_a_folder(sample: Sample, home_from_a_folder: Settings) -> dict[str, pl.DataFrame]:
    landing = written(home_from_a_folder.home.with_name("landing"), sample.book)
    return answers(home_from_a_folder, landing, sample.as_of)


def test_the_same_objects_in_s3_are_the_same_run(
    s3: ObjectStore,
    sample: Sample,
    home_from_a_folder: Settings,
    from_a_folder: dict[str, pl.DataFrame],
    tmp_path: Path,
) -> None:
    bucket = s3.new_bucket()
    for path in written(tmp_path / "landing", sample.book).iterdir():
        s3.put(f"{bucket}/nights/{sample.as_of}/{path.name}", path.read_bytes())
    source = Source(name="bucket", url=f"s3://{bucket}/nights/{{as_of}}", endpoint=s3.endpoint)
    settings = Settings(home=tmp_path / "home", sources=(source,))
    assert_same(answers(settings, None, sample.as_of), from_a_folder)
    assert run_night(home_from_a_folder, tmp_path / "landing", sample.as_of) == run_night(settings, None, sample.as_of)


def test_the_same_files_over_sftp(
    sshd: Sshd, sample: Sample, from_a_folder: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    folder = written(tmp_path / "outgoing", sample.book)
    source = Source(name="bank", url=sshd.url(folder), known_hosts=str(sshd.known_hosts), key_file=str(sshd.key_file))
    assert_same(answers(Settings(home=tmp_path / "home", sources=(source,)), None, sample.as_of), from_a_folder)


def test_the_same_rows_from_postgresql(
    postgres: Postgres, sample: Sample, from_a_folder: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    database = postgres.new_database()
    with dbapi.connect(postgres.url(database), autocommit=True) as connection, connection.cursor() as cursor:
        for table, rows in sample.book.items():
            cursor.adbc_ingest(table, rows.sample(fraction=1, shuffle=True, seed=7).to_arrow())
    source = Source(name="book", url=postgres.url(database))
    settings = Settings(home=tmp_path / "home", sources=(source,))
    mine = answers(settings, None, sample.as_of)
    for table in COMPARED[:-1]:
        assert mine[table].equals(from_a_folder[table]), table
    assert mine["quarantine"]["broken_rules"].sort().equals(from_a_folder["quarantine"]["broken_rules"].sort())
    assert run_night(settings, None, sample.as_of).run_id == newest_run(settings)


def newest_run(settings: Settings) -> str:
    with closing(open_ledger(settings)) as ledger:
        (row,) = ledger.runs.list_runs()
    return row.run_id


def test_what_a_pull_took_is_on_record(postgres: Postgres, sample: Sample, tmp_path: Path) -> None:
    """Positions from a folder, models and policies from PostgreSQL."""
    database, models = postgres.new_database(), ("model_targets", "policies", "buy_list", "households")
    with dbapi.connect(postgres.url(database), autocommit=True) as connection, connection.cursor() as cursor:
        for table in models:
            cursor.adbc_ingest(table, sample.book[table].to_arrow())
    folder = written(tmp_path / "landing", sample.book, without=models)
    sources = (Source(name="book", url=postgres.url(database)), Source(name="custody", url=str(folder)))
    settings = Settings(home=tmp_path / "home", sources=sources)
    run_night(settings, None, sample.as_of)
    with closing(open_ledger(settings)) as ledger:
        rows = ledger.inputs.inputs_of(newest_run(settings))
    assert {row.table_name: (row.source, row.row_count, row.state) for row in rows} == {
        table: ("book" if table in models else "custody", frame.height, InputState.READ)
        for table, frame in sample.book.items()
    }
    assert {row.name for row in rows if row.source == "book"} == {f"public.{table}" for table in models}
    assert all(len(row.sha256) == 64 and row.size_bytes > 0 for row in rows)


def statement_night(
    home: Path, sample: Sample, kind: str, text: str, tables: tuple[str, ...]
) -> dict[str, pl.DataFrame]:
    """The night with some tables from a statement and the others from a folder."""
    rest = written(home / "rest", sample.book, without=tables)
    statements = home / "statements"
    statements.mkdir()
    (statements / f"all-{sample.as_of:%Y%m%d}.{'xml' if kind == 'flex' else 'ofx'}").write_text(text, encoding="utf-8")
    sources = (
        Source(name="book", url=str(rest)),
        Source(name="broker", url=str(statements), format=kind, tables=tables),
    )
    return answers(Settings(home=home / "home", sources=sources), None, sample.as_of)


def test_the_same_book_from_flex_statements(sound: Sample, tmp_path: Path) -> None:
    theirs = answers(Settings(home=tmp_path / "home"), written(tmp_path / "landing", sound.book), sound.as_of)
    text = flex_xml(sound.book, sound.as_of)
    mine = statement_night(tmp_path / "flex", sound, "flex", text, ("lots", "cash", "trades"))
    assert_same(mine, theirs, but_for=("lot_id",))


def test_the_same_book_from_ofx_statements(sound: Sample, tmp_path: Path) -> None:
    """A book of holdings without lots, and of cash without what is under way: what OFX can say. Nobody counts lots then."""
    held = sound.book["lots"].group_by("account_id", "security_id", maintain_order=True).agg(pl.col("quantity").sum())
    lots = held.with_columns(
        lot_id=pl.lit("CASH"),
        unit_cost_usd=pl.lit(None, dtypes("lots")["unit_cost_usd"]),
        acquired_date=pl.lit(None, pl.Date),
        is_frozen=pl.lit(None, pl.Boolean),
    )
    pending = pl.lit(0).cast(dtypes("cash")["pending_usd"])
    book = {
        **{table: rows for table, rows in sound.book.items() if table != "account_totals"},
        "lots": lots.select(dtypes("lots").keys()),
        "cash": sound.book["cash"].with_columns(pending_usd=pending),
    }
    plain = Sample(book, sound.as_of)
    theirs = answers(Settings(home=tmp_path / "home"), written(tmp_path / "landing", book), sound.as_of)
    mine = statement_night(tmp_path / "ofx", plain, "ofx", ofx(book, sound.as_of), ("lots", "cash", "trades"))
    assert_same(mine, theirs, but_for=("lot_id",))
