import os
import stat
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import WrongUsage
from schemas.landing_columns import CASH, dtypes
from tasks.demo.book_reference import LEFT_OUT
from tasks.demo.book_types import TABLES, FileFormat
from tasks.demo.sample import CLAIM, MARKER, BookSummary, TableFile, make_book, read_market

AS_OF = date(2022, 12, 28)
FORMATS: tuple[FileFormat, ...] = ("parquet", "csv")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def out_of_band_share(folder: Path) -> float:
    """Share of active accounts out of band, by a computation of its own in floats."""
    read = {name: pl.read_parquet(folder / f"{name}.parquet") for name in TABLES}
    accounts = read["accounts"].filter(pl.col("status") == "active")
    value = pl.col("quantity").cast(pl.Float64) * pl.col("price_usd").cast(pl.Float64)
    priced = read["lots"].join(read["prices"], on="security_id").join(read["securities"], on="security_id")
    cash = read["cash"].join(accounts, on="account_id").with_columns(asset_class=pl.lit(CASH))
    money = (pl.col("settled_usd") + pl.col("pending_usd") - pl.col("cash_reserve_usd")).cast(pl.Float64)
    key = ["account_id", "asset_class"]
    values = pl.concat([priced.select(*key, usd=value), cash.select(*key, usd=money)]).group_by(key).sum()
    nav = values.group_by("account_id").agg(nav=pl.col("usd").sum())
    classes = accounts.join(read["model_targets"], on="model_id").join(values, on=key, how="left")
    drift = pl.col("usd").fill_null(0) / pl.col("nav") - pl.col("target_weight")
    band = pl.min_horizontal("absolute_band", pl.col("relative_band") * pl.col("target_weight"))
    breached = classes.join(nav, on="account_id").group_by("account_id").agg((drift.abs() > band).any().alias("is_out"))
    return float(breached["is_out"].sum() / breached.height)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BookSummary]:
    folder = tmp_path_factory.mktemp("book") / "landing"
    return folder, make_book(folder, account_count=3_000)


# Prices


def test_prices_are_real_and_end_where_all_of_them_do() -> None:
    market = read_market()
    assert market.as_of_date == AS_OF
    assert market.closes.shape == (8_313, 25)
    assert market.closes[-1, 0] == 125.674
    assert market.closes[0, 0] == 0.264
    assert market.dates[market.first_priced[-1]].astype(object) == date(2014, 1, 2)


def test_prices_are_read_without_importing_the_package_that_ships_them() -> None:
    text = "import sys; from tasks.demo.sample import read_market; read_market(); print('skfolio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_package_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(WrongUsage, match=r"not installed.*\n\nHint: pip install 'trimtab\[demo\]'"):
        read_market("no-such-distribution")


def test_a_package_without_the_price_files_is_refused() -> None:
    with pytest.raises(WrongUsage, match=r"sp500_dataset.csv.gz of polars"):
        read_market("polars")


# Content


def test_the_summary_says_what_the_files_hold(book: tuple[Path, BookSummary]) -> None:
    folder, summary = book
    assert summary.as_of_date == AS_OF
    assert summary.account_count == 3_000
    rows = {name: pl.read_parquet(folder / f"{name}.parquet").height for name in TABLES}
    assert dict(summary.row_counts) == rows
    assert summary.lot_count == rows["lots"]
    assert summary.broken_row_count > 0


@pytest.mark.parametrize("table", list(TABLES))
def test_columns_have_the_types_of_the_contract(book: tuple[Path, BookSummary], table: str) -> None:
    folder, _ = book
    extra = {"currency": pl.String()} if table == "accounts" else {}
    whole = {name: dtype for name, dtype in dtypes(table).items() if name not in LEFT_OUT}
    assert dict(pl.read_parquet_schema(folder / f"{table}.parquet")) == whole | extra


def test_a_night_has_a_story(book: tuple[Path, BookSummary]) -> None:
    folder, _ = book
    assert 0.25 < out_of_band_share(folder) < 0.45


def test_history_made_gains_and_losses_both(book: tuple[Path, BookSummary]) -> None:
    folder, _ = book
    lots = pl.read_parquet(folder / "lots.parquet").join(pl.read_parquet(folder / "prices.parquet"), on="security_id")
    is_loss = lots.select((pl.col("unit_cost_usd") > pl.col("price_usd")).mean()).item()
    assert 0.15 < is_loss < 0.5
    assert (lots["acquired_date"] < date(2000, 1, 1)).any()


