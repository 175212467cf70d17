"""A format: one TOML file that says how a custodian's file becomes landing tables. ``docs/how-to/formats.md`` explains each key.

    name = "delimited-example"
    kind = "delimited"                     # delimited | fixed | flex | ofx
    files = "HOLD_{as_of:%Y%m%d}*.txt"     # names to take
    encoding = "utf-8"                     # delimited, fixed
    separator = "|"                        # delimited
    quote = '"'                            # delimited; "" where quotes mean nothing
    comment = "#"                          # lines that start so are skipped; or a list
    decimal = "."                          # how numbers are written
    thousands = ","
    currency_sign = "$"                    # taken off numbers: $5, -$5, ($5), 5 $

    [header]                               # first line of a delimited or fixed file
    match = "HDR"
    as_of = { field = 2, date = "%Y%m%d" } # fixed: { start = 4, width = 8, date = "%Y%m%d" }
    sequence = { field = 3 }

    [trailer]                              # last line
    match = "TRL"
    count = { field = 2 }                  # and records = ["POS"], or counts = "lines"
    totals = [{ field = 3, of = "quantity", records = ["POS"] }]

    [as_of]                                # any kind: a field that must be the night's date in every such record
    record = "FlexStatement"
    field = "toDate"
    date = "%Y-%m-%d"

    [[records]]                            # delimited, fixed; the readers of flex and ofx name their own
    kind = "POS"
    match = "POS"                          # absent: every line that is neither header nor trailer
    has_names = false                      # true: a line after the header names the fields; fields are names then
    fields = { account = 2, ticker = 3 }   # fixed: { account = [4, 12] }, start from 1 and width
    spare_cells = 1                        # empty cells that a line may have at its end beyond its width (delimited)
    width = 9                              # fields (delimited) or characters (fixed) in a line, or [least, most]
    line_number = 9                        # fixed: [60, 6]

    [[tables]]
    table = "lots"
    records = "POS"
    where = [{ field = "class", is = ["L"] }, { field = "status", not = ["C"] }]
    is_distinct = false

    [tables.columns]
    account_id = { field = "account" }
    lot_id = { fields = ["lot", "part"], join = "-" }
    cash_reserve_usd = { value = "0" }     # "{as_of}" is the night's date
    tax_status = { field = "type", codes = { IRA = "tax_deferred" } }
    acquired_date = { field = "bought", date = "%m/%d/%Y", null = ["00000000"] }
    quantity = { field = "quantity", implied_decimals = 3, sign = { field = "dc", negative = ["D"] }, is_absolute = true }
    unit_cost_usd = { field = "cost", divided_by = "quantity", scale = 0.01 }   # or times
    price_usd = { field = "cost", divided_by = { field = "quantity", implied_decimals = 3 } }

An operand (``divided_by``, ``times``, ``of``) is the name of a field, or an amount with the keys of a number.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from schemas.mappings import MappingFile, MappingPart
from tasks.formats.parts import (
    CellPosition,
    DayFormat,
    DayPosition,
    Number,
    Operand,
    Place,
    Scale,
    Span,
    Whole,
)

Kind = Literal["delimited", "fixed", "flex", "ofx"]
LINES: Final = ("delimited", "fixed")
"""Kinds of file that are read line by line."""
AS_OF: Final = "{as_of}"
"""As a value: the night's date."""


class CountCheck(CellPosition):
    """How many lines the file has: ``records`` of these kinds (empty: all), or all ``lines``, header and trailer too."""

    records: tuple[str, ...] = ()
    counts: Literal["records", "lines"] = "records"


class Total(CellPosition):
    """Exact sum of an amount over the records of some kinds (empty: all that have its field), as the trailer gives it."""

    of: Operand
    records: tuple[str, ...] = ()
    number: Literal["plain", "signed"] = "plain"
    implied_decimals: Annotated[int, Field(ge=0, le=12)] = 0


class Header(MappingPart):
    """The first line."""

    match: Annotated[str, Field(min_length=1)]
    as_of: DayPosition | None = None
    sequence: CellPosition | None = None


class Trailer(MappingPart):
    """The last line."""

    match: Annotated[str, Field(min_length=1)]
    count: CountCheck | None = None
    totals: tuple[Total, ...] = ()


