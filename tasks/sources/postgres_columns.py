"""How the columns of a PostgreSQL relation are asked for.

Whole numbers, double precision and booleans come as they are. Everything else comes as the text that PostgreSQL shows, which
``tasks.core.gate.parsing`` reads exactly: numeric (NaN and all), real as its shortest digits, dates, uuid, enums, char(n) without
its padding, and a time stamp at midnight as its date (with a time zone: midnight UTC).

Known limits: a type is seen through one domain; a domain over a domain is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import InputRefused
from schemas.landing import CONTRACTS
from schemas.landing_columns import dtypes
from schemas.sources import DatedSource, Source
from tasks.core.gate import column_requirement

AS_OF_COLUMN: Final = "as_of_date"
_AS_THEY_ARE: Final = frozenset({"bool", "int2", "int4", "int8", "float8"})
_AS_TEXT: Final = frozenset({"bpchar", "citext", "date", "float4", "name", "numeric", "text", "uuid", "varchar"})
_TIMES: Final = frozenset({"timestamp", "timestamptz"})
_DATES: Final = frozenset({"date", "timestamp"})


@dataclass(frozen=True, slots=True)
class PostgresColumn:
    """A column of a relation. ``base_type``: what ``type`` is where that is a domain."""

    name: str
    type: str
    base_type: str
    is_enum: bool
    is_collated: bool

    @property
    def is_readable(self) -> bool:
        """Whether cells of its type can become a landing table's."""
        return self.is_enum or self.base_type in _AS_THEY_ARE | _AS_TEXT | _TIMES

    @property
    def select_expression(self) -> str:
        """Its expression, under its own name."""
        cell = f"t.{quote_name(self.name)}"
        if self.base_type in _TIMES:
            utc = f"({cell} AT TIME ZONE 'UTC')" if self.base_type == "timestamptz" else cell
            cell = f"regexp_replace({utc}::text, ' 00:00:00$', '')"
        elif self.base_type not in _AS_THEY_ARE:
            cell = f"{cell}::text"
        return f"{cell} AS {quote_name(self.name)}"

    @property
    def sort_expression(self) -> str:
        """Its expression to sort by, the same in every database."""
        return f't.{quote_name(self.name)} COLLATE "C"' if self.is_collated else f"t.{quote_name(self.name)}"


def quote_name(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def select(source: DatedSource, table: str, columns: Sequence[PostgresColumn]) -> str:
    """The query of a landing table's rows: all its columns, of the source's day where the table has a date, sorted.

    Raises
    ------
    InputRefused
        A known column has a type that cannot hold what it should.
    """
    named = {column.name: column for column in columns}
    for column in columns:
        _check(source, table, column)
    wanted = ", ".join(column.select_expression for column in columns if column.name != AS_OF_COLUMN)
    place = f"{quote_name(source.schema_name)}.{quote_name(table)}"
    where = f" WHERE t.{quote_name(AS_OF_COLUMN)} = DATE '{source.day.isoformat()}'" if AS_OF_COLUMN in named else ""
    order = ", ".join(named[name].sort_expression for name in _sort_key(table) if name in named)
    return f"SELECT {wanted} FROM {place} AS t{where}" + (f" ORDER BY {order}" if order else "")


def _check(source: Source, table: str, column: PostgresColumn) -> None:
    where = f"{source.schema_name}.{table}: the column {column.name} has the type {column.type}"
    if column.name == AS_OF_COLUMN and column.base_type not in _DATES:
        raise InputRefused(f"{where}; needed date, to choose the rows of the night\n\nHint: cast it in a view.")
    if column.name in dtypes(table) and not column.is_readable:
        raise InputRefused(
            f"{where}; needed {column_requirement(table, column.name)}\n\nHint: cast it in a view, {column.name}::numeric or ::text."
        )


def _sort_key(table: str) -> list[str]:
    """The key first; the rest makes the order of rows with the same key certain too."""
    key = list(CONTRACTS[table].to_schema().unique or ())
    return [*key, *(name for name in dtypes(table) if name not in key)]
