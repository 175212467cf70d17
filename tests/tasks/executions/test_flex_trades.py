from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibflex
import pytest

from schemas.errors import InputRefused
from tasks.executions.flex_trades import NEEDED
from tasks.executions.read import ExecutionRecords
from tests.support.execution_writers import flex_lot, flex_text, flex_trade, read_text

SALE: dict[str, Any] = {
    "execution_id": "1001",
    "kind": "fill",
    "client_order_id": "O1",
    "account_id": "U1",
    "symbol": "FUTU",
    "security_id": "265598",
    "side": "sell",
    "quantity": 12,
    "price_usd": 111,
    "fees_usd": Decimal("0.0082212"),
    "trade_date": date(2026, 1, 5),
    "executed_at": datetime(2026, 1, 5, 14, 30, tzinfo=UTC),
}
BUST = {**SALE, "execution_id": "1002", "kind": "bust", "client_order_id": None, "fees_usd": Decimal(0)}
FIRST = {"lot_id": "900", "quantity": 10, "cost": "1265.355556", "acquired_date": date(2025, 5, 11)}
SECOND = {"lot_id": "901", "quantity": 2, "cost": "252.9", "acquired_date": date(2025, 5, 12)}


def read(folder: Path, *elements: str) -> ExecutionRecords:
    return read_text(folder, flex_text(*elements))


def messages(found: ExecutionRecords) -> list[str]:
    return found.unread["message"].to_list()


def test_a_sale_and_the_lots_that_it_closed_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, flex_trade(SALE), flex_lot(SALE, FIRST), flex_lot(SALE, SECOND))
    (row,) = found.executions.drop("raw").to_dicts()
    assert row == {
        "row_number": 1,
        **{name: SALE[name] for name in ("execution_id", "kind", "client_order_id", "account_id", "symbol", "side")},
        "security_id": "265598",
        "quantity": Decimal(12),
        "price_usd": Decimal(111),
        "fees_usd": Decimal("0.008221"),
        "trade_date": date(2026, 1, 5),
        "executed_at": SALE["executed_at"],
        "reference_id": None,
        "text": None,
    }
    assert found.lots.rows() == [
        (2, "1001", "900", date(2025, 5, 11), Decimal(10), Decimal("126.535556")),
        (3, "1001", "901", date(2025, 5, 12), Decimal(2), Decimal("126.45")),
    ]


def test_what_is_written_here_is_what_ibflex_reads(tmp_path: Path) -> None:
    path = tmp_path / "statement.xml"
    at = {"dateTime": "20260105;093000"}
    path.write_text(flex_text(flex_trade(SALE, **at), flex_lot(SALE, FIRST, **at)), encoding="utf-8")
    (trade, lot) = ibflex.parse(str(path)).FlexStatements[0].Trades
    assert (trade.transactionID, trade.quantity, trade.tradePrice) == ("1001", Decimal(-12), Decimal(111))
    assert (trade.orderReference, trade.buySell, lot.cost) == ("O1", ibflex.enums.BuySell.SELL, Decimal("1265.355556"))


def test_a_trade_cancelled_and_booked_again_is_a_fill_a_bust_and_a_fill(tmp_path: Path) -> None:
    original = flex_trade(SALE, tradeID="2001")
    bust = flex_trade({**BUST, "reference_id": "1001"}, origTradeID="2001")
    again = flex_trade({**SALE, "execution_id": "1003", "fees_usd": Decimal(0)}, tradeID="2001")
    found = read(tmp_path, original, bust, again)
    assert found.executions.select("execution_id", "kind", "client_order_id", "reference_id", "quantity").rows() == [
        ("1001", "fill", "O1", None, Decimal(12)),
        ("1002", "bust", None, "1001", Decimal(12)),
        ("1003", "fill", "O1", None, Decimal(12)),
    ]


def test_a_cancellation_without_the_transaction_finds_the_one_trade_that_stood(tmp_path: Path) -> None:
    original, again = (flex_trade({**SALE, "execution_id": name}, tradeID="2001") for name in ("1001", "1003"))
    first, second = (
        flex_trade({**BUST, "execution_id": name}, origTradeID="2001", origTransactionID=None)
        for name in ("1002", "1004")
    )
    found = read(tmp_path, original, first, again, second)
    assert found.executions["reference_id"].to_list() == [None, "1001", None, "1003"]


