"""Types that the ledger's columns have on every database.

Money is exact: NUMERIC where there is one, text in SQLite. Times are UTC.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

HEXADECIMAL: Final = re.compile("[0-9a-f]+")


class Money(TypeDecorator[Decimal]):
    """USD with six digits after the point; text in SQLite, whose own numbers are binary fractions."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """NUMERIC wherever it is exact."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.Numeric(38, 6))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Fixed point, so that equal amounts are equal texts."""
        return f"{value:.6f}" if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Back to Decimal."""
        return None if value is None else Decimal(value)


class Utc(TypeDecorator[datetime]):
    """A moment. Only time-zone-aware values go in, and UTC comes out."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without zone: its meaning would depend on the machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; the ledger keeps UTC")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """UTC, whatever the session's zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def one_of(column: str, words: Iterable[str]) -> str:
    """SQL condition that the column holds one of our own words."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


def begins(column: sa.ColumnElement[str], prefix: str) -> sa.ColumnElement[bool]:
    """Whether a name begins so. Of a hexadecimal beginning an index finds the few: such names sort the same in every collation."""
    is_it = sa.func.substr(column, 1, len(prefix)) == prefix
    return is_it & (column >= prefix) & (column < f"{prefix}g") if HEXADECIMAL.fullmatch(prefix) else is_it
