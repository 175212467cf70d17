"""The two formats that ship as examples: their sample files, and random books written in them and read back."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.errors import InputRefused
from tasks.core.gate.rows import check_table
from tasks.formats.load import load_format
from tasks.formats.read import sequence_of
from tasks.sources.fetched_file import FetchedFile
from tests.support.format_files import file_of, rows_of

HERE = Path(__file__).parent
DELIMITED, FIXED = load_format("delimited-example"), load_format("fixed-example")
SAMPLES = {"delimited-example": "HOLD_20260105.txt", "fixed-example": "HOLDINGS.20260105"}
SIX = Decimal("0.000001")
Lot = tuple[str, str, int, Decimal, Decimal | None, date | None]
"""Account, security, number of the lot, quantity, cost of the whole lot, day."""


@dataclass(frozen=True)
class Book:
    """Lots and the cash of accounts, in the order of the file."""

    lots: list[Lot]
    cash: list[tuple[str, Decimal]]


NAMES = st.text(alphabet="ABCXYZ019-.", min_size=1, max_size=8).filter(lambda name: name not in {".", ".."})
CENTS = st.decimals(min_value=0, max_value=Decimal("999999999.99"), places=2)
"""Costs of which a thousandth of a share costs less than the 12 digits that a number may have."""
DAYS = st.dates(date(1900, 1, 1), date(2026, 1, 5))
LOTS = st.lists(
    st.tuples(
        NAMES,
        NAMES,
        st.integers(0, 9999),
        st.decimals(min_value="0.001", max_value=10**8, places=3),
        st.none() | CENTS,
        st.none() | DAYS,
    ),
    max_size=6,
)
CASH = st.lists(st.tuples(NAMES, st.decimals(min_value=-(10**9), max_value=10**9, places=2)), max_size=4)
BOOKS = st.builds(Book, LOTS, CASH)


def fund(security: str) -> str:
    return f'{security} | "fund"'


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def thousandths(book: Book) -> list[int]:
    return [int(quantity * 1000) for _, _, _, quantity, _, _ in book.lots]


def in_bars(book: Book) -> list[str]:
    """Names hold bars and quotes; costs are grouped in threes; cash below zero stands in parentheses."""
    lines = []
    for n, (account, security, lot, quantity, total, day) in enumerate(book.lots, 1):
        bought = f"{day:%m/%d/%Y}" if day else "00/00/0000"
        cost = "" if total is None else f"{total:,f}"
        start = f"POS|{n}|{account}|{security}|{quoted(fund(security))}|EQ|M|{lot}"
        lines.append(f"{start}|{bought}|{int(quantity * 1000)}|C|{cost}|2.50")
    for n, (account, settled) in enumerate(book.cash, len(lines) + 1):
        lines.append(f"CSH|{n}|{account}|" + (f"({-settled:,f})|0" if settled < 0 else f"{settled:f}|0"))
    return ["HDR|20260105|3", *lines, f"TRL|{len(lines)}|{sum(thousandths(book))}"]


def in_columns(book: Book) -> list[str]:
    """The same in fixed columns; a sign stands after its number."""
    lines = [
        f"D1{account:<12}{security:<8}{lot:04d}{f'{day:%Y%m%d}' if day else '0' * 8}{int(quantity * 1000):012d}+"
        f"{999_999_999_999 if total is None else int(total * 100):012d}USDL"
        for account, security, lot, quantity, total, day in book.lots
    ]
    for account, settled in book.cash:
        lines.append(f"D2{account:<32}{abs(int(settled * 100)):012d}{'-' if settled < 0 else '+'}{'':12}USDC")
    return ["H120260105000003", *lines, f"T1{len(lines) + 2:08d}{sum(thousandths(book)):012d}+"]


def unit_cost(quantity: Decimal, total: Decimal | None) -> Decimal | None:
    return None if total is None else (total / quantity).quantize(SIX, rounding=ROUND_HALF_EVEN)


def lots_of(rows: dict[str, pl.DataFrame]) -> list[tuple[object, ...]]:
    return rows["lots"].select(
        "account_id", "security_id", "lot_id", "quantity", "unit_cost_usd", "acquired_date", "unparsed"
    ).rows()  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_file_of_an_example_is_read(name: str) -> None:
    path = HERE / SAMPLES[name]
    fmt, file = load_format(name), FetchedFile("source", path.name, path, 0, "")
    rows = rows_of(fmt, file)
    assert sequence_of(fmt, file) == 17
    assert {table: frame.height for table, frame in rows.items()} == (
        {"lots": 3, "cash": 2, "securities": 2, "prices": 2} if name == "delimited-example" else {"lots": 3, "cash": 2}
    )
    assert [cost and float(cost) for cost in rows["lots"]["unit_cost_usd"]] == [201.5, None, 33.333333]
    assert [float(settled) for settled in rows["cash"]["settled_usd"]] == [1500.25, -12.4]
    assert all(check_table(table, frame).broken.is_empty() for table, frame in rows.items())


@settings(max_examples=50)
@given(BOOKS)
def test_a_book_written_with_bars_is_read_back(book: Book) -> None:
    with TemporaryDirectory() as folder:
        rows = rows_of(DELIMITED, file_of(Path(folder), in_bars(book)))
    assert lots_of(rows) == [(a, s, str(n), q, unit_cost(q, c), d, None) for a, s, n, q, c, d in book.lots]
    assert rows["cash"].select("account_id", "settled_usd").rows() == book.cash
    securities = list(dict.fromkeys(lot[1] for lot in book.lots))
    assert rows["securities"]["security_id"].to_list() == securities
    assert rows["securities"]["name"].to_list() == [fund(each) for each in securities]
    assert rows["prices"].select("security_id", "price_date").rows() == [
        (each, date(2026, 1, 5)) for each in securities
    ]


@settings(max_examples=50)
@given(BOOKS)
def test_a_book_written_in_columns_is_read_back(book: Book) -> None:
    with TemporaryDirectory() as folder:
        rows = rows_of(FIXED, file_of(Path(folder), in_columns(book)))
    assert lots_of(rows) == [
        (a, s, f"{f'{d:%Y%m%d}' if d else '0' * 8}-{n:04d}", q, unit_cost(q, c), d, None)
        for a, s, n, q, c, d in book.lots
    ]
    assert rows["cash"].select("account_id", "settled_usd").rows() == book.cash


@settings(max_examples=150)
@given(BOOKS, st.sampled_from(["bars", "columns"]), st.data())
def test_of_a_file_with_a_changed_line_every_record_is_accepted_or_set_aside_or_all_is_refused(
    book: Book, how: str, data: st.DataObject
) -> None:
    fmt, lines = (DELIMITED, in_bars(book)) if how == "bars" else (FIXED, in_columns(book))
    number = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[number]) - 1))
    change = data.draw(st.sampled_from(["", "|", '"', "x", "O", "-", " ", "\t", "é"]))
    changed = lines[number][:place] + change + lines[number][place + 1 :]
    assume(changed != lines[number])
    with TemporaryDirectory() as folder:
        file = file_of(
            Path(folder),
            "".join(f"{line}\n" for line in [*lines[:number], changed, *lines[number + 1 :]]).encode("cp1252"),
        )
        try:
            rows = rows_of(fmt, file)
        except InputRefused:
            return
    marks = {"POS": "lots", "CSH": "cash", "D1": "lots", "D2": "cash"}
    records = {(marks[line[: 3 if how == "bars" else 2]], at) for at, line in enumerate(lines[1:-1], 2)}
    landed = [(table, at) for table in ("lots", "cash") for at in rows[table]["row_number"]]
    assert sorted(landed) == sorted(records - dropped(changed, number + 1))


def dropped(changed: str, number: int) -> set[tuple[str, int]]:
    """A lot whose class became the one that the fixed example leaves out."""
    return {("lots", number)} if changed.startswith("D1") and changed.endswith("X") else set()


@settings(max_examples=100)
@given(BOOKS, st.sampled_from(["bars", "columns"]), st.data())
def test_a_letter_in_a_number_or_a_day_never_lands_as_a_sound_row(book: Book, how: str, data: st.DataObject) -> None:
    assume(book.lots)
    fmt, lines = (DELIMITED, in_bars(book)) if how == "bars" else (FIXED, in_columns(book))
    number = data.draw(st.integers(1, len(book.lots)))
    line = lines[number]
    start = line.index("|EQ|M|") + 6 if how == "bars" else 26
    start = line.index("|", start) + 1 if how == "bars" else start
    places = [at for at in range(start, len(line)) if line[at].isdigit()]
    place = data.draw(st.sampled_from(places))
    lines[number] = f"{line[:place]}x{line[place + 1 :]}"
    with TemporaryDirectory() as folder:
        file = file_of(Path(folder), lines)
        try:
            rows = rows_of(fmt, file)
        except InputRefused:
            return
    set_aside = {at for table, frame in rows.items() for at in check_table(table, frame).broken["row_number"]}
    assert number + 1 in set_aside
