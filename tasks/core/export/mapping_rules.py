r"""What a mapping may say: the TOML text by which profile ``mapped`` writes a custodian's file. ``docs/how-to/profiles.md`` explains each key.

    description = "trades for Example Custody, layout of 2026-01"
    files = "TRD_{custodian}_{as_of:%Y%m%d}_{sequence:03}.txt"   # also {account_id}, {run_id}
    grain = "orders"                  # or "lots": a line per lot that a sell closes
    encoding = "ascii"                # or "utf-8"
    separator = "|"                   # and decimal = "."
    quote = '"'                       # "" where quotes mean nothing: what would need them is refused
    line_end = "\r\n"
    formulas = "refuse"               # text that a spreadsheet would run; or "apostrophe": written after one
    has_names = true                  # a line with the columns' names
    header = ["HDR|{as_of:%Y%m%d}"]   # lines before that
    trailer = ["TRL|{lines:08}|{buy_value_usd}|{sell_value_usd}"]
    is_without_order_id = false       # true: no column has the client_order_id, replies cannot be matched

    [[columns]]
    name = "Action"
    field = "side"
    codes = { buy = "B", sell = "S" }

    [[columns]]
    name = "Shares"
    field = "quantity"
    decimals = 4                      # more is refused; is_rounded = true rounds money half-even
    is_padded = true                  # always so many

Also in a column: ``value`` in place of a field, ``date`` (how a day is written), ``max_length`` (longer is refused, never cut),
``is_required``, ``null`` (what stands for nothing). ``schemas.mappings`` has what the mappings of incoming files (``tasks/formats/mapping.py``) share.
"""

import re
from collections.abc import Iterable, Iterator
from string import Formatter
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.exports import Profile
from schemas.mappings import MappingFile, MappingPart, parse_mapping, suggest_name
from tasks.core.facts import FORMULA_START

Kind = Literal["text", "number", "date"]
ORDER_FIELDS: Final[dict[str, Kind]] = {
    "client_order_id": "text",
    "account_id": "text",
    "household_id": "text",
    "tax_status": "text",
    "custodian": "text",
    "side": "text",
    "symbol": "text",
    "security_id": "text",
    "security_name": "text",
    "security_type": "text",
    "exchange": "text",
    "cusip": "text",
    "isin": "text",
    "quantity": "number",
    "order_in": "text",
    "order_amount": "number",
    "order_quantity": "number",
    "order_usd": "number",
    "order_type": "text",
    "time_in_force": "text",
    "reference_price_usd": "number",
    "estimated_value_usd": "number",
    "tax_lot_method": "text",
    "reason": "text",
    "as_of_date": "date",
    "run_id": "text",
}
"""What an order has, by the names of the export's own files. ``order_amount`` is in what ``order_in`` says; ``order_quantity`` is there for what is
ordered in shares alone, ``order_usd`` for what is in dollars."""
LOT_FIELDS: Final[dict[str, Kind]] = {
    "lot_id": "text",
    "lot_quantity": "number",
    "unit_cost_usd": "number",
    "acquired_date": "date",
    "term": "text",
}
"""What a lot has that a sell closes."""
FIELDS: Final = ORDER_FIELDS | LOT_FIELDS
MONEY: Final = ("reference_price_usd", "estimated_value_usd", "unit_cost_usd")
"""What may be rounded: no instruction depends on it."""
NAMES_IN_FILES: Final = ("account_id", "custodian", "as_of", "run_id", "sequence")
COUNTS: Final = ("orders", "accounts", "lines", "buy_orders", "sell_orders")
SUMS: Final = ("quantity", "order_amount", "order_quantity", "order_usd", "buy_value_usd", "sell_value_usd")
NAMES_IN_LINES: Final = ("as_of", "run_id", "sequence", *COUNTS, *SUMS)
ISO: Final = "%Y-%m-%d"
_DAY: Final = r"(?:[-./_ ]|%[Ymdyj])*%[Ymdyj]"
_SAFE: Final = r"[A-Za-z0-9._ -]*"
_FILE: Final = r"(?i)^[a-z0-9{].*\.(?!json$)[a-z0-9]{1,8}$"
"""A file's name: not hidden, and not that of the manifest beside it."""


class Piece(NamedTuple):
    """Part of a pattern: text, then a name in braces with what stands after its colon (both empty at the end)."""

    text: str
    name: str
    spec: str


def pieces(pattern: str) -> tuple[Piece, ...]:
    """``HDR{orders:04}`` in parts; a brace itself is written twice."""
    return tuple(Piece(text, name or "", spec or "") for text, name, spec, _ in Formatter().parse(pattern))


def _check_pattern(pattern: str, names: Iterable[str]) -> None:
    for piece in pieces(pattern):
        if piece.name and piece.name not in names:
            raise ValueError(f"{{{piece.name}}} is no name here; {suggest_name(piece.name, names)}")
        is_day, is_count = piece.name == "as_of", piece.name in {"sequence", *COUNTS}
        fits = re.fullmatch(_DAY, piece.spec) if is_day else is_count and re.fullmatch(r"0\d{1,2}", piece.spec)
        if piece.spec and not fits:
            raise ValueError(
                f"{{{piece.name}:{piece.spec}}} cannot be written; needed {{as_of:%Y%m%d}} or {{lines:08}}"
            )


