import gzip
import tracemalloc
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import ibflex
import polars as pl
import pytest

from schemas.errors import InputRefused, WrongUsage
from schemas.landing_columns import dtypes
from tasks.core.gate.parsing import parse
from tasks.core.gate.rows import check_table
from tasks.formats import flex
from tasks.formats.flex import flex_records
from tasks.formats.load import load_format
from tasks.formats.read import read_format
from tasks.sources.fetched_file import FetchedFile
from tests.support.landing_book import sound_book
from tests.support.statements import flex_xml

AS_OF = date(2026, 1, 5)
TABLES = ("lots", "cash", "prices", "trades")
LOT = {
    "currency": "USD",
    "assetCategory": "STK",
    "conid": "265598",
    "multiplier": "1",
    "position": "10",
    "markPrice": "101.25",
    "costBasisPrice": "90",
    "reportDate": "20260105",
    "levelOfDetail": "LOT",
    "openDateTime": "20200102;093000",
    "originatingOrderID": "7",
    "originatingTransactionID": "18",
}
CASH = {"currency": "USD", "endingCash": "100", "endingSettledCash": "100"}
TRADE = {
    "currency": "USD",
    "assetCategory": "STK",
    "conid": "265598",
    "buySell": "BUY",
    "quantity": "3",
    "tradePrice": "99",
    "tradeDate": "20251220",
    "fifoPnlRealized": "0",
    "levelOfDetail": "EXECUTION",
}


def element(tag: str, cells: dict[str, str], **changed: str | None) -> str:
    """An element; a change to None takes an attribute away."""
    cells = {name: text for name, text in {**cells, **changed}.items() if text is not None}
    named = " ".join(f'{name}="{text}"' for name, text in cells.items())
    return f"<{tag} {named} />\n"


def lot(**changed: str | None) -> str:
    return element("OpenPosition", LOT, **changed)


def summary(**changed: str | None) -> str:
    none = dict.fromkeys(("openDateTime", "originatingOrderID", "originatingTransactionID"), "")
    return element("OpenPosition", LOT, levelOfDetail="SUMMARY", **{**none, **changed})


def cash(**changed: str | None) -> str:
    return element("CashReportCurrency", CASH, **changed)


def trade(**changed: str | None) -> str:
    return element("Trade", TRADE, **changed)


def statement(*elements: str, account: str = "U1", to_date: str = "20260105") -> str:
    return f'<FlexStatement accountId="{account}" toDate="{to_date}">\n{"".join(elements)}</FlexStatement>\n'


def query(*statements: str, count: int | None = None) -> str:
    number = len(statements) if count is None else count
    return f'<FlexQueryResponse><FlexStatements count="{number}">\n{"".join(statements)}</FlexStatements></FlexQueryResponse>'


def delivered(folder: Path, content: str | bytes, name: str = "flex_20260105.xml") -> FetchedFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return FetchedFile("ib", name, path, path.stat().st_size, "")


def landed(folder: Path, content: str | bytes) -> dict[str, pl.DataFrame]:
    """Every table as the gate reads it, with the rules' input ``raw`` and ``unparsed``."""
    found: dict[str, list[pl.DataFrame]] = {}
    for raw in read_format(load_format("flex"), delivered(folder, content), AS_OF, tables=TABLES):
        rows = parse(raw.table, raw.frame, is_text=True, numbers=raw.numbers, as_read=raw.as_read)
        found.setdefault(raw.table, []).append(rows)
    return {table: pl.concat(frames) for table, frames in found.items()}


def broken(folder: Path, table: str, content: str) -> list[str]:
    """What the gate says of the table's rows."""
    return check_table(table, landed(folder, content)[table]).broken.sort("row_number")["sentence"].to_list()


def refusal(folder: Path, content: str | bytes) -> str:
    with pytest.raises(InputRefused) as refused:
        landed(folder, content)
    return str(refused.value)