@pytest.mark.parametrize(("before", "count"), [([], 0), (["1001", "1003"], 2)])
def test_a_cancellation_that_may_be_of_several_is_unread(tmp_path: Path, before: list[str], count: int) -> None:
    trades = [flex_trade({**SALE, "execution_id": name}, tradeID="2001") for name in before]
    found = read(tmp_path, *trades, flex_trade(BUST, origTradeID="2001"))
    assert messages(found) == [
        f"the cancellation has no origTransactionID, and {count} trades before it have the tradeID '2001'; needed one"
    ]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("20260105;093000", datetime(2026, 1, 5, 14, 30, tzinfo=UTC)),
        ("20260706;093000", datetime(2026, 7, 6, 13, 30, tzinfo=UTC)),
        ("2026-01-05;09:30:00 EST", datetime(2026, 1, 5, 14, 30, tzinfo=UTC)),
        ("2025-04-25;10:19:55 EDT", datetime(2025, 4, 25, 14, 19, 55, tzinfo=UTC)),
        ("2026-01-05, 14:30:00 GMT", datetime(2026, 1, 5, 14, 30, tzinfo=UTC)),
        ("20260105", None),
        ("", None),
    ],
)
def test_times_are_of_new_york_unless_they_say_otherwise(tmp_path: Path, text: str, at: datetime | None) -> None:
    found = read(tmp_path, flex_trade(SALE, dateTime=text))
    assert found.executions["executed_at"].to_list() == [at]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"transactionID": ""}, "the record has no transactionID; needed it"),
        ({"orderReference": ""}, "the message is fill and has no orderReference; needed it"),
        ({"tradePrice": "--"}, "the message is fill and has no tradePrice; needed it"),
        ({"tradePrice": "0"}, "tradePrice is '0'; needed a number above 0"),
        ({"quantity": "12"}, "quantity is '12' of SELL; needed a number below 0"),
        (
            {"quantity": "-0.0000004"},
            "quantity is '0.0000004'; needed at most 6 decimals (rounding changes it by more than a millionth)",
        ),
        ({"buySell": "BUY"}, "quantity is '-12' of BUY; needed a number above 0"),
        ({"buySell": "SHORT"}, "buySell is 'SHORT'; needed one of BUY, SELL, BUY (Ca.), SELL (Ca.)"),
        ({"ibCommission": "0.1"}, "ibCommission is '0.1', paid to the account; needed 0 or below"),
        ({"ibCommissionCurrency": "EUR"}, "ibCommissionCurrency is 'EUR'; needed USD"),
        ({"currency": "EUR"}, "currency is 'EUR'; needed USD"),
        ({"assetCategory": "OPT"}, "assetCategory is 'OPT'; needed one of STK, FUND"),
        ({"multiplier": "100"}, "multiplier is '100'; needed 1"),
        (
            {"transactionType": "TradeCorrect"},
            "transactionType is 'TradeCorrect', and how it changes a trade is not known; needed a person",
        ),
        ({"tradeDate": "01/05/2026"}, "tradeDate is '01/05/2026'; needed a day as yyyyMMdd or yyyy-MM-dd"),
        (
            {"dateTime": "20260105;093000 JST"},
            (
                "dateTime is '20260105;093000 JST'; needed a time as yyyyMMdd;HHmmss of New York, or with one of the zones "
                "EST, EDT, UTC, GMT"
            ),
        ),
    ],
)
def test_what_a_trade_lacks_is_told_and_its_lots_go_with_it(
    tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    other = {**SALE, "execution_id": "1009"}
    found = read(tmp_path, flex_trade(SALE, **changed), flex_lot(SALE, FIRST, dateTime=""), flex_trade(other))
    assert messages(found) == [message, "the lot's trade cannot be read; needed it"]
    assert found.executions["execution_id"].to_list() == ["1009"]


def test_thousands_are_parted_by_commas_or_not(tmp_path: Path) -> None:
    found = read(tmp_path, flex_trade(SALE, quantity="-1,200", tradePrice="1,111.5", ibCommission="-1,000.25"))
    assert found.executions.select("quantity", "price_usd", "fees_usd").rows() == [
        (Decimal(1200), Decimal("1111.5"), Decimal("1000.25"))
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"quantity": "13"}, "the lots of execution 1001 add up to 13, it is of 12; needed them equal"),
        ({"quantity": ""}, "the lot has no quantity; needed it"),
        (
            {"transactionID": "", "openDateTime": ""},
            "the lot has no transactionID and no openDateTime; needed one of them",
        ),
        ({"cost": "much"}, "cost is 'much'; needed a number"),
    ],
)
def test_where_one_lot_cannot_be_read_no_lot_counts_and_the_trade_does(
    tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    found = read(tmp_path, flex_trade(SALE), flex_lot(SALE, SECOND), flex_lot(SALE, FIRST, **changed))
    wanted = message.replace("13, it", "15, it")
    assert messages(found) == [f"a lot of trade 1001 cannot be read: {wanted}"] * 2
    assert (found.executions.height, found.lots.height) == (1, 0)


def test_a_cost_of_nothing_is_unknown_and_a_purchase_that_stands_twice_names_neither(tmp_path: Path) -> None:
    found = read(tmp_path, flex_trade(SALE), *(flex_lot(SALE, {**FIRST, "quantity": 5, "cost": 0}) for _ in range(2)))
    assert found.lots.select("lot_id", "unit_cost_usd").rows() == [(None, None), (None, None)]


def test_a_sale_that_went_short_closed_less_than_it_sold(tmp_path: Path) -> None:
    found = read(tmp_path, flex_trade(SALE), flex_lot(SALE, SECOND))
    assert (found.lots["quantity"].to_list(), found.unread.height) == ([Decimal(2)], 0)


def test_closed_lots_may_be_trades_of_their_level(tmp_path: Path) -> None:
    lot = flex_lot(SALE, FIRST, quantity="-10").replace("<Lot ", "<Trade ")
    found = read(tmp_path, flex_trade(SALE), lot)
    assert found.lots.select("lot_id", "quantity").rows() == [("900", Decimal(10))]


@pytest.mark.parametrize("changed", [{"conid": "7"}, {"dateTime": "20260105;160000"}, {"accountId": "U2"}])
def test_a_lot_of_another_trade_than_the_one_before_is_unread(tmp_path: Path, changed: dict[str, str]) -> None:
    found = read(tmp_path, flex_trade(SALE), flex_lot(SALE, FIRST, **changed))
    assert messages(found) == ["the lot follows no execution that it is of; needed it after its trade"]


def test_orders_and_summaries_are_ignored_by_name(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '<SymbolSummary levelOfDetail="SYMBOL_SUMMARY" />',
        '<Order levelOfDetail="ORDER" />',
        flex_trade(SALE, levelOfDetail="ORDER"),
        flex_trade(SALE),
    )
    assert found.ignored == {"Order": 1, "SymbolSummary": 1, "Trade ORDER": 1}
    assert found.executions["row_number"].to_list() == [4]


def test_a_section_without_trades_is_a_file_without_executions(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.executions.height, found.unread.height, found.format) == (0, 0, "flex")


def test_the_account_is_that_of_the_statement_where_the_trade_has_none(tmp_path: Path) -> None:
    assert read(tmp_path, flex_trade(SALE, accountId="")).executions["account_id"].to_list() == ["U1"]


@pytest.mark.parametrize("name", NEEDED)
def test_a_field_that_the_query_leaves_out_refuses_the_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputRefused) as found:
        read(tmp_path, flex_trade(SALE, **{name: None}))
    assert str(found.value) == (
        f"f.txt: no Trade has the attribute {name}; needed it\n\nHint: select the field in the query's section Trades."
    )