def _file_pattern(text: str) -> str:
    _check_pattern(text, NAMES_IN_FILES)
    is_safe = all(re.fullmatch(_SAFE, piece.text) and "/" not in piece.spec for piece in pieces(text))
    if not is_safe or not re.search(_FILE, text):
        raise ValueError("needed a name of letters, digits and . _ - that ends as in .csv, and not in .json")
    if {"account_id", "custodian"} <= {piece.name for piece in pieces(text)}:
        raise ValueError("needed account_id or custodian, not both: an account has one custodian")
    return text


def _line_pattern(text: str) -> str:
    _check_pattern(text, NAMES_IN_LINES)
    return _constant(text)


def _constant(text: str) -> str:
    """Text of the mapping itself; a lone sign is no formula."""
    if re.search(r"[\r\n]", text) or (re.search(FORMULA_START, text) and text not in {"+", "-"}):
        raise ValueError("needed text without line breaks that a spreadsheet does not take for a formula")
    return text


def _day_format(text: str) -> str:
    if not re.fullmatch(_DAY, text):
        raise ValueError("needed a day of %Y, %m, %d, %y, %j and - . / _, as in %m/%d/%Y")
    return text


def _field(text: str) -> str:
    if text not in FIELDS:
        raise ValueError(f"there is no such field; {suggest_name(text, FIELDS)}")
    return text


def _column_name(text: str) -> str:
    if re.search("[{}]", text):
        raise ValueError("needed a name without braces")
    return _constant(text)


Constant = Annotated[str, AfterValidator(_constant)]
LinePattern = Annotated[str, AfterValidator(_line_pattern)]


class OutputColumn(MappingPart):
    """How a cell comes from an order, or from a lot that it closes."""

    name: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_column_name)]
    field: Annotated[str, AfterValidator(_field)] | None = None
    value: Constant | None = None
    codes: dict[str, Constant] = Field(default_factory=dict)
    date: Annotated[str, AfterValidator(_day_format)] | None = None
    decimals: Annotated[int, Field(ge=0, le=6, strict=True)] | None = None
    is_padded: bool = False
    is_rounded: bool = False
    max_length: Annotated[int, Field(ge=1, strict=True)] | None = None
    is_required: bool = False
    null: Constant = ""

    @property
    def kind(self) -> Kind:
        """What its field is; a value is text."""
        return "text" if self.field is None else FIELDS[self.field]

    @property
    def constants(self) -> tuple[str, ...]:
        """Every cell that the mapping itself gives."""
        return tuple(text for text in (self.value, *self.codes.values(), self.null) if text is not None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        needed = {
            "needed one of field and value": (self.field is None) != (self.value is None),
            "codes need a field that is text": not self.codes or (self.field is not None and self.kind == "text"),
            "date needs a field that is a day": self.date is None or self.kind == "date",
            "decimals need a field that is a number": self.decimals is None or self.kind == "number",
            "is_padded and is_rounded need decimals": self.decimals is not None
            or not (self.is_padded or self.is_rounded),
            f"is_rounded needs one of {', '.join(MONEY)}": not self.is_rounded or self.field in MONEY,
            f"a text of the mapping is longer than max_length = {self.max_length}": self.max_length is None
            or all(len(text) <= self.max_length for text in self.constants),
        }
        for sentence, is_met in needed.items():
            if not is_met:
                raise ValueError(sentence)
        return self


class OutputMapping(MappingFile):
    """The whole TOML text."""

    files: Annotated[str, Field(max_length=120), AfterValidator(_file_pattern)]
    grain: Literal["orders", "lots"] = "orders"
    encoding: Literal["utf-8", "ascii"] = "utf-8"
    separator: Annotated[str, Field(pattern=r"""^[^A-Za-z0-9"'.=+@\r\n-]$""")] = ","
    quote: Literal['"', ""] = '"'
    line_end: Literal["\n", "\r\n"] = "\n"
    formulas: Literal["refuse", "apostrophe"] = "refuse"
    has_names: bool = True
    header: tuple[LinePattern, ...] = ()
    trailer: tuple[LinePattern, ...] = ()
    is_without_order_id: bool = False
    columns: Annotated[tuple[OutputColumn, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for sentence in self._faults():
            raise ValueError(sentence)
        return self

    def _faults(self) -> Iterator[str]:
        names = [column.name for column in self.columns]
        yield from (
            f"there are two columns {name}" for name in sorted({each for each in names if names.count(each) > 1})
        )
        for column in self.columns:
            if column.field in LOT_FIELDS and self.grain != "lots":
                yield f'the column {column.name} has a field of lots, {column.field}; needed grain = "lots"'
            if self.quote == "" and any(self.separator in text for text in (column.name, *column.constants)):
                yield f"the column {column.name} has a text with the separator, and there are no quotes"
        written = [*self.header, *self.trailer, *names, *(text for column in self.columns for text in column.constants)]
        if self.encoding == "ascii" and not all(text.isascii() for text in (self.separator, *written)):
            yield "the mapping has a text that is not ASCII, and the encoding is ascii"
        has_id = any(column.field == "client_order_id" and not column.codes for column in self.columns)
        if has_id == self.is_without_order_id:
            yield (
                "is_without_order_id is true, but a column has the client_order_id"
                if has_id
                else "no column has the field client_order_id, so replies cannot be matched; needed one, or is_without_order_id = true"
            )


def read_mapping(profile: Profile) -> OutputMapping:
    """The mapping of a profile, whose ``mapping`` is the TOML text.

    Raises
    ------
    WrongUsage
        It does not hold together: the profile, the key or column, and what was needed.
    """
    return parse_mapping(
        OutputMapping,
        profile.mapping.encode(),
        source=f"mapping of the profile {profile.name}",
        page="docs/how-to/profiles.md",
    )
