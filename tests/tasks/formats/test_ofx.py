from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from ofxtools.Parser import OFXTree

from schemas.errors import InputRefused, WrongUsage
from schemas.landing_columns import dtypes
from tasks.core.gate.parsing import parse
from tasks.core.gate.rows import check_table
from tasks.formats import ofx as reader
from tasks.formats.load import load_format
from tasks.formats.ofx import ofx_records
from tasks.formats.read import read_format
from tasks.sources.fetched_file import FetchedFile
from tests.support.landing_book import rows_of, sound_book
from tests.support.statements import ofx

AS_OF = date(2026, 1, 5)
TABLES = ("lots", "cash", "prices", "trades")
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n<?OFX OFXHEADER="200" VERSION="211" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>\n'
BALANCE = "<INVBAL><AVAILCASH>100</AVAILCASH><MARGINBALANCE>0.00</MARGINBALANCE><SHORTBALANCE>0</SHORTBALANCE></INVBAL>"
EMPTY = "<INVPOSLIST></INVPOSLIST>"


def position(kind: str = "POSSTOCK", units: str = "10", side: str = "LONG", more: str = "", part: str = "CASH") -> str:
    return (
        f"<{kind}><INVPOS><SECID><UNIQUEID>78462F103</UNIQUEID><UNIQUEIDTYPE>CUSIP</UNIQUEIDTYPE></SECID>"
        f"<HELDINACCT>{part}</HELDINACCT><POSTYPE>{side}</POSTYPE><UNITS>{units}</UNITS><UNITPRICE>101.25</UNITPRICE>"
        f"<MKTVAL>1</MKTVAL><DTPRICEASOF>20260105160000</DTPRICEASOF>{more}</INVPOS></{kind}>\n"
    )


def trade(kind: str = "BUYSTOCK", day: str = "20251220", more: str = "", ids: str = "") -> str:
    inner = "INVBUY" if kind.startswith("BUY") else "INVSELL"
    return (
        f"<{kind}><{inner}><INVTRAN><FITID>1</FITID><DTTRADE>{day}</DTTRADE>{ids}</INVTRAN>"
        "<SECID><UNIQUEID>78462F103</UNIQUEID><UNIQUEIDTYPE>CUSIP</UNIQUEIDTYPE></SECID>"
        f"<UNITS>-3</UNITS><UNITPRICE>99</UNITPRICE><TOTAL>1</TOTAL>{more}</{inner}></{kind}>\n"
    )


def statement(
    positions: str = EMPTY,
    *,
    balance: str = BALANCE,
    trades: str = "",
    account: str = "U1",
    day: str = "20260105",
    currency: str = "USD",
) -> str:
    listed = positions if "INVPOSLIST" in positions or not positions else f"<INVPOSLIST>{positions}</INVPOSLIST>"
    return (
        "<INVSTMTTRNRS><TRNUID>1</TRNUID><STATUS><CODE>0</CODE><SEVERITY>INFO</SEVERITY></STATUS>"
        f"<INVSTMTRS><DTASOF>{day}</DTASOF><CURDEF>{currency}</CURDEF>"
        f"<INVACCTFROM><BROKERID>b.com</BROKERID><ACCTID>{account}</ACCTID></INVACCTFROM>"
        f"<INVTRANLIST><DTSTART>20250101</DTSTART><DTEND>20260105</DTEND>{trades}</INVTRANLIST>"
        f"{listed}{balance}</INVSTMTRS></INVSTMTTRNRS>\n"
    )


def answer(*statements: str, header: str = HEADER, more: str = "") -> str:
    return f"{header}<OFX>\n<INVSTMTMSGSRSV1>\n{''.join(statements)}</INVSTMTMSGSRSV1>{more}\n</OFX>\n"


def delivered(folder: Path, content: str | bytes, name: str = "u1_20260105.ofx") -> FetchedFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return FetchedFile("broker", name, path, path.stat().st_size, "")


def landed(folder: Path, content: str | bytes) -> dict[str, pl.DataFrame]:
    """Every table as the gate reads it."""
    found: dict[str, list[pl.DataFrame]] = {}
    for raw in read_format(load_format("ofx"), delivered(folder, content), AS_OF, tables=TABLES):
        rows = parse(raw.table, raw.frame, is_text=True, numbers=raw.numbers, as_read=raw.as_read)
        found.setdefault(raw.table, []).append(rows)
    return {table: pl.concat(frames) for table, frames in found.items()}


