"""Read execution reports from a log of FIX messages, 4.4 and 5.0 SP2 (FIXT 1.1).

1. A record begins at ``8=FIX`` and ends with its CheckSum(10). Messages follow one another, on lines of their own or not, each
   perhaps after words of the log. A line between messages that holds fields is a record that cannot be read; a line
   without any is counted.
2. ``tasks.executions.fix_message`` checks a message; ``tasks.executions.fix_words`` has the fields and codes.
3. The order is ClOrdID(11); of a cancellation OrigClOrdID(41) where it is there, for then ClOrdID names the request to cancel.
4. TradeDate(75) is sent for trades of another day alone: without it, the day in New York of TransactTime(60).
5. A side that we never send (sell short and the like) is read as the way it goes, and named in ``text``.
6. A class of shares may stand in SymbolSfx(65): the symbol is then both, as ``BRK.B``.
7. Commission(12) is the fee where CommType(13) is 3, absolute; commissions by share or percent have none.

A version before 4.4 refuses the file: its ExecTransType(20) says otherwise what was busted. ``row_number`` is the place among the
records. Messages sent again (PossDupFlag) are kept: who takes them knows them by ``execution_id``.

Known limits: MiscFees are left out; allocations are not read; of a message with several fills (NoFills) the total is read.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

from schemas.errors import InputRefused
from schemas.landing_columns import CURRENCY
from tasks.executions import fix_words as fix
from tasks.executions.fix_message import end_of, fields_of, version_of
from tasks.executions.record_tally import RecordTally
from tasks.executions.values import iso_day, market_day
from tasks.executions.words import CLOSES_LOTS, Cells, Dialect, IgnoredRecord, Unreadable, quote_value

_START: Final = re.compile(rb"(?<![0-9])8=FIX")
_HAS_FIELDS: Final = re.compile(rb"\x01|(?:^|\||\^A)[1-9][0-9]{0,5}=[^|]*?(?:\||\^A)")
_OLD: Final = re.compile(r"FIX\.4\.[0-3]")
_MOMENT: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})-([0-9:]{8}(?:\.[0-9]+)?)")
_NO_MESSAGE: Final = "lines without a message"
_DIALECT: Final = Dialect(
    names={
        "execution_id": "ExecID(17)",
        "client_order_id": "ClOrdID(11)",
        "account_id": "Account(1)",
        "symbol": "Symbol(55)",
        "security_id": "SecurityID(48)",
        "side": "Side(54)",
        "quantity": "LastQty(32)",
        "price_usd": "LastPx(31)",
        "fees_usd": "Commission(12)",
        "trade_date": "TradeDate(75) or TransactTime(60)",
        "executed_at": "TransactTime(60)",
        "reference_id": "ExecRefID(19)",
        "text": "Text(58)",
    },
    day="a day as YYYYMMDD",
    moment="a time in UTC as YYYYMMDD-HH:MM:SS",
)


def read_fix(path: Path, data: bytes) -> RecordTally:
    """Everything in the log, whose bytes are ``data``.

    Raises
    ------
    InputRefused
        It holds no message, or one of a version before 4.4.
    """
    gathered = RecordTally()
    number = 0
    for piece in _pieces(data):
        if isinstance(piece, IgnoredRecord):
            gathered.ignore(piece.name)
            continue
        number += 1
        _refuse_old(path.name, number, piece)
        gathered.take(number, piece.decode(errors="backslashreplace"), partial(_report_cells, piece), _DIALECT)
    if not number:
        raise InputRefused(
            f"{path.name} holds no FIX message; needed some that begin with 8=FIX.4.4 or 8=FIXT.1.1\n\n"
            "Hint: pass --format if it is in another format."
        )
    return gathered


def _pieces(data: bytes) -> Iterator[bytes | IgnoredRecord]:
    """Messages, and what stands between them, in file order."""
    starts = [found.start() for found in _START.finditer(data)]
    end = 0
    for start, following in pairwise([*starts, len(data)]):
        yield from _between(data[end:start], after=end > 0, before=True)
        end = end_of(data, start, following)
        yield data[start:end]
    yield from _between(data[end:], after=end > 0, before=False)


def _between(text: bytes, *, after: bool, before: bool) -> Iterator[bytes | IgnoredRecord]:
    """Lines between messages. What stands on a line with the message ``after`` or ``before`` which they come is no line."""
    lines = text.split(b"\n")
    own = range(1 if after else 0, len(lines) - (1 if before else 0))
    for place, line in enumerate(lines):
        if _HAS_FIELDS.search(line.strip()):
            yield line.strip()
        elif line.strip() and place in own:
            yield IgnoredRecord(_NO_MESSAGE)


def _refuse_old(name: str, number: int, message: bytes) -> None:
    version = version_of(message)
    if _OLD.fullmatch(version):
        raise InputRefused(
            f"{name} message {number} is {version}; needed {' or '.join(fix.VERSIONS)}\n\n"
            "Hint: ask the broker for FIX 4.4; before it, ExecTransType(20) says otherwise what was busted."
        )


def _report_cells(message: bytes) -> Cells | IgnoredRecord:
    """What an execution report says; other messages and states between are ignored by name."""
    fields = fields_of(message)
    message_type = fields.get(fix.MSG_TYPE, "")
    if message_type != fix.EXECUTION_REPORT:
        return IgnoredRecord(fix.OTHER_MESSAGES.get(message_type, f"MsgType {message_type[:10]}"))
    _refuse_unlike(fields)
    exec_type = fields.get(fix.EXEC_TYPE, "")
    if exec_type in fix.IGNORED_TYPES:
        return IgnoredRecord(f"Execution Report {fix.IGNORED_TYPES[exec_type]}")
    kind = fix.KINDS.get(exec_type)
    if kind is None:
        raise Unreadable(f"ExecType(150) is {quote_value(exec_type)}; needed one of {', '.join(fix.KINDS)}")
    executed_at = _iso_moment(fields.get(fix.TRANSACT_TIME))
    side, side_name = _side(fields)
    is_fill = kind in CLOSES_LOTS
    return {
        "execution_id": fields.get(fix.EXEC_ID),
        "kind": kind,
        "client_order_id": _order(fields, exec_type),
        "account_id": fields.get(fix.ACCOUNT),
        "symbol": ".".join(filter(None, (fields.get(fix.SYMBOL), fields.get(fix.SYMBOL_SFX)))),
        "security_id": fields.get(fix.SECURITY_ID),
        "side": side,
        "quantity": fields.get(fix.LAST_QTY) if is_fill else None,
        "price_usd": fields.get(fix.LAST_PX) if is_fill else None,
        "fees_usd": fields.get(fix.COMMISSION) if fields.get(fix.COMM_TYPE) == fix.ABSOLUTE else None,
        "trade_date": iso_day(fields.get(fix.TRADE_DATE)) or (market_day(executed_at) if is_fill else None),
        "executed_at": executed_at,
        "reference_id": fields.get(fix.EXEC_REF_ID),
        "text": "; ".join(filter(None, (side_name, fields.get(fix.TEXT) or _reason(fields)))),
    }


def _refuse_unlike(fields: Mapping[int, str]) -> None:
    """What looks like a report of ours and is counted otherwise."""
    if fix.EXEC_TRANS_TYPE in fields:
        raise Unreadable("the message has ExecTransType(20), which is of FIX 4.2; needed ExecType(150) alone")
    version = fields.get(fix.APPL_VER_ID, "9")
    if not (version.isascii() and version.isdigit() and int(version) >= fix.FIRST_APPL_VERSION):
        raise Unreadable(f"ApplVerID(1128) is {quote_value(version)}; needed 6 (FIX 4.4) or above")
    for number, name in ((fix.CURRENCY, "Currency(15)"), (fix.COMM_CURRENCY, "CommCurrency(479)")):
        if fields.get(number, CURRENCY) != CURRENCY:
            raise Unreadable(f"{name} is {quote_value(fields[number])}; needed {CURRENCY}")
    if fields.get(fix.PRICE_TYPE, fix.PER_UNIT) != fix.PER_UNIT:
        raise Unreadable(f"PriceType(423) is {quote_value(fields[fix.PRICE_TYPE])}; needed 2, a price for each share")


def _order(fields: Mapping[int, str], exec_type: str) -> str | None:
    is_cancelled = exec_type == "4"
    return (fields.get(fix.ORIG_CL_ORD_ID) if is_cancelled else None) or fields.get(fix.CL_ORD_ID)


def _side(fields: Mapping[int, str]) -> tuple[str | None, str]:
    """The way it goes, and words for ``text`` where we never send the like."""
    code = fields.get(fix.SIDE)
    if code is None:
        return None, ""
    if code not in fix.SIDES:
        raise Unreadable(f"Side(54) is {quote_value(code)}; needed one of {', '.join(fix.SIDES)}")
    side, name = fix.SIDES[code]
    return side, f"side {code} ({name})" if name else ""


def _reason(fields: Mapping[int, str]) -> str:
    return f"OrdRejReason {fields[fix.ORD_REJ_REASON]}" if fix.ORD_REJ_REASON in fields else ""


def _iso_moment(text: str | None) -> str | None:
    """``2026-01-05T14:30:00Z`` for ``20260105-14:30:00``; what is no time stays as it is."""
    found = _MOMENT.fullmatch(text or "")
    iso = f"{found[1]}-{found[2]}-{found[3]}T{found[4]}Z" if found else None
    return iso if market_day(iso) else text