WHOLE = flex_text(flex_trade(SALE))
ANSWER = "<FlexStatementResponse><Status>{}</Status><ErrorCode>1019</ErrorCode><ErrorMessage>busy</ErrorMessage></FlexStatementResponse>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            WHOLE[:-40],
            "f.txt cannot be read as XML (no element found: line 8, column 16); needed a whole Flex statement",
        ),
        (
            WHOLE.replace('count="1"', 'count="2"'),
            "f.txt has 1 statements and says 2; needed as many as FlexStatements counts",
        ),
        (
            WHOLE.replace(' count="1"', ""),
            "f.txt has 1 statements and does not say how many; needed as many as FlexStatements counts",
        ),
        (
            WHOLE.replace("Trades>", "TradeConfirms>"),
            "f.txt has no section Trades (sections found: TradeConfirms); needed it in an activity statement",
        ),
        (
            WHOLE.replace("<FlexQ", '<!DOCTYPE x [<!ENTITY a "b">]><FlexQ', 1),
            "f.txt has a DOCTYPE; needed a Flex statement, which has none",
        ),
        ("<html></html>", "f.txt begins with <html>; needed a Flex statement, which begins with <FlexQueryResponse>"),
        (
            ANSWER.format("Fail"),
            "f.txt is no statement; Interactive Brokers answered Fail (code 1019): busy; needed a Flex statement",
        ),
        (
            ANSWER.format("Success"),
            "f.txt is the answer to a request for a statement; needed the statement itself",
        ),
        (
            WHOLE.replace('levelOfDetail="EXECUTION"', 'levelOfDetail="ORDER"'),
            "f.txt has trades without their executions; needed executions",
        ),
    ],
)
def test_a_file_that_is_no_whole_statement_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputRefused) as found:
        read_text(tmp_path, text)
    sentence, _, hint = str(found.value).partition("\n\n")
    assert sentence == message
    assert hint.startswith("Hint: ")