def broken(folder: Path, table: str, content: str) -> list[str]:
    """What the gate found in the table's rows, without what it needed."""
    sentences = check_table(table, landed(folder, content)[table]).broken.sort("row_number")["sentence"]
    return [text.split(";")[0] for text in sentences]


def refusal(folder: Path, content: str | bytes) -> str:
    with pytest.raises(InputRefused) as refused:
        landed(folder, content)
    return str(refused.value)


def typed(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(list(dtypes(table))).sort(pl.all())


@pytest.mark.parametrize("version", [102, 211])
def test_a_book_comes_back_from_ofx_without_its_lots_costs_and_pending_cash(tmp_path: Path, version: int) -> None:
    book = sound_book()
    lots = rows_of("""
        account_id | security_id | lot_id | quantity
        A1         | STK         | CASH   | 10
        A1         | BND         | CASH   | 5.5
        A2         | STK         | CASH   | 7
        A3         | BND         | CASH   | 3
    """)
    cash = rows_of("""
        account_id | settled_usd | pending_usd
        A1         | 100         | 0
        A2         | 4.75        | 0
        A3         | 0           | 0
    """)
    held = book["prices"].filter(pl.col("security_id") != "OLD")
    found = landed(tmp_path, ofx(book, AS_OF, version=version))
    for table, frame in {"lots": lots, "cash": cash, "prices": held, "trades": book["trades"]}.items():
        assert typed(table, found[table]).equals(typed(table, parse(table, frame, is_text=True))), table
        assert check_table(table, found[table]).broken.is_empty()


@pytest.mark.parametrize("version", [102, 211])
def test_the_library_that_knows_ofx_accepts_what_the_tests_write(tmp_path: Path, version: int) -> None:
    tree = OFXTree()
    tree.parse(str(delivered(tmp_path, ofx(sound_book(), AS_OF, version=version)).path))
    read = tree.convert()
    assert [each.account.acctid for each in read.statements] == ["A1", "A2", "A3"]
    assert read.statements[1].balances.availcash == Decimal("4.75")


def test_a_position_is_one_lot_without_cost_and_day(tmp_path: Path) -> None:
    book = answer(statement(position(part="MARGIN", more="<AVGCOSTBASIS>90</AVGCOSTBASIS>")))
    lot = landed(tmp_path, book)["lots"].row(0, named=True)
    assert (lot["lot_id"], lot["quantity"]) == ("MARGIN", 10)
    assert (lot["unit_cost_usd"], lot["acquired_date"], lot["unparsed"]) == (None, None, None)


def test_parts_of_a_position_are_lots_of_their_own(tmp_path: Path) -> None:
    parts = [
        position(part="CASH"),
        position(part="OTHER", more="<INV401KSOURCE>PRETAX</INV401KSOURCE>"),
        position(part="OTHER", more="<INV401KSOURCE>MATCH</INV401KSOURCE>"),
    ]
    assert landed(tmp_path, answer(statement("".join(parts))))["lots"]["lot_id"].to_list() == [
        "CASH",
        "OTHER-PRETAX",
        "OTHER-MATCH",
    ]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (position("POSDEBT", "5000"), "5000 POSDEBT LONG"),
        (position("POSOPT", "1"), "1 POSOPT LONG"),
        (position("POSCOIN", "1"), "1 POSCOIN LONG"),
        (position(side="SHORT", units="10"), "-10"),
        (position(side="SHORT", units="-10"), "-10"),
        (position(side="LONG", units="-10"), "-10"),
        (position(side="BOTH"), "10 POSSTOCK BOTH"),
        (position(units="1,234"), "1,234 (its comma may part thousands or decimals)"),
        (position(units="NaN"), "NaN"),
    ],
)
def test_what_is_not_held_long_in_shares_is_quarantined(tmp_path: Path, given: str, found: str) -> None:
    assert broken(tmp_path, "lots", answer(statement(given))) == [f"quantity is {found}"]


@pytest.mark.parametrize("kind", ["POSSTOCK", "POSMF", "POSOTHER"])
def test_shares_of_every_kind_are_held_and_priced(tmp_path: Path, kind: str) -> None:
    found = landed(tmp_path, answer(statement(position(kind))))
    assert found["lots"]["quantity"].to_list() == [10]
    assert found["prices"].select("price_usd", "price_date").row(0) == (Decimal("101.25"), AS_OF)


