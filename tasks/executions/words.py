"""The words that every reader of executions shares: formats, columns, and the error for one record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from schemas.enums import ExecutionKind

Cells = Mapping[str, str | None]
"""What a record says, as text by the columns of ``EXECUTIONS`` or ``EXECUTION_LOTS``; null or blank: nothing."""

IDENTIFIERS: Final = ("execution_id", "client_order_id", "account_id", "symbol", "security_id", "reference_id")
NEEDED: Final[Mapping[ExecutionKind, tuple[str, ...]]] = {
    ExecutionKind.FILL: ("side", "quantity", "price_usd", "trade_date"),
    ExecutionKind.BUST: ("reference_id",),
    ExecutionKind.CORRECT: ("reference_id", "quantity", "price_usd"),
}
"""Columns without which a message of the kind says nothing, beside its ``execution_id`` and the order."""
CLOSES_LOTS: Final = frozenset({ExecutionKind.FILL, ExecutionKind.CORRECT})


class ExecutionFormat(StrEnum):
    """How a file of executions is written."""

    CSV = "csv"
    FIX = "fix"
    FLEX = "flex"
    ALPACA = "alpaca"


class Unreadable(ValueError):
    """One record cannot be read as an execution; ``str()`` of it is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class IgnoredRecord:
    """A record that is none of our business by the rules of its format, and what such records are called."""

    name: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a format calls our columns, and how it writes days and times; for messages."""

    names: Mapping[str, str] = field(default_factory=dict)
    day: str = "a day as YYYY-MM-DD"
    moment: str = "a time with its zone as 2026-01-05T14:30:00Z"

    def name(self, column: str) -> str:
        """What the format calls the column."""
        return self.names.get(column, column)


def quote_value(text: str) -> str:
    """A value as messages show it: quoted, and cut where it is long."""
    return repr(text if len(text) <= 40 else text[:40] + "...")  # noqa: PLR2004 - about a third of a line
