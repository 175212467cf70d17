from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InputRefused
from tasks.executions.read import ExecutionRecords
from tests.support.execution_writers import SOH, fix_message, fix_report, read_text

FILL: dict[str, Any] = {
    "execution_id": "X1",
    "kind": "fill",
    "client_order_id": "O1",
    "side": "buy",
    "quantity": 10,
    "price_usd": "289.5",
    "executed_at": datetime(2026, 1, 6, 0, 30, tzinfo=UTC),
}


def only(found: ExecutionRecords) -> dict[str, Any]:
    assert found.unread["message"].to_list() == []
    (row,) = found.executions.to_dicts()
    return row


def message_of(found: ExecutionRecords) -> str:
    (message,) = found.unread["message"]
    return str(message)


@pytest.mark.parametrize(("version", "more"), [("FIX.4.4", {}), ("FIXT.1.1", {}), ("FIXT.1.1", {"f1128": "9"})])
def test_both_versions_are_read(tmp_path: Path, version: str, more: dict[str, str]) -> None:
    row = only(read_text(tmp_path, fix_report(FILL, version=version, **more)))
    assert (row["execution_id"], row["quantity"], row["price_usd"]) == ("X1", Decimal(10), Decimal("289.5"))


@pytest.mark.parametrize("version", ["FIX.4.2", "FIX.4.3", "FIX.4.0"])
def test_a_version_before_refuses_the_file(tmp_path: Path, version: str) -> None:
    with pytest.raises(InputRefused) as found:
        read_text(tmp_path, fix_report(FILL) + fix_report(FILL, version=version))
    assert str(found.value) == (
        f"f.txt message 2 is {version}; needed FIX.4.4 or FIXT.1.1\n\n"
        "Hint: ask the broker for FIX 4.4; before it, ExecTransType(20) says otherwise what was busted."
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [("0", "acknowledged"), ("8", "rejected"), ("4", "cancelled"), ("C", "cancelled"), ("3", "cancelled")],
)
def test_states_of_an_order_have_neither_quantity_nor_price(tmp_path: Path, code: str, kind: str) -> None:
    row = only(read_text(tmp_path, fix_report({**FILL, "kind": code, "quantity": 0, "price_usd": 0})))
    assert (row["kind"], row["quantity"], row["price_usd"]) == (kind, None, None)


@pytest.mark.parametrize(
    ("code", "name"),
    [("5", "Replaced"), ("6", "Pending Cancel"), ("A", "Pending New"), ("D", "Restated"), ("I", "Order Status")],
)
def test_states_between_are_ignored_by_name(tmp_path: Path, code: str, name: str) -> None:
    found = read_text(tmp_path, fix_report({**FILL, "kind": code}))
    assert (found.ignored, found.unread.height) == ({f"Execution Report {name}": 1}, 0)


def test_other_messages_are_ignored_by_name(tmp_path: Path) -> None:
    others = ["0", "0", "A", "9", "J", "ZZ"]
    found = read_text(tmp_path, "".join(fix_message((35, each)) for each in others) + fix_report(FILL))
    assert found.ignored == {
        "Allocation Instruction": 1,
        "Heartbeat": 2,
        "Logon": 1,
        "MsgType ZZ": 1,
        "Order Cancel Reject": 1,
    }
    assert only(found)["row_number"] == 7


def test_a_bust_and_a_correction_name_the_fill(tmp_path: Path) -> None:
    bust = {"execution_id": "X2", "kind": "bust", "reference_id": "X1"}
    correct = {**FILL, "execution_id": "X3", "kind": "correct", "reference_id": "X1", "quantity": 9}
    found = read_text(tmp_path, fix_report(bust) + fix_report(correct))
    assert found.executions.select("kind", "reference_id", "client_order_id", "quantity").rows() == [
        ("bust", "X1", None, None),
        ("correct", "X1", "O1", Decimal(9)),
    ]