def typed(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(list(dtypes(table))).sort(pl.all())


def test_a_book_comes_back_from_a_flex_file_as_it_is_in_a_folder(tmp_path: Path) -> None:
    book = sound_book()
    known_costs = book["lots"].with_columns(pl.col("unit_cost_usd").replace("0", "0.5"))
    held = book["prices"].filter(pl.col("security_id") != "OLD")
    found = landed(tmp_path, flex_xml({**book, "lots": known_costs}, AS_OF))
    for table, frame in {**book, "lots": known_costs, "prices": held}.items():
        if table in TABLES:
            assert typed(table, found[table]).equals(typed(table, parse(table, frame, is_text=True))), table
            assert check_table(table, found[table]).broken.is_empty()


def test_the_library_that_knows_flex_reads_what_the_tests_write(tmp_path: Path) -> None:
    read = ibflex.parse(str(delivered(tmp_path, flex_xml(sound_book(), AS_OF)).path))
    assert [each.accountId for each in read.FlexStatements] == ["A1", "A2", "A3"]
    assert read.FlexStatements[1].CashReport[1].endingSettledCash == Decimal("-5.25")


def test_lots_are_taken_and_their_summaries_are_not_counted_again(tmp_path: Path) -> None:
    whole = query(statement(summary(position="30"), lot(), lot(position="20", originatingTransactionID="19")))
    assert landed(tmp_path, whole)["lots"]["quantity"].to_list() == [10, 20]


def test_a_holding_that_its_lots_do_not_add_up_to_is_quarantined(tmp_path: Path) -> None:
    short = query(statement(summary(position="30"), lot()), statement(summary(conid="8"), account="U2"))
    assert landed(tmp_path, short)["lots"]["account_id"].to_list() == ["U1", "U1", "U2"]
    assert broken(tmp_path, "lots", short) == [
        "holding is 30 by its summary and 10 by the sum of its lots (1), 20 apart; needed lots that add up to the holding.",
        "holding is 10 by its summary and 0 by the sum of its lots (0), 10 apart; needed lots that add up to the holding.",
    ]


@pytest.mark.parametrize(
    ("lots", "held", "words"),
    [
        (
            ("100.3333", "50.3333"),
            "150.6667",
            "150.6667 by its summary and 150.6666 by the sum of its lots (2), 0.0001",
        ),
        (
            ("33.3334", "33.3334", "33.3333"),
            "100",
            "100 by its summary and 100.0001 by the sum of its lots (3), 0.0001",
        ),
        (("1,000.5", "2"), "1,002", "1002 by its summary and 1002.5 by the sum of its lots (2), 0.5"),
        (
            ("10.12345678", "0.1"),
            "10.22345679",
            "10.22345679 by its summary and 10.22345678 by the sum of its lots (2), 0.00000001",
        ),
    ],
)
def test_lots_that_add_up_to_a_little_other_than_their_summary_say_so(
    tmp_path: Path, lots: tuple[str, ...], held: str, words: str
) -> None:
    parts = [lot(position=units, originatingTransactionID=str(place)) for place, units in enumerate(lots)]
    found = query(statement(*parts, summary(position=held)))
    assert broken(tmp_path, "lots", found) == [f"holding is {words} apart; needed lots that add up to the holding."]


def test_a_summary_that_is_no_number_says_so(tmp_path: Path) -> None:
    (message,) = broken(tmp_path, "lots", query(statement(lot(), summary(position="ten"))))
    assert message == "holding is ten by its summary; needed lots that add up to the holding."


def test_holdings_without_any_lots_are_refused(tmp_path: Path) -> None:
    assert "tick Lot" in refusal(tmp_path, query(statement(summary())))


def test_a_query_may_leave_out_the_summaries(tmp_path: Path) -> None:
    assert landed(tmp_path, query(statement(lot())))["lots"].height == 1


@pytest.mark.parametrize(
    ("changed", "quantity"),
    [
        ({"assetCategory": "OPT", "multiplier": "100"}, "10 OPT x 100"),
        ({"assetCategory": "BOND"}, "10 BOND x 1"),
        ({"multiplier": "0.1"}, "10 STK x 0.1"),
        ({"multiplier": ""}, "10 STK x ?"),
        ({"position": "-10"}, "-10"),
        ({"position": "ten"}, "ten"),
    ],
)
def test_what_is_not_held_in_shares_is_quarantined(tmp_path: Path, changed: dict[str, str], quantity: str) -> None:
    sentences = broken(tmp_path, "lots", query(statement(lot(**changed))))
    assert [text.split(";")[0] for text in sentences] == [f"quantity is {quantity}"]


def test_only_what_is_held_in_shares_tells_a_price(tmp_path: Path) -> None:
    held = statement(lot(), lot(originatingTransactionID="19"), lot(conid="9", assetCategory="BOND"))
    assert landed(tmp_path, query(held, statement(lot(), account="U2")))["prices"]["security_id"].to_list() == [
        "265598"
    ]


def test_two_prices_of_one_security_are_both_quarantined(tmp_path: Path) -> None:
    sentences = broken(tmp_path, "prices", query(statement(lot()), statement(lot(markPrice="3"), account="U2")))
    assert len(sentences) == 2


@pytest.mark.parametrize("table", ["lots", "cash", "prices", "trades"])
def test_another_currency_is_quarantined(tmp_path: Path, table: str) -> None:
    made = {"lots": lot, "prices": lot, "cash": cash, "trades": trade}[table](currency="EUR")
    sentences = broken(tmp_path, table, query(statement(made)))
    assert len(sentences) == 1
    assert "EUR" in sentences[0]


@pytest.mark.parametrize("cost", ["0", "0.00", "", "-"])
def test_a_cost_of_zero_is_an_unknown_one(tmp_path: Path, cost: str) -> None:
    rows = landed(tmp_path, query(statement(lot(costBasisPrice=cost))))["lots"]
    assert rows.select("unit_cost_usd", "unparsed").row(0) == (None, None)


def test_costs_and_cash_of_more_than_six_digits_are_rounded_half_even(tmp_path: Path) -> None:
    amounts = {"endingCash": "5,000.1234565", "endingSettledCash": "1,000.1234575"}
    found = landed(tmp_path, query(statement(lot(costBasisPrice="34.405106397"), cash(**amounts))))
    assert found["lots"]["unit_cost_usd"].to_list() == [Decimal("34.405106")]
    assert found["cash"].select("settled_usd", "pending_usd").row(0) == (Decimal("1000.123458"), Decimal("3999.999999"))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20200102;093000", date(2020, 1, 2)),
        ("2020-01-02;093000", date(2020, 1, 2)),
        ("2020-01-02, 09:30:00", date(2020, 1, 2)),
        ("2020-01-02 23:59:59 EST", date(2020, 1, 2)),
        ("20200102233000", date(2020, 1, 2)),
        ("2020-01-02", date(2020, 1, 2)),
        ("20200102", date(2020, 1, 2)),
        ("2020-01-02;09:30:00 AEST", date(2020, 1, 2)),
        ("MULTI", None),
        ("-", None),
        ("", None),
    ],
)
def test_days_are_read_in_every_form_that_is_not_ambiguous(tmp_path: Path, text: str, day: date | None) -> None:
    rows = landed(tmp_path, query(statement(lot(openDateTime=text))))["lots"]
    assert rows.select("acquired_date", "unparsed").row(0) == (day, None)


