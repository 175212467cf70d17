"""Read executions from a CSV of our own columns.

1. A line is a message, or one of several lots that a fill or a correction closed: its lines then have the same
   ``execution_id`` and equal cells, each with its lot, and the lots add up to the quantity.
2. Lines of one ``execution_id`` that differ otherwise, or of which one cannot be read, are all unread: we do not guess.
3. The order of the columns does not matter; unknown ones are passed over. A column ``currency`` may say USD and nothing else.
4. An identifier that was exported with an apostrophe to disarm it in a spreadsheet is read without it.

``row_number`` counts lines below the header, without empty ones; ``raw`` is the line as a JSON object of its cells.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from schemas.errors import InputRefused
from schemas.landing_columns import CURRENCY
from tasks.core.facts import FORMULA_START
from tasks.core.gate import CURRENCY_COLUMN, LINE, as_json
from tasks.executions.execution import Lot, execution, lot, refuse_odd_lots, repeated_names
from tasks.executions.record_tally import RecordTally
from tasks.executions.words import IDENTIFIERS, Dialect, Unreadable, quote_value
from tasks.formats import csv_batches, csv_head, csv_header

REQUIRED: Final = ("execution_id", "kind", "client_order_id")
OPTIONAL: Final = (
    *("account_id", "symbol", "security_id", "side", "quantity", "price_usd", "fees_usd"),
    *("trade_date", "executed_at", "reference_id", "text"),
)
OF_A_LOT: Final = {
    "lot_id": "lot_id",
    "lot_acquired_date": "acquired_date",
    "lot_quantity": "quantity",
    "lot_unit_cost_usd": "unit_cost_usd",
}
"""Columns of a lot, and what they are called in ``EXECUTION_LOTS``."""
_MESSAGE: Final = (*REQUIRED, *OPTIONAL)
_DIALECT: Final = Dialect()
_LOT_DIALECT: Final = Dialect({ours: theirs for theirs, ours in OF_A_LOT.items()})
_DISARMED: Final = re.compile("'" + FORMULA_START.removeprefix("^"))
_BATCH: Final = 100_000
_BLOCK: Final = 1 << 24
"""How much is read at once."""
_PACKED: Final = {b"\x1f\x8b": ".gz", b"\x28\xb5": ".zst"}


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    raw: str
    cells: dict[str, str | None]
    fault: str | None
    """Why the line as such cannot be read."""


def read_csv(path: Path) -> RecordTally:
    """Everything in the file.

    Raises
    ------
    InputRefused
        A required column is missing, one is there twice, or the text cannot be read.
    """
    try:
        _refuse_odd_name(path)
        header = csv_header(path, csv_head(path))
        _refuse_header(path.name, header)
        lines = list(_lines(path, header))
    except (OSError, pa.ArrowInvalid) as error:
        raise InputRefused(
            f"{path.name} cannot be read to its end ({str(error).partition(chr(10))[0]}); needed a whole CSV\n\n"
            "Hint: deliver the file again; it may have been cut short."
        ) from error
    known = {*_MESSAGE, *OF_A_LOT, CURRENCY_COLUMN}
    gathered = RecordTally(unknown_columns=tuple(column for column in header if column not in known))
    groups: dict[str, list[_Line]] = {}
    for line in lines:
        groups.setdefault(line.cells.get("execution_id") or f"\0{line.number}", []).append(line)
    for group in groups.values():
        _take(gathered, group)
    return gathered


def _refuse_odd_name(path: Path) -> None:
    """A packed CSV is read by its name."""
    with path.open("rb") as file:
        ending = _PACKED.get(file.read(2), "")
    if ending != (path.suffix if path.suffix in _PACKED.values() else ""):
        raise InputRefused(
            f"{path.name} is {'packed' if ending else 'not packed'}, and its name says otherwise; needed a name that ends in "
            f"{ending or '.csv'}\n\nHint: rename the file."
        )


def _refuse_header(name: str, header: list[str]) -> None:
    for column in header:
        if header.count(column) > 1:
            raise InputRefused(
                f"{name} has the column {quote_value(column)} more than once; needed it once\n\nHint: leave one of them out."
            )
    for column in REQUIRED:
        if column not in header:
            close = difflib.get_close_matches(column, header, n=1)
            raise InputRefused(
                f"{name} has no column {column}; needed {', '.join(REQUIRED)}\n\n"
                f"Hint: {f'did you mean {close[0]}? ' if close else ''}columns found: {', '.join(header)[:400]}."
            )


def _lines(path: Path, header: list[str]) -> Iterator[_Line]:
    """The lines in file order; each cell as text without the spaces around it, blank is null."""
    first = 1
    for frame in csv_batches(path, header, _BATCH, block_bytes=_BLOCK):
        raws = as_json(frame.select(header))
        for number, (raw, row) in enumerate(zip(raws, frame.iter_rows(named=True), strict=True), first):
            ragged = row.get(LINE)
            cells = {column: _cell(column, row[column]) for column in header}
            yield _Line(number, raw if ragged is None else ragged, cells, _fault(cells, ragged, len(header)))
        first += frame.height


def _cell(column: str, text: str | None) -> str | None:
    text = (text or "").strip(" ")
    if column in IDENTIFIERS or column == "lot_id":
        text = text[1:] if _DISARMED.match(text) else text
    return text or None


def _fault(cells: dict[str, str | None], ragged: str | None, width: int) -> str | None:
    if ragged is not None:
        return f"the line has more or fewer cells than the header; needed {width}"
    currency = cells.get(CURRENCY_COLUMN)
    if currency not in {None, CURRENCY}:
        return f"currency is {quote_value(str(currency))}; needed {CURRENCY}"
    return None


def _take(gathered: RecordTally, lines: list[_Line]) -> None:
    """The lines of one execution: read together, or unread together; each by itself where none has a lot.

    One id twice without lots is a message told twice, or two that contradict each other; who matches it to an order says so.
    """
    if len(lines) > 1 and not any(any(_lot_cells(line).values()) for line in lines):
        for line in lines:
            _take(gathered, [line])
        return
    try:
        _refuse_faulty(lines)
        _refuse_different(lines)
        said = {column: lines[0].cells.get(column) for column in _MESSAGE}
        found = execution(said, _DIALECT)
        lots = [(line.number, lot(_lot_cells(line), _LOT_DIALECT)) for line in lines if any(_lot_cells(line).values())]
        _refuse_twice(found.execution_id, [each for _, each in lots])
        refuse_odd_lots(found, [each for _, each in lots])
    except Unreadable as error:
        for line in lines:
            gathered.set_aside(line.number, line.raw, _message(line, lines, str(error)))
        return
    gathered.accept(lines[0].number, lines[0].raw, found, said)
    gathered.close_lots(found.execution_id, lots)


def _refuse_twice(execution_id: str, lots: list[Lot]) -> None:
    for name in sorted(repeated_names(lots))[:1]:
        raise Unreadable(f"the lot {name} is named twice for execution {execution_id}; needed it once")


def _lot_cells(line: _Line) -> dict[str, str | None]:
    return {ours: line.cells.get(theirs) for theirs, ours in OF_A_LOT.items()}


def _message(line: _Line, lines: list[_Line], message: str) -> str:
    """What is wrong with the line, or with another of its execution."""
    faulty = next((each for each in lines if each.fault), None)
    if faulty is None or faulty is line:
        return message
    return line.fault or f"row {faulty.number} of the same execution cannot be read: {message}"


def _refuse_faulty(lines: list[_Line]) -> None:
    for line in lines:
        if line.fault:
            raise Unreadable(line.fault)


def _refuse_different(lines: list[_Line]) -> None:
    """Lines of one execution differ in their lot alone, and each has one."""
    if len(lines) == 1:
        return
    name = lines[0].cells["execution_id"]
    for column in (*_MESSAGE, CURRENCY_COLUMN):
        if len({line.cells.get(column) for line in lines}) > 1:
            raise Unreadable(
                f"execution {name} stands on {len(lines)} lines that differ in {column}; needed them to differ in their "
                "lot alone"
            )
    if not all(any(_lot_cells(line).values()) for line in lines):
        raise Unreadable(
            f"execution {name} stands on {len(lines)} lines, not each with a lot; needed one line for each"
        )