def test_a_cancellation_that_was_asked_for_is_of_the_order_and_not_of_the_request(tmp_path: Path) -> None:
    cancelled = {**FILL, "kind": "cancelled", "client_order_id": "C1"}
    assert only(read_text(tmp_path, fix_report(cancelled, f41="O1")))["client_order_id"] == "O1"
    assert only(read_text(tmp_path, fix_report(FILL, f41="O0")))["client_order_id"] == "O1"


def test_without_a_trade_date_it_is_the_day_in_new_york(tmp_path: Path) -> None:
    assert only(read_text(tmp_path, fix_report(FILL)))["trade_date"] == date(2026, 1, 5)
    assert only(read_text(tmp_path, fix_report(FILL, f75="20260102")))["trade_date"] == date(2026, 1, 2)


@pytest.mark.parametrize(
    ("code", "side", "text"),
    [
        ("1", "buy", "well"),
        ("2", "sell", "well"),
        ("3", "buy", "side 3 (buy minus); well"),
        ("4", "sell", "side 4 (sell plus); well"),
        ("5", "sell", "side 5 (sell short); well"),
        ("6", "sell", "side 6 (sell short exempt); well"),
    ],
)
def test_a_side_that_we_never_send_is_read_and_named(tmp_path: Path, code: str, side: str, text: str) -> None:
    row = only(read_text(tmp_path, fix_report({**FILL, "side": code, "text": "well"})))
    assert (row["side"], row["text"]) == (side, text)


@pytest.mark.parametrize(("comm_type", "fees"), [("3", Decimal("0.35")), ("1", None), ("2", None), (None, None)])
def test_only_an_absolute_commission_is_the_fee(tmp_path: Path, comm_type: str | None, fees: Decimal | None) -> None:
    assert only(read_text(tmp_path, fix_report(FILL, f12="0.35", f13=comm_type)))["fees_usd"] == fees


def test_a_class_of_shares_may_stand_beside_the_symbol(tmp_path: Path) -> None:
    assert only(read_text(tmp_path, fix_report({**FILL, "symbol": "BRK"}, f65="B")))["symbol"] == "BRK.B"


def test_a_rejection_without_a_text_tells_its_reason(tmp_path: Path) -> None:
    rejected = {"execution_id": "X1", "kind": "rejected", "client_order_id": "O1"}
    assert only(read_text(tmp_path, fix_report(rejected, f103="3")))["text"] == "OrdRejReason 3"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"f17": None}, "the record has no ExecID(17); needed it"),
        ({"f11": None}, "the message is fill and has no ClOrdID(11); needed it"),
        ({"f54": "8"}, "Side(54) is '8'; needed one of 1, 2, 3, 4, 5, 6"),
        ({"f32": "0"}, "LastQty(32) is '0'; needed a number above 0"),
        (
            {"f31": "0.0000004"},
            "LastPx(31) is '0.0000004'; needed at most 6 decimals (rounding changes it by more than a millionth)",
        ),
        ({"f12": "-1", "f13": "3"}, "Commission(12) is '-1'; needed 0 or above"),
        ({"f60": None}, "the message is fill and has no TradeDate(75) or TransactTime(60); needed it"),
        (
            {"f60": "20260105-14:30:60"},
            "TransactTime(60) is '20260105-14:30:60'; needed a time in UTC as YYYYMMDD-HH:MM:SS",
        ),
        (
            {"f75": "20260105", "f60": "20260105-14:30"},
            "TransactTime(60) is '20260105-14:30'; needed a time in UTC as YYYYMMDD-HH:MM:SS",
        ),
        ({"f75": "2026-01-05"}, None),
        ({"f75": "20260132"}, "TradeDate(75) or TransactTime(60) is '20260132'; needed a day as YYYYMMDD"),
        ({"f15": "CAD"}, "Currency(15) is 'CAD'; needed USD"),
        ({"f479": "CAD"}, "CommCurrency(479) is 'CAD'; needed USD"),
        ({"f423": "1"}, "PriceType(423) is '1'; needed 2, a price for each share"),
        ({"f20": "0"}, "the message has ExecTransType(20), which is of FIX 4.2; needed ExecType(150) alone"),
        ({"f1128": "4"}, "ApplVerID(1128) is '4'; needed 6 (FIX 4.4) or above"),
        ({"f150": "2"}, "ExecType(150) is '2'; needed one of 0, 3, 4, 8, C, F, G, H"),
        ({"f150": None}, "ExecType(150) is ''; needed one of 0, 3, 4, 8, C, F, G, H"),
    ],
)
def test_what_a_report_lacks_is_told(tmp_path: Path, more: dict[str, Any], message: str | None) -> None:
    found = read_text(tmp_path, fix_report(FILL, **more) + fix_report({**FILL, "execution_id": "X9"}))
    if message is None:
        assert found.unread.height == 0
    else:
        assert message_of(found) == message
    assert found.executions["execution_id"].to_list()[-1] == "X9"