@pytest.mark.parametrize("text", ["02/01/2020;093000", "02-Jan-20", "20201301", "2020-01-02;256199", "tomorrow"])
def test_a_day_that_cannot_be_read_is_quarantined_as_it_stands(tmp_path: Path, text: str) -> None:
    assert broken(tmp_path, "lots", query(statement(lot(openDateTime=text))))[0].startswith(f"acquired_date is {text}")


@pytest.mark.parametrize("number", ["1,5", "1,23,456", "1.234,5", "NaN", "1e999999999"])
def test_a_number_that_could_be_two_is_quarantined_as_it_stands(tmp_path: Path, number: str) -> None:
    assert broken(tmp_path, "lots", query(statement(lot(position=number))))[0].startswith(f"quantity is {number}")


@pytest.mark.parametrize(
    ("lots", "names"),
    [
        ([lot(), lot(), lot()], ["18", "18-2", "18-3"]),
        ([lot(), lot(conid="9")], ["18", "18"]),
        ([lot(originatingTransactionID="")], ["7-20200102T093000"]),
        ([lot(originatingTransactionID="", originatingOrderID="-")], ["20200102T093000"]),
        ([lot(originatingTransactionID=None, originatingOrderID=None)] * 2, ["20200102T093000", "20200102T093000-2"]),
        ([lot(originatingTransactionID="", originatingOrderID="", openDateTime="")], [None]),
    ],
)
def test_lots_are_named_by_what_opened_them(tmp_path: Path, lots: list[str], names: list[str | None]) -> None:
    assert landed(tmp_path, query(statement(*lots)))["lots"]["lot_id"].to_list() == names