# Files


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_request_gives_the_same_bytes(tmp_path: Path, file_format: FileFormat) -> None:
    for name in ("one", "two"):
        make_book(tmp_path / name, account_count=300, seed=5, file_format=file_format)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) == {f"{name}.{file_format}" for name in TABLES} | {MARKER}


def test_csv_says_what_parquet_says_but_for_the_unreadable_numbers(tmp_path: Path) -> None:
    summaries = [make_book(tmp_path / kind, account_count=2_000, file_format=kind) for kind in FORMATS]
    assert summaries[0] == summaries[1]
    for name in TABLES:
        typed = pl.read_parquet(tmp_path / "parquet" / f"{name}.parquet").write_csv().splitlines()
        text = (tmp_path / "csv" / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        unlike = [line for line, expected in zip(text, typed, strict=True) if line != expected]
        assert len(unlike) == (6 if name == "lots" else 0)
        assert all(any(word in line for word in ("n/a", '"1,000.00"', "NaN")) for line in unlike)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_table_written_in_pieces_reads_as_one(tmp_path: Path, file_format: FileFormat) -> None:
    path = tmp_path / f"t.{file_format}"
    with TableFile(path, file_format) as file:
        for numbers in ([1, 2], [3]):
            file.append(pl.DataFrame({"number": numbers}))
    read = pl.read_csv(path) if file_format == "csv" else pl.read_parquet(path)
    assert read["number"].to_list() == [1, 2, 3]
    assert file.rows == 3


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_book(tmp_path, account_count=5)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_only_the_owner_may_read_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_book(tmp_path / "book", account_count=5)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "book").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "book").iterdir()} == {0o600}


def test_a_book_already_made_is_left_as_it_is(tmp_path: Path) -> None:
    first = make_book(tmp_path, account_count=20)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert make_book(tmp_path, account_count=20) == first
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_another_request_replaces_the_book_and_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    make_book(tmp_path / "again", account_count=20, seed=1)
    make_book(tmp_path / "again", account_count=30, seed=2, file_format="csv")
    make_book(tmp_path / "fresh", account_count=30, seed=2, file_format="csv")
    assert contents(tmp_path / "again") == contents(tmp_path / "fresh")


@pytest.mark.parametrize("damage", ["no marker", "spoiled marker", "half a marker", "a table gone", "interrupted"])
def test_a_damaged_or_unfinished_book_is_made_again(tmp_path: Path, damage: str) -> None:
    make_book(tmp_path, account_count=20)
    whole = contents(tmp_path)
    marker = tmp_path / MARKER
    match damage:
        case "no marker":
            marker.rename(tmp_path / CLAIM)
        case "spoiled marker":
            marker.write_text("{", encoding="utf-8")
        case "half a marker":
            marker.write_text('{"summary": {"as_of_date": "2022-12-28"}}', encoding="utf-8")
        case "a table gone":
            (tmp_path / "cash.parquet").unlink()
        case "interrupted":
            marker.rename(tmp_path / CLAIM)
            (tmp_path / "lots.parquet").write_bytes(whole["lots.parquet"][:100])
            (tmp_path / "trades.parquet").unlink()
    make_book(tmp_path, account_count=20)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("name", ["lots.csv", "accounts.parquet", "cash.csv.gz"])
def test_tables_of_somebody_else_are_not_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(WrongUsage, match=f"holds {name}, not written by the sample book"):
        make_book(tmp_path, account_count=5)
    assert contents(tmp_path) == {name: b"mine"}


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "lots.notes.txt").write_text("mine", encoding="utf-8")
    make_book(tmp_path, account_count=5)
    make_book(tmp_path, account_count=6)
    assert (tmp_path / "lots.notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("count", "seed", "message"), [(0, 1, "0 accounts"), (-3, 1, "-3 accounts"), (5, -1, "seed is -1")]
)
def test_numbers_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path: Path, count: int, seed: int, message: str
) -> None:
    with pytest.raises(WrongUsage, match=message):
        make_book(tmp_path / "book", account_count=count, seed=seed)
    assert not (tmp_path / "book").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "book").write_text("mine", encoding="utf-8")
    with pytest.raises(WrongUsage, match="is a file"):
        make_book(tmp_path / "book", account_count=5)