def test_a_price_that_many_statements_tell_is_one_price(tmp_path: Path) -> None:
    many = (statement(position(), account=f"U{number}") for number in range(2000))
    found = landed(tmp_path, answer(*many))
    assert (found["prices"].height, found["lots"].height, found["cash"].height) == (1, 2000, 2000)


@pytest.mark.parametrize(
    ("balance", "found"),
    [
        (BALANCE.replace("0.00", "-50"), "100 + -50 margin + 0 short"),
        (BALANCE.replace("<SHORTBALANCE>0", "<SHORTBALANCE>20"), "100 + 0.00 margin + 20 short"),
        (BALANCE.replace("0.00", "none"), "100 + none margin + 0 short"),
    ],
)
def test_cash_that_may_or_may_not_count_borrowed_money_is_quarantined(tmp_path: Path, balance: str, found: str) -> None:
    assert broken(tmp_path, "cash", answer(statement(balance=balance))) == [f"settled_usd is {found}"]


def test_cash_of_a_statement_that_lists_no_positions_is_quarantined(tmp_path: Path) -> None:
    assert broken(tmp_path, "cash", answer(statement(positions=""))) == ["settled_usd is 100 (no INVPOSLIST)"]
    assert broken(tmp_path, "cash", answer(statement())) == []


def test_another_currency_is_quarantined(tmp_path: Path) -> None:
    euros = "<CURRENCY><CURRATE>1.1</CURRATE><CURSYM>EUR</CURSYM></CURRENCY>"
    mixed = answer(statement(position(more=euros), trades=trade(more=euros)))
    for table in ("lots", "prices", "trades"):
        assert "EUR" in broken(tmp_path, table, mixed)[0]
    assert broken(tmp_path, "cash", mixed) == []
    assert "CAD" in broken(tmp_path, "cash", answer(statement(currency="CAD")))[0]


def test_an_amount_that_was_converted_is_in_the_statements_currency(tmp_path: Path) -> None:
    origin = "<ORIGCURRENCY><CURRATE>1.1</CURRATE><CURSYM>EUR</CURSYM></ORIGCURRENCY>"
    assert broken(tmp_path, "trades", answer(statement(trades=trade(more=origin)))) == []


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("20251220", date(2025, 12, 20)),
        ("20251220233000.000[-5:EST]", date(2025, 12, 20)),
        ("20251220093000", date(2025, 12, 20)),
        ("202512200930", date(2025, 12, 20)),
    ],
)
def test_a_trade_is_of_the_day_at_the_place_of_the_broker(tmp_path: Path, written: str, day: date) -> None:
    assert landed(tmp_path, answer(statement(trades=trade(day=written))))["trades"]["trade_date"].to_list() == [day]


@pytest.mark.parametrize("written", ["2025-12-20T00:00", "20251320", "12/20/2025"])
def test_a_day_that_cannot_be_read_is_quarantined_as_it_stands(tmp_path: Path, written: str) -> None:
    assert broken(tmp_path, "trades", answer(statement(trades=trade(day=written)))) == [f"trade_date is {written}"]


def test_sales_have_the_gain_that_the_broker_tells(tmp_path: Path) -> None:
    trades = trade("SELLSTOCK", more="<GAIN>-30.5</GAIN>") + trade("SELLMF") + trade("BUYMF")
    found = landed(tmp_path, answer(statement(trades=trades)))["trades"]
    assert found.select("side", "quantity", "realized_gain_usd").rows() == [
        ("sell", 3, Decimal("-30.5")),
        ("sell", 3, None),
        ("buy", 3, None),
    ]


def test_reversals_and_what_is_no_trade_in_shares_are_left_out(tmp_path: Path) -> None:
    others = trade(ids="<REVERSALFITID>7</REVERSALFITID>") + trade("BUYDEBT") + trade("SELLOPT")
    others += "<INVBANKTRAN><STMTTRN><TRNTYPE>CREDIT</TRNTYPE></STMTTRN></INVBANKTRAN>"
    assert landed(tmp_path, answer(statement(trades=trade() + others)))["trades"].height == 1