def test_cash_is_that_of_the_trade_date_in_dollars(tmp_path: Path) -> None:
    base = cash(currency="BASE_SUMMARY")
    found = landed(tmp_path, query(statement(base, cash(endingCash="40", endingSettledCash="100.5"))))["cash"]
    assert found.select("account_id", "settled_usd", "pending_usd").rows() == [
        ("U1", Decimal("100.5"), Decimal("-60.5"))
    ]


def test_purchases_have_no_gain_and_sales_have_theirs(tmp_path: Path) -> None:
    sold = trade(buySell="SELL", quantity="-2", fifoPnlRealized="0")
    found = landed(tmp_path, query(statement(trade(), sold)))["trades"]
    assert found.select("side", "quantity", "realized_gain_usd").rows() == [("buy", 3, None), ("sell", 2, 0)]


def test_only_executions_in_shares_are_trades(tmp_path: Path) -> None:
    others = [
        trade(levelOfDetail="ORDER"),
        trade(levelOfDetail="CLOSED_LOT"),
        trade(assetCategory="CASH"),
        trade(buySell="SELL (Ca.)"),
        element("Order", TRADE),
    ]
    assert landed(tmp_path, query(statement(trade(), *others)))["trades"].height == 1


def test_a_side_that_nobody_knows_is_quarantined(tmp_path: Path) -> None:
    assert "SWAP" in broken(tmp_path, "trades", query(statement(trade(buySell="SWAP"))))[0]


def test_trades_without_executions_are_refused(tmp_path: Path) -> None:
    assert "tick Executions" in refusal(tmp_path, query(statement(element("Order", TRADE, levelOfDetail="ORDER"))))


def test_an_attribute_that_the_query_leaves_out_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, query(statement(lot(costBasisPrice=None, costBasisMoney="900"))))
    assert "no OpenPosition has the attribute costBasisPrice" in message
    assert "did you mean costBasisMoney" in message


