"""Writes the sample book: a landing folder of accounts on real daily prices.

The prices come from data files in the wheel of ``skfolio`` (20 US stocks from 1990, five factor funds from 2014, both to the
end of 2022), which are read without importing it. They are adjusted for splits and dividends, so that an old price is
lower than the one that was paid: gains are those of total return.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import IO, Final

import polars as pl
import pyarrow.parquet as pq

from schemas.errors import WrongUsage
from schemas.landing_columns import LANDING
from tasks.demo.book import book_parts
from tasks.demo.book_investors import glide_paths, ladder
from tasks.demo.book_reference import SYMBOLS, reference_tables
from tasks.demo.book_types import TABLES, DailyCloses, FileFormat
from tasks.formats import ENDINGS
from tasks.runtime import wheel_file

DEFAULT_SEED: Final = 20221228
MARKER: Final = "book.json"
"""Names the request that made the folder, and what came of it; written last."""
CLAIM: Final = "book.json.part"
"""Stands in the folder while the book is being written."""
BOOK_VERSION: Final = 3
"""Raised whenever the same request gives another book than before."""
ROW_GROUP_ROWS: Final = 250_000
PRICE_FILES: Final = ("sp500_dataset.csv.gz", "factors_dataset.csv.gz")


@dataclass(frozen=True)
class BookSummary:
    """What a sample book holds. ``broken_row_count``: rows spoiled on purpose, and cash rows left out."""

    as_of_date: date
    account_count: int
    lot_count: int
    row_counts: Mapping[str, int]
    broken_row_count: int


def make_book(
    folder: Path, *, account_count: int, seed: int = DEFAULT_SEED, file_format: FileFormat = "parquet"
) -> BookSummary:
    """Write every landing table of a sample book, unless the folder holds that very book already.

    Parameters
    ----------
    folder
        Landing folder, made if missing; only its owner may read it. An earlier sample book in it is replaced.
    account_count
        At least 1. A million accounts have some twenty million lots.
    seed
        Not negative. The same request gives the same bytes.
    file_format
        ``csv`` has a few unreadable numbers that Parquet, which is typed, cannot have.

    Raises
    ------
    WrongUsage
        A number does not fit, the prices are not installed, or the folder holds tables that are not a sample book.
    """
    _require(account_count >= 1, f"a book of {account_count} accounts\n\nHint: ask for one account at least.")
    _require(seed >= 0, f"the seed is {seed}\n\nHint: seeds are whole numbers from 0.")
    request = {"version": BOOK_VERSION, "account_count": account_count, "seed": seed, "file_format": file_format}
    made = _made_before(folder, request)
    if made is not None:
        return made
    market = read_market()
    _clear(folder)
    summary = _write(folder, market, account_count=account_count, seed=seed, file_format=file_format)
    _mark(folder, request, summary)
    return summary


def read_market(package: str = "skfolio") -> DailyCloses:
    """Daily closes of every security from the first stock price to the last date that all of them have.

    Parameters
    ----------
    package
        The installed distribution that brings the price files.

    Raises
    ------
    WrongUsage
        ``skfolio`` is not installed, or its data files have moved.
    """
    stocks, funds = (_read_prices(package, name) for name in PRICE_FILES)
    last = min(stocks["Date"].max(), funds["Date"].max())  # type: ignore[type-var]
    closes = stocks.join(funds, on="Date", how="left").filter(pl.col("Date") <= last).sort("Date")
    return DailyCloses(
        dates=closes["Date"].to_numpy().astype("datetime64[D]"),
        closes=closes.select(SYMBOLS).cast(pl.Float64).to_numpy(),
    )


class TableFile(AbstractContextManager["TableFile"]):
    """One landing table being written, frame by frame; only its owner may read the file."""

    def __init__(self, path: Path, file_format: FileFormat) -> None:
        self.rows = 0
        self._file: IO[bytes] = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._file_format = file_format
        self._parquet: pq.ParquetWriter | None = None

    def append(self, frame: pl.DataFrame) -> None:
        """Write the frame behind what is there; the first one decides on columns and types."""
        if self._file_format == "csv":
            frame.write_csv(self._file, include_header=self._file.tell() == 0)
        else:
            table = frame.to_arrow()
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(self._file, table.schema, compression="zstd")
            self._parquet.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self.rows += frame.height

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        if self._parquet is not None:
            self._parquet.close()
        self._file.close()


def _write(folder: Path, market: DailyCloses, *, account_count: int, seed: int, file_format: FileFormat) -> BookSummary:
    broken = 0
    with ExitStack() as stack:
        files = {name: stack.enter_context(TableFile(folder / f"{name}.{file_format}", file_format)) for name in TABLES}
        firms = {**reference_tables(market), "ladder": ladder(market), "glide_paths": glide_paths()}
        for name, frame in firms.items():
            files[name].append(frame)
        for part in book_parts(market, account_count=account_count, seed=seed, is_text=file_format == "csv"):
            broken += part.broken_row_count
            for name, frame in part.tables.items():
                files[name].append(frame)
        rows = {name: file.rows for name, file in files.items()}
    return BookSummary(market.as_of_date, account_count, rows["lots"], rows, broken)


def _made_before(folder: Path, request: Mapping[str, object]) -> BookSummary | None:
    path = folder / MARKER
    if not path.is_file():
        return None
    try:
        marker = json.loads(path.read_text(encoding="utf-8"))
        made = BookSummary(**{**marker["summary"], "as_of_date": date.fromisoformat(marker["summary"]["as_of_date"])})
    except (ValueError, KeyError, TypeError):
        return None
    is_whole = all((folder / f"{name}.{request['file_format']}").is_file() for name in TABLES)
    return made if marker.get("request") == request and is_whole else None


def _clear(folder: Path) -> None:
    """Make the folder ours and remove an earlier sample book; tables that somebody else put there stay."""
    _require(not folder.is_file(), f"{folder} is a file\n\nHint: name a folder to write the book into.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    tables = list(_tables_in(folder))
    is_ours = not tables or any((folder / name).exists() for name in (MARKER, CLAIM))
    _require(
        is_ours,
        f"{folder} holds {', '.join(path.name for path in tables)}, not written by the sample book\n\n"
        "Hint: choose another folder, or move these files away.",
    )
    folder.chmod(0o700)
    (folder / CLAIM).touch(mode=0o600)
    for path in (folder / MARKER, *tables):
        path.unlink(missing_ok=True)


def _tables_in(folder: Path) -> Iterator[Path]:
    """Files that a reader of the folder would take for landing tables."""
    names = {f"{table}{ending}" for table in LANDING for ending in ENDINGS}
    return (path for path in sorted(folder.iterdir()) if path.name in names)


def _mark(folder: Path, request: Mapping[str, object], summary: BookSummary) -> None:
    facts = asdict(summary) | {"as_of_date": summary.as_of_date.isoformat()}
    text = json.dumps({"request": request, "summary": facts}, indent=2) + "\n"
    (folder / CLAIM).write_text(text, encoding="utf-8")
    (folder / CLAIM).rename(folder / MARKER)


def _read_prices(package: str, name: str) -> pl.DataFrame:
    content = wheel_file(
        package,
        f"{package}/datasets/data/{name}",
        what="the sample book's prices",
        hint="pip install 'trimtab[demo]' brings them.",
    )
    return pl.read_csv(content, try_parse_dates=True)


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not condition:
        raise WrongUsage(message)