def test_names_of_securities_come_from_their_list(tmp_path: Path) -> None:
    listed = (
        "<SECLISTMSGSRSV1><SECLIST><STOCKINFO><SECINFO><SECID><UNIQUEID>78462F103</UNIQUEID>"
        "<UNIQUEIDTYPE>CUSIP</UNIQUEIDTYPE></SECID><SECNAME>S&amp;P &#53;00</SECNAME><TICKER>SPY</TICKER></SECINFO></STOCKINFO>"
        "</SECLIST></SECLISTMSGSRSV1>"
    )
    shipped = Path(reader.__file__).with_name("ofx.toml").read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(
        shipped.replace('lot_id = { field = "lot" }', 'lot_id = { field = "secname" }').replace("uniqueid", "ticker")
    )
    path = delivered(tmp_path, answer(statement(position()), more=listed)).path
    cells = next(each.cells for each in ofx_records(load_format(str(own)), path) if each.kind == "InvPosition")
    assert cells.select("ticker", "secname").row(0) == ("SPY", "S&P 500")


@pytest.mark.parametrize(
    ("there", "put", "words"), [("InvBalance", "InvBal", "InvBal;"), ('"lot"', '"lott"', "lott of")]
)
def test_a_record_or_field_that_ofx_does_not_have_is_wrong_usage(
    tmp_path: Path, there: str, put: str, words: str
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(Path(reader.__file__).with_name("ofx.toml").read_text(encoding="utf-8").replace(there, put))
    with pytest.raises(WrongUsage, match=words):
        list(ofx_records(load_format(str(own)), delivered(tmp_path, answer(statement())).path))


SGML = "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nSECURITY:NONE\nENCODING:{}\nCHARSET:{}\nCOMPRESSION:NONE\nOLDFILEUID:NONE\nNEWFILEUID:NONE\n\n"
MEMO = "<MEMO>Société"


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (SGML.format("USASCII", "1252"), "cp1252"),
        (SGML.format("UTF-8", "NONE"), "utf-8"),
        (HEADER, "utf-8"),
        (HEADER, "utf-8-sig"),
        (HEADER.replace("UTF-8", "iso-8859-1"), "iso-8859-1"),
    ],
)
def test_the_declared_encoding_is_kept(tmp_path: Path, header: str, encoding: str) -> None:
    content = answer(statement(position(more=MEMO)), header=header).encode(encoding)
    assert landed(tmp_path, content)["lots"].height == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "header of an OFX file"),
        (b"<!DOCTYPE html><html></html>", "header of an OFX file"),
        (b"\xff\xfe<\x00", "header of an OFX file"),
        (HEADER.encode(), "no tags"),
        (answer(statement(position(more=MEMO))).encode("cp1252"), "encoding"),
        (answer(header=HEADER.replace("UTF-8", "klingon")), "unknown encoding"),
        (answer(statement(position())).replace("</OFX>", ""), "<OFX> is not closed"),
        (answer(statement(position()))[:-400], "it ends within a tag"),
        (answer(statement(position())).replace("</POSSTOCK>", ""), "</INVPOSLIST> closes <POSSTOCK>"),
        (answer(statement(position())).replace("</INVPOS></POSSTOCK>", "</POSSTOCK></INVPOS>"), "closes <INVPOS>"),
        (answer(statement(position())).replace("<POSSTOCK>", "<posstock>"), "text outside of a tag"),
        (answer(statement(position())).replace("<INVPOSLIST>", "<INVPOSLIST a='1'>"), "text outside of a tag"),
        (answer(statement()) + "more", "text outside of a tag"),
        (answer(statement()) + answer(statement()).removeprefix(HEADER), "multiple elements"),
        (answer(statement()) + answer(statement()), "text outside of a tag"),
        (HEADER + "<A>" * 100, "too deep"),
        (HEADER + "<A></A>", "does not begin with <OFX>"),
        (answer(), "no investment statement"),
        (answer("<INVSTMTTRNRS><TRNUID>1</TRNUID></INVSTMTTRNRS>"), "holds no statement"),
        (answer(statement(), statement()), "account that came before"),
        (answer(statement(account="")), "no ACCTID"),
        (answer(statement(day="")), "no DTASOF"),
        (answer(statement(day="20260104")), "2026-01-04"),
        (answer(statement(), statement(account="U2", day="20260104")), "2026-01-04"),
        (answer(statement(day="5 January")), "5 January"),
    ],
)
def test_a_file_that_is_no_whole_statement_of_the_day_is_refused(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    message = refusal(tmp_path, content)
    assert words in message
    assert message.startswith("u1_20260105.ofx")
    assert "78462F103" not in message


@pytest.mark.parametrize("version", [102, 211])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, version: int) -> None:
    whole = ofx(sound_book(), AS_OF, version=version).strip()
    for cut in range(len(whole) - 1, 0, -97):
        assert refusal(tmp_path, whole[:cut])