def test_an_element_that_flex_does_not_have_is_wrong_usage(tmp_path: Path) -> None:
    text = Path(flex.__file__).with_name("flex.toml").read_text().replace('"CashReportCurrency"', '"CashReport"')
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(WrongUsage, match="CashReport;"):
        list(flex_records(load_format(str(tmp_path / "own.toml")), delivered(tmp_path, query(statement(lot()))).path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("\n", "cannot be read as XML"),
        ("<html><body>Log in</body></html>", "begins with <html>"),
        ("<!DOCTYPE html><html></html>", "web page"),
        ('<!DOCTYPE a [<!ENTITY b "bb">]><FlexQueryResponse>&b;</FlexQueryResponse>', "DOCTYPE"),
        ("PK\x03\x04 not XML at all", "cannot be read as XML"),
        (query(statement(lot())) + "<more/>", "junk after document element"),
        (query(statement(lot()))[:-30], "cannot be read as XML"),
        ('<?xml version="1.0" encoding="klingon"?>' + query(statement(lot())), "unknown encoding"),
        (query(statement(lot()), count=2), "has 1 statements and says 2"),
        (query(), "has no statement"),
        ("<FlexQueryResponse></FlexQueryResponse>", "does not say how many"),
        (query(statement(lot()), statement(lot())), "account that came before"),
        (query(statement(lot(), account="")), "names no account"),
        (query(statement(lot(accountId="U2"))), "another account"),
        (query(statement(lot(), to_date="")), "ends on no day"),
        (query(statement(lot(), to_date="05/01/2026")), "Date Format"),
        (query(statement(lot(), to_date="20260104")), "2026-01-04"),
        (query(statement(lot()), statement(lot(), account="U2", to_date="20260104")), "2026-01-04"),
        (query() + "", "has no statement"),
        ("<FlexQueryResponse>" + lot() + "</FlexQueryResponse>", "outside a FlexStatement"),
        (gzip.compress(query(statement(lot())).encode())[:-9], "cannot be read as XML"),
    ],
)
def test_a_file_that_is_no_whole_statement_of_the_day_is_refused(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    message = refusal(tmp_path, content)
    assert words in message
    assert "flex_20260105.xml" in message


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = flex_xml(sound_book(), AS_OF).strip()
    for cut in range(len(whole) - 1, 0, -97):
        assert refusal(tmp_path, whole[:cut])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("<Status>Fail</Status><ErrorCode>1012</ErrorCode><ErrorMessage>Token has expired.</ErrorMessage>", "1012"),
        ("<Status>Warn</Status><ErrorMessage>Statement generation in progress.</ErrorMessage>", "in progress"),
        ("<Status>Success</Status><ReferenceCode>123</ReferenceCode>", "answer to a request"),
    ],
)
def test_an_answer_saved_in_place_of_a_statement_is_refused_with_its_message(
    tmp_path: Path, answer: str, words: str
) -> None:
    assert words in refusal(tmp_path, f"<FlexStatementResponse>{answer}</FlexStatementResponse>")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_declared_encoding_is_kept(tmp_path: Path, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + query(statement(lot(description="Société")))
    assert landed(tmp_path, text.encode(encoding))["lots"].height == 1


def test_a_compressed_file_and_one_on_a_single_line_are_read(tmp_path: Path) -> None:
    whole = query(statement(lot())).replace("\n", "")
    assert landed(tmp_path, gzip.compress(whole.encode()))["lots"].height == 1


def many(accounts: int) -> Iterator[str]:
    for number in range(accounts):
        yield statement(summary(position="20"), lot(), lot(originatingTransactionID="19"), cash(), account=f"U{number}")


def test_thousands_of_accounts_are_handed_on_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = delivered(tmp_path, query(*many(3000))).path
    monkeypatch.setattr(flex, "BATCH_ELEMENTS", 1000)
    batches = [each for each in flex_records(load_format("flex"), path) if each.kind == "OpenPosition"]
    cells = pl.concat([batch.cells for batch in batches])
    assert len(batches) > 5
    assert cells["accountId"].to_list() == [f"U{number}" for number in range(3000) for _ in range(3)]
    assert cells["level"].to_list() == ["SUMMARY", "LOT", "LOT"] * 3000
    numbers = pl.concat([batch.numbers for batch in batches])
    assert numbers.n_unique() == 9000


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flex, "BATCH_ELEMENTS", 500)
    monkeypatch.setattr(flex, "FLEX_BLOCK", 1 << 16)

    def peak(accounts: int) -> int:
        path = delivered(tmp_path, query(*many(accounts))).path
        tracemalloc.start()
        for _ in flex_records(load_format("flex"), path):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(4000) < 2 * peak(500)
