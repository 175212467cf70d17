"""Amounts under a cent of other currencies, as landing tables, mapped files, Flex and OFX have them."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.landing_columns import dtypes
from schemas.settings import Settings
from tasks.formats.contract_file import RawTable
from tasks.pull.inputs import take
from tasks.pull.reading import parse_raw, raw_tables
from tasks.pull.residues import CURRENCIES, without_residues
from tests.support.landing_book import AS_OF, sound_book, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake

FLEX_CASH = '<CashReportCurrency currency="{}" endingCash="{}" endingSettledCash="{}" />'
OFX = """<?xml version="1.0"?><?OFX OFXHEADER="200" VERSION="211" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>
<OFX><INVSTMTMSGSRSV1>{}</INVSTMTMSGSRSV1></OFX>"""
"""A statement for each account."""
STATEMENT = """<INVSTMTTRNRS><TRNUID>1</TRNUID><STATUS><CODE>0</CODE><SEVERITY>INFO</SEVERITY></STATUS><INVSTMTRS>
<DTASOF>20260105</DTASOF><CURDEF>{}</CURDEF><INVACCTFROM><BROKERID>b</BROKERID><ACCTID>{}</ACCTID></INVACCTFROM>
<INVPOSLIST></INVPOSLIST><INVBAL><AVAILCASH>{}</AVAILCASH><MARGINBALANCE>0</MARGINBALANCE><SHORTBALANCE>0</SHORTBALANCE></INVBAL>
</INVSTMTRS></INVSTMTTRNRS>"""
MAPPING = """
name = "small"
kind = "delimited"
files = "*.txt"
separator = "|"
decimal = ","
[[records]]
kind = "CSH"
fields = { account = 1, currency = 2, settled = 3 }
[[tables]]
table = "cash"
records = "CSH"
[tables.columns]
account_id = { field = "account" }
settled_usd = { field = "settled", number = "signed" }
pending_usd = { value = "0" }
currency = { field = "currency" }
"""


def rows(*cells: tuple[Any, ...], dtype: Any = pl.String) -> RawTable:
    """Cash in cells of a type: account, settled, pending, currency."""
    types = {"account_id": pl.String, "settled_usd": dtype, "pending_usd": dtype, "currency": pl.String}
    return RawTable("cash", pl.DataFrame(list(cells), schema=types, orient="row"), is_text=dtype == pl.String)


def kept(raw: RawTable) -> list[tuple[int, str | None]]:
    """Row number and what cannot be read of each row that stays."""
    return parse_raw(without_residues(raw, "f")).select("row_number", "unparsed").rows()


@pytest.mark.parametrize("amount", ["0.003", "-0.00999", "0", "0.00", ".009", "9e-3", " 0.0000000001 ", "-0.0"])
@pytest.mark.parametrize("currency", ["EUR", "jpy", " CHF "])
def test_less_than_a_cent_of_another_currency_counts_for_nothing(amount: str, currency: str) -> None:
    assert kept(rows(("A", "5", "0", "USD"), ("A", amount, "0", currency), ("B", "6", "0", ""))) == [
        (1, None),
        (3, None),
    ]


@pytest.mark.parametrize(
    ("settled", "pending", "currency"),
    [
        ("0.01", "0", "EUR"),
        ("-0.01", "0", "EUR"),
        ("0.003", "12", "EUR"),
        ("0", "-0.02", "GBP"),
        ("0,003", "0", "EUR"),
        (None, "0", "EUR"),
        ("NaN", "0", "EUR"),
        ("0.003", "0", "XAU"),
        ("0.003", "0", "BTC"),
        ("0.003", "0", "euro"),
    ],
)
def test_more_than_that_is_refused_by_its_currency(settled: str | None, pending: str, currency: str) -> None:
    (row,) = kept(rows(("A", settled, pending, currency)))
    assert "currency" in str(row[1]).split("|")


def test_numbers_of_a_database_are_looked_at_too() -> None:
    exact = rows(
        ("A", Decimal("0.003"), None, "EUR"), ("A", Decimal("0.010"), Decimal(0), "EUR"), dtype=pl.Decimal(18, 6)
    )
    floats = rows(("A", -0.0099, 0.0, "EUR"), ("A", 0.02, 0.0, "EUR"), dtype=pl.Float64)
    assert kept(exact) == kept(floats) == [(2, "currency")]


def test_columns_of_other_kinds_are_left_to_the_gate() -> None:
    lists = pl.DataFrame({"account_id": ["A"], "settled_usd": ["0"], "pending_usd": ["0"], "currency": [["EUR"]]})
    truths = pl.DataFrame({"account_id": ["A"], "settled_usd": [[1]], "pending_usd": ["0"], "currency": ["EUR"]})
    for frame in (lists, truths):
        assert without_residues(RawTable("cash", frame, is_text=False), "f").frame.height == 1


def test_a_blank_amount_that_means_zero_is_zero_and_one_that_is_needed_is_not() -> None:
    assert kept(rows(("A", "0.001", None, "EUR"))) == []
    assert kept(rows(("A", None, "0.001", "EUR"))) == [(1, "currency")]


def test_the_notice_counts_rows_and_names_no_account() -> None:
    raw = rows(("A", "0.003", "0", "EUR"), ("B", "0.001", "0", "CAD"), ("B", "0", "0", "GBP"), ("C", "1", "0", "USD"))
    found = without_residues(raw, "cash.csv")
    assert found.notices == (
        "cash.csv: 2 rows of cash in CAD, EUR come to less than a cent of it each; they count for nothing",
    )
    assert without_residues(rows(("B", "0", "0", "GBP")), "cash.csv").notices == ()


def test_a_table_of_holdings_keeps_every_row() -> None:
    lots = pl.DataFrame({"account_id": ["A"], "quantity": ["0.001"], "currency": ["EUR"]})
    assert without_residues(RawTable("lots", lots, is_text=True), "f").frame.height == 1


def test_every_row_of_dollars_stays_as_it_was() -> None:
    raw = rows(("A", "0.003", "0", "USD"), ("A", "0.003", "0", None))
    assert without_residues(raw, "f") is raw


def test_currencies_are_those_of_states() -> None:
    assert all(len(code) == 3 and code.isupper() for code in CURRENCIES)
    assert not {"USD", "XAU", "XAG", "XBT", "BTC", "XDR", "XXX", "XTS"} & CURRENCIES


@pytest.mark.parametrize(
    ("format_", "name", "content"),
    [
        (
            "flex",
            "f_20260105.xml",
            '<FlexQueryResponse><FlexStatements count="1"><FlexStatement accountId="A" toDate="20260105">'
            + FLEX_CASH.format("USD", "100", "100")
            + FLEX_CASH.format("EUR", "0.003", "0.003")
            + FLEX_CASH.format("CAD", "0", "0")
            + FLEX_CASH.format("GBP", "0.002", "-0.004")
            + "</FlexStatement></FlexStatements></FlexQueryResponse>",
        ),
        (
            "ofx",
            "f_20260105.ofx",
            OFX.format(STATEMENT.format("USD", "A", "100") + STATEMENT.format("EUR", "B", "0.003")),
        ),
        ("own", "f.txt", "A|USD|100\nA|EUR|0,003\nA|GBP|0,009-\nA|CAD|,001\n"),
        ("", "cash.csv", "account_id,settled_usd,pending_usd,currency\nA,100,0,USD\nA,0.003,,EUR\n"),
    ],
)
def test_residues_are_left_out_of_every_format(tmp_path: Path, format_: str, name: str, content: str) -> None:
    (tmp_path / "own.toml").write_text(MAPPING)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_text(content)
    rest = {table: rows for table, rows in sound_book().items() if table != "cash"}
    (tmp_path / "rest").mkdir()
    write_book(tmp_path / "rest", rest, "csv")
    reader = str(tmp_path / "own.toml") if format_ == "own" else format_
    sources = (
        {"name": "rest", "url": str(tmp_path / "rest"), "tables": tuple(rest)},
        {"name": "s", "url": str(folder), "tables": ("cash",), "format": reader},
    )
    settings = Settings(home=tmp_path / "home", sources=sources)
    (each,) = take(settings.sources_of(AS_OF), settings.staging_folder).of("cash")
    found = pl.concat([parse_raw(raw).select(*dtypes("cash"), "unparsed") for raw in raw_tables(each, ("cash",))])
    assert found.rows() == [("A", Decimal(100), Decimal(0), None)]


def test_an_account_with_a_residue_is_traded_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = sound_book()
    residue = pl.DataFrame({"account_id": ["A2"], "settled_usd": ["0.003"], "pending_usd": ["0"], "currency": ["EUR"]})
    cash = pl.concat([book["cash"].with_columns(currency=pl.lit("USD")), residue])
    (tmp_path / "in").mkdir()
    write_book(tmp_path / "in", {**book, "cash": cash}, "csv")
    settings = Settings(home=tmp_path / "home")
    with caplog.at_level(logging.WARNING):
        night = run_night(settings, tmp_path / "in", AS_OF)
    rows = open_lake(settings).read("account_outcomes", night.run_id)
    assert "quarantined" not in rows["outcome"].to_list()
    assert (
        "cash.csv: 1 rows of cash in EUR come to less than a cent of it each; they count for nothing" in caplog.messages
    )


def test_a_book_of_cash_alone_buys(tmp_path: Path) -> None:
    book = sound_book()
    nothing = {table: book[table].clear() for table in ("lots", "trades")}
    (tmp_path / "in").mkdir()
    rich = book["cash"].with_columns(settled_usd=pl.lit("10000"), pending_usd=pl.lit("0"))
    write_book(tmp_path / "in", {**book, **nothing, "cash": rich}, "csv")
    settings = Settings(home=tmp_path / "home")
    night = run_night(settings, tmp_path / "in", AS_OF)
    orders = open_lake(settings).read("orders", night.run_id)
    assert set(orders["side"]) == {"buy"}
