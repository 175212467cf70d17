"""Numbers of fields and values of codes that are read of FIX messages.

Source: FIX 4.4 and FIX 5.0 SP2, volume 4 (ExecutionReport) and volume 6 (field definitions), FIX Trading Community,
https://www.fixtrading.org/standards/. Values of ExecType(150) are the same in both.
"""

from collections.abc import Mapping
from typing import Final

from schemas.enums import ExecutionKind, Side

ACCOUNT: Final = 1
BEGIN_STRING: Final = 8
BODY_LENGTH: Final = 9
CHECK_SUM: Final = 10
CL_ORD_ID: Final = 11
COMMISSION: Final = 12
COMM_TYPE: Final = 13
CURRENCY: Final = 15
EXEC_ID: Final = 17
EXEC_REF_ID: Final = 19
EXEC_TRANS_TYPE: Final = 20
LAST_PX: Final = 31
LAST_QTY: Final = 32
MSG_TYPE: Final = 35
ORIG_CL_ORD_ID: Final = 41
SECURITY_ID: Final = 48
SIDE: Final = 54
SYMBOL: Final = 55
TEXT: Final = 58
TRANSACT_TIME: Final = 60
SYMBOL_SFX: Final = 65
TRADE_DATE: Final = 75
ORD_REJ_REASON: Final = 103
EXEC_TYPE: Final = 150
PRICE_TYPE: Final = 423
COMM_CURRENCY: Final = 479
APPL_VER_ID: Final = 1128

ABSOLUTE: Final = "3"
"""``CommType``: the commission is a total amount of money."""
PER_UNIT: Final = "2"
"""``PriceType``: the price is of one share."""
FIRST_APPL_VERSION: Final = 6
"""``ApplVerID`` of FIX 4.4; 9 is FIX 5.0 SP2."""
VERSIONS: Final = ("FIX.4.4", "FIXT.1.1")
EXECUTION_REPORT: Final = "8"

KINDS: Final[Mapping[str, ExecutionKind]] = {
    "0": ExecutionKind.ACKNOWLEDGED,
    "3": ExecutionKind.CANCELLED,
    "4": ExecutionKind.CANCELLED,
    "8": ExecutionKind.REJECTED,
    "C": ExecutionKind.CANCELLED,
    "F": ExecutionKind.FILL,
    "G": ExecutionKind.CORRECT,
    "H": ExecutionKind.BUST,
}
"""``ExecType``: new; done for day, canceled; rejected; expired; trade; trade correct; trade cancel."""
IGNORED_TYPES: Final[Mapping[str, str]] = {
    "5": "Replaced",
    "6": "Pending Cancel",
    "7": "Stopped",
    "9": "Suspended",
    "A": "Pending New",
    "B": "Calculated",
    "D": "Restated",
    "E": "Pending Replace",
    "I": "Order Status",
    "J": "Trade in a Clearing Hold",
    "K": "Trade released to Clearing",
    "L": "Triggered or Activated",
}
SIDES: Final[Mapping[str, tuple[Side, str]]] = {
    "1": (Side.BUY, ""),
    "2": (Side.SELL, ""),
    "3": (Side.BUY, "buy minus"),
    "4": (Side.SELL, "sell plus"),
    "5": (Side.SELL, "sell short"),
    "6": (Side.SELL, "sell short exempt"),
}
"""Which way it goes, and the name where we never send the like."""
OTHER_MESSAGES: Final[Mapping[str, str]] = {
    "0": "Heartbeat",
    "1": "Test Request",
    "2": "Resend Request",
    "3": "Reject",
    "4": "Sequence Reset",
    "5": "Logout",
    "9": "Order Cancel Reject",
    "A": "Logon",
    "D": "New Order Single",
    "E": "New Order List",
    "F": "Order Cancel Request",
    "G": "Order Cancel/Replace Request",
    "H": "Order Status Request",
    "J": "Allocation Instruction",
    "N": "List Status",
    "P": "Allocation Instruction Ack",
    "AE": "Trade Capture Report",
    "AK": "Confirmation",
    "AS": "Allocation Report",
    "AT": "Allocation Report Ack",
    "j": "Business Message Reject",
}
"""Messages that are no execution reports."""
READ: Final = frozenset(
    {
        *(
            ACCOUNT,
            CL_ORD_ID,
            COMMISSION,
            COMM_TYPE,
            CURRENCY,
            EXEC_ID,
            EXEC_REF_ID,
            EXEC_TRANS_TYPE,
            LAST_PX,
            LAST_QTY,
        ),
        *(MSG_TYPE, ORIG_CL_ORD_ID, SECURITY_ID, SIDE, SYMBOL, TEXT, TRANSACT_TIME, TRADE_DATE, ORD_REJ_REASON),
        *(EXEC_TYPE, PRICE_TYPE, COMM_CURRENCY, APPL_VER_ID, SYMBOL_SFX),
    }
)
"""Fields whose value counts: each stands once in a message."""