def test_a_message_sent_again_is_kept(tmp_path: Path) -> None:
    found = read_text(tmp_path, fix_report(FILL) + fix_report(FILL, f43="Y"))
    assert found.executions["execution_id"].to_list() == ["X1", "X1"]


def test_a_log_has_words_before_and_lines_between_messages(tmp_path: Path) -> None:
    log = (
        "2026-01-05 09:29:58.001 session up\n"
        f"2026-01-05 09:30:00.123 [IN ] {fix_report(FILL, '|')}\n"
        "\n"
        "2026-01-05 09:30:01.000 pinged, lag=3\r\n"
        f"2026-01-05 09:30:02.000 [IN ] {fix_report({**FILL, 'execution_id': 'X2'}, '|')} (2 of 2)\n"
        "bye"
    )
    found = read_text(tmp_path, log)
    assert found.executions["execution_id"].to_list() == ["X1", "X2"]
    assert found.ignored == {"lines without a message": 3}
    assert found.executions["raw"][0] == fix_report(FILL, "|")


@pytest.mark.parametrize("separator", [SOH, "|"])
def test_a_message_whose_beginning_is_lost_is_not_lost(tmp_path: Path, separator: str) -> None:
    first, second = fix_report(FILL, separator), fix_report({**FILL, "execution_id": "X2"}, separator)
    found = read_text(tmp_path, f"{first}\n{second.replace('8=FIX.4.4', '8=FIY.4.4')}\n")
    assert found.executions["execution_id"].to_list() == ["X1"]
    assert "17=X2" in found.unread["raw"].item()
    assert message_of(found).startswith("the message does not begin with BeginString(8)") or message_of(
        found
    ).startswith("BeginString(8) is 'FIY.4.4'")


def test_a_log_cut_short_loses_its_last_message_alone(tmp_path: Path) -> None:
    found = read_text(tmp_path, fix_report(FILL) + fix_report({**FILL, "execution_id": "X2"})[:-30])
    assert found.executions["execution_id"].to_list() == ["X1"]
    assert message_of(found) == "the message is not whole; needed the fields 8, 9 and 35 first and 10 last"


def test_a_nul_character_is_written_out_where_a_record_is_kept(tmp_path: Path) -> None:
    found = read_text(tmp_path, fix_report({**FILL, "text": "a\0b"}))
    assert message_of(found) == "Text(58) is 'a\\x00b'; needed text without NUL characters and half characters"
    assert "58=a\\0b" in found.unread["raw"].item()


def test_a_file_without_a_message_is_refused(tmp_path: Path) -> None:
    from tasks.executions.words import ExecutionFormat  # noqa: PLC0415 - for this test alone

    with pytest.raises(InputRefused, match=r"f\.txt holds no FIX message; needed some that begin with 8=FIX\.4\.4"):
        read_text(tmp_path, "nothing here\n", ExecutionFormat.FIX)