class AsOf(MappingPart):
    """A field that holds the night's date in every record of a kind."""

    record: str
    field: str
    date: DayFormat


class Record(MappingPart):
    """A type of line."""

    kind: Annotated[str, Field(min_length=1)]
    match: str = ""
    has_names: bool = False
    fields: dict[str, Place]
    width: Whole | tuple[Whole, Whole] | None = None
    line_number: Whole | Span | None = None
    spare_cells: Annotated[int, Field(ge=0, le=9, strict=True)] = 0


class Condition(MappingPart):
    """Records whose field is, or is not, one of some texts; an empty field is ``""``."""

    field: str
    is_: tuple[str, ...] | None = Field(default=None, alias="is")
    not_: tuple[str, ...] | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.is_ is None) == (self.not_ is None):
            raise ValueError("needed one of is and not")
        return self


class InputColumn(Number):
    """How a landing column comes from a record's fields."""

    field: str | None = None
    fields: tuple[str, ...] = ()
    join: str = ""
    value: str | None = None
    date: DayFormat | None = None
    null: tuple[str, ...] = ()
    codes: dict[str, str] = Field(default_factory=dict)
    scale: Scale = None
    times: Operand | None = None
    divided_by: Operand | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum((self.field is not None, bool(self.fields), self.value is not None)) != 1:
            raise ValueError("needed one of field, fields and value")
        if sum((bool(self.codes), self.date is not None, self.is_computed)) > 1:
            raise ValueError("codes, a date and the keys of a number exclude one another")
        if self.times and self.divided_by:
            raise ValueError("needed one of times and divided_by")
        if self.is_computed and self.field is None:
            raise ValueError("the keys of a number need a field")
        return self

    @property
    def is_computed(self) -> bool:
        """Whether the cell is a number that does not stand in the file as the contract writes numbers."""
        return (
            self.number != "plain"
            or self.implied_decimals > 0
            or self.is_absolute
            or self.is_percent
            or any(each is not None for each in (self.sign, self.scale, self.times, self.divided_by))
        )

    @property
    def field_names(self) -> tuple[str, ...]:
        """Every field it reads."""
        own = [name for name in (self.field, self.sign and self.sign.field) if name]
        operands = [name for operand in (self.times, self.divided_by) if operand for name in operand.field_names]
        return tuple(dict.fromkeys([*own, *self.fields, *operands]))


class Table(MappingPart):
    """A landing table drawn from the records of one kind."""

    table: str
    records: str
    where: Annotated[
        tuple[Condition, ...], BeforeValidator(lambda given: [given] if isinstance(given, dict) else given)
    ] = ()
    is_distinct: bool = False
    columns: dict[str, InputColumn]


class InputMapping(MappingFile):
    """The whole TOML file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    notice: str = ""
    """What whoever reads such a file should know each time; told once for each file."""
    kind: Kind
    files: Annotated[str, Field(min_length=1)]
    encoding: str = "utf-8"
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    comment: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(lambda given: [each for each in [given] if each] if isinstance(given, str) else given),
    ] = ()
    thousands: Annotated[str, Field(max_length=1)] = ""
    currency_sign: Annotated[str, Field(max_length=3, pattern=r"^[^0-9+\-().,%\s]*$")] = ""
    header: Header | None = None
    trailer: Trailer | None = None
    as_of: AsOf | None = None
    records: tuple[Record, ...] = ()
    tables: Annotated[tuple[Table, ...], Field(min_length=1)]

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            is_ascii = "\nA1|".encode(name) == b"\nA1|"
        except LookupError:
            is_ascii = False
        if not is_ascii:
            raise ValueError(f"{name} is no encoding that holds ASCII; needed one such as utf-8, latin-1 or cp1252")
        return name


@dataclass(frozen=True, slots=True)
class InputFormat:
    """A mapping that holds together. ``digest``: SHA-256 of its TOML file, as hex."""

    mapping: InputMapping
    digest: str

    @property
    def name(self) -> str:
        """As the mapping calls itself."""
        return self.mapping.name

    @property
    def files(self) -> str:
        """Pattern of the names to take; may hold ``{as_of}``."""
        return self.mapping.files

    @property
    def tables(self) -> frozenset[str]:
        """Landing tables that it delivers."""
        return frozenset(table.table for table in self.mapping.tables)