def test_the_statement_is_of_the_day_at_the_place_of_the_broker(tmp_path: Path) -> None:
    assert landed(tmp_path, answer(statement(day="20260105233000.000[-5:EST]")))["cash"].height == 1


@pytest.mark.parametrize("place", ["SONRS", "INVSTMTTRNRS"])
def test_an_error_in_place_of_a_statement_is_refused_with_its_message(tmp_path: Path, place: str) -> None:
    status = "<STATUS><CODE>15500</CODE><SEVERITY>ERROR</SEVERITY><MESSAGE>Signon invalid</MESSAGE></STATUS>"
    message = refusal(tmp_path, answer(f"<{place}>{status}</{place}>"))
    assert "code 15500): Signon invalid" in message


SGML = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
SECURITY:NONE
ENCODING:USASCII
CHARSET:1252
COMPRESSION:NONE
OLDFILEUID:NONE
NEWFILEUID:NONE

"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<OFX>", "<OFX >"),
        ("<INVPOSLIST>", "<INVPOSLIST  >"),
        ("</OFX>", "</OFX >"),
        ("<OFX>", "<OFX\n>"),
        ("<OFX>", "<OFX><!-- made by a program <of> ours -->"),
        ("<MKTVAL>1</MKTVAL>", "<MKTVAL>1</MKTVAL><MEMO/>"),
        ("<MKTVAL>1</MKTVAL>", "<MKTVAL>1</MKTVAL><MEMO />"),
    ],
)
@pytest.mark.parametrize("header", [HEADER, SGML])
def test_tags_may_be_written_as_markup_allows(tmp_path: Path, old: str, new: str, header: str) -> None:
    plain = answer(statement(position()), header=header)
    text = plain.replace(old, new)
    assert text != plain
    found = landed(tmp_path, text)
    assert found["lots"]["quantity"].to_list() == [10]
    assert found["cash"]["settled_usd"].to_list() == [100]


@pytest.mark.parametrize(
    ("units", "price", "cash", "read"),
    [
        ("100,000", "300,00", "40000,00", ("100", "300", "40000")),
        ("300,5", "72,125", "-0,01", ("300.5", "72.125", "-0.01")),
        ("1,234", "0,5", "+12,3", ("1.234", "0.5", "12.3")),
        ("7", "99.25", ",75", ("7", "99.25", "0.75")),
    ],
)
def test_decimals_may_stand_behind_a_comma(
    tmp_path: Path, units: str, price: str, cash: str, read: tuple[str, ...]
) -> None:
    text = answer(statement(position(units=units).replace("101.25", price), balance=BALANCE.replace("100", cash)))
    found = landed(tmp_path, text)
    numbers = (found["lots"]["quantity"], found["prices"]["price_usd"], found["cash"]["settled_usd"])
    assert [number.to_list() for number in numbers] == [[Decimal(each)] for each in read]


@pytest.mark.parametrize(
    ("units", "cash"), [("1,000", "500"), ("1,000", "2,500.75"), ("1,000,000", "0,5"), ("12,345", "100,000")]
)
def test_a_comma_that_may_part_thousands_is_no_number(tmp_path: Path, units: str, cash: str) -> None:
    text = answer(statement(position(units=units), balance=BALANCE.replace("100", cash)))
    assert broken(tmp_path, "lots", text) == [f"quantity is {units} (its comma may part thousands or decimals)"]


def test_names_keep_their_commas(tmp_path: Path) -> None:
    text = answer(statement(position(units="1,5", part="CASH, OTHER")))
    assert landed(tmp_path, text)["lots"].select("quantity").item() == Decimal("1.5")
    assert "CASH, OTHER" in broken(tmp_path, "lots", text)[0]


@pytest.mark.parametrize(
    ("balance", "words"),
    [
        ("", "the statement has no balance, INVBAL"),
        ("<INVBAL></INVBAL>", "its INVBAL has no AVAILCASH"),
        ("<INVBAL><MARGINBALANCE>0</MARGINBALANCE></INVBAL>", "its INVBAL has no AVAILCASH"),
    ],
)
def test_a_statement_without_a_balance_says_so(tmp_path: Path, balance: str, words: str) -> None:
    assert broken(tmp_path, "cash", answer(statement(position(), balance=balance))) == [
        f"settled_usd is not there ({words})"
    ]
