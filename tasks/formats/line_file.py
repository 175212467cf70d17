"""A delimited or fixed file, line by line in bulk: header, records of each type, trailer.

1. The first line is the header and the last the trailer, where the mapping has them; a line that names the columns follows the header.
2. Every other line is of the one type whose mark it begins with. A line of no type refuses the file: what it says is unknown.
3. Records are handed on as they are read; what the trailer says is compared when it comes, at the end. Whoever takes the
   records keeps nothing of a file that is refused in the end.
"""

import difflib
from collections.abc import Iterator
from datetime import date

import polars as pl

from schemas.errors import InputRefused
from tasks.core.gate import LINE
from tasks.formats.faults import least_width, widest
from tasks.formats.lines import BLOCK_BYTES, read_lines
from tasks.formats.mapping import InputMapping, Record
from tasks.formats.parts import DayOf, days
from tasks.formats.records import Records
from tasks.formats.split import split_delimited, split_fixed
from tasks.formats.tally import LINE_NUMBER, RecordNumbers, Tally, cell_of, whole_number
from tasks.sources import FetchedFile

_SHOWN = 40


def line_records(
    mapping: InputMapping,
    file: FetchedFile,
    as_of: date,
    *,
    day_of: DayOf | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Records]:
    """The file's records, a type at a time for each block of lines, in file order.

    Raises
    ------
    InputRefused
        The file is not whole, not of that night, or has a line of no known type.
    """
    reading = _Reading(mapping, file.name, as_of, day_of)
    for block in _lines(mapping, file, block_bytes):
        yield from reading.take(block)
    reading.end()


def sequence_in_header(mapping: InputMapping, file: FetchedFile) -> int | None:
    """Number of the file in its header; null where the mapping has none."""
    if mapping.header is None or mapping.header.sequence is None:
        return None
    number, line = next(_lines(mapping, file, BLOCK_BYTES)).select("number", "line").row(0)
    _refuse_other_start(mapping, file.name, number, line)
    return whole_number(cell_of(line, mapping.header.sequence, mapping), file.name, number, "number of the file")


def _lines(mapping: InputMapping, file: FetchedFile, block_bytes: int) -> Iterator[pl.DataFrame]:
    """Lines that say something: of a delimited file, those with anything in a field."""
    blank = mapping.separator + mapping.quote if mapping.kind == "delimited" else ""
    comment = mapping.comment
    return read_lines(file.path, file.name, mapping.encoding, comment=comment, blank=blank, block_bytes=block_bytes)


def _refuse_other_start(mapping: InputMapping, name: str, number: int, line: str) -> None:
    if mapping.header and not _starts(pl.Series([line]), mapping, mapping.header.match)[0]:
        raise InputRefused(
            f"{name} line {number} is {_excerpt(line)}; needed the header, which starts with {mapping.header.match}\n\n"
            "Hint: is it the file of another format, or cut at its start?"
        )


def _starts(lines: pl.Series, mapping: InputMapping, match: str) -> pl.Series:
    """Whether the first field is ``match`` (delimited), or the line starts with it (fixed)."""
    if mapping.kind == "fixed":
        return lines.str.starts_with(match)
    is_it = (lines == match) | lines.str.starts_with(match + mapping.separator)
    if mapping.quote:
        quoted = f"{mapping.quote}{match}{mapping.quote}"
        is_it |= (lines == quoted) | lines.str.starts_with(quoted + mapping.separator)
    return is_it


def _excerpt(line: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in line[:_SHOWN])


class _Reading:
    """One file, as far as it was read."""

    def __init__(self, mapping: InputMapping, name: str, as_of: date, day_of: DayOf | None) -> None:
        self.mapping, self.name, self.as_of, self.day_of = mapping, name, as_of, day_of
        self.records = mapping.records
        self.are_columns_due = any(record.has_names for record in mapping.records)
        self.is_header_due = mapping.header is not None
        self.trailer_line: int | None = None
        self.tally, self.count = Tally(mapping, name), RecordNumbers(name)

    def take(self, block: pl.DataFrame) -> Iterator[Records]:
        """Records of the next lines; checks what stands around them."""
        if self.trailer_line is not None:
            self._refuse_after_trailer(block)
        self.tally.lines += block.height
        if self.is_header_due:
            number, line = block.select("number", "line").row(0)
            self._take_header(number, line)
            block = block.tail(-1)
        if self.are_columns_due and block.height:
            number, line = block.select("number", "line").row(0)
            self.records = (_with_numbers(self.records[0], self.mapping, self.name, number, line),)
            self.are_columns_due = False
            block = block.tail(-1)
        block, trailer = self._without_trailer(block)
        for records in self._records_by_type(block):
            self.tally.add(records)
            yield records
        if trailer is not None:
            self.tally.check_trailer(*trailer)

    def end(self) -> None:
        """Refuse a file that stopped too early."""
        if self.mapping.trailer and self.trailer_line is None:
            raise InputRefused(
                f"{self.name} ends without its trailer, a line that starts with {self.mapping.trailer.match}; needed it last\n\n"
                "Hint: the file was cut short; deliver it again."
            )
        if self.are_columns_due:
            raise InputRefused(f"{self.name} has no line that names the columns; needed one before the records")

    def _take_header(self, number: int, line: str) -> None:
        _refuse_other_start(self.mapping, self.name, number, line)
        self.is_header_due = False
        spot = self.mapping.header.as_of if self.mapping.header else None
        if spot is None:
            return
        text = cell_of(line, spot, self.mapping)
        day = days(pl.Series([text]), spot.date, self.day_of)[0]
        refuse_other_day(f"{self.name} line {number}", text, day, self.as_of, spot.date)

    def _refuse_after_trailer(self, block: pl.DataFrame) -> None:
        number, line = block.select("number", "line").row(0)
        raise InputRefused(
            f"{self.name} line {number} is {_excerpt(line)}, after the trailer in line {self.trailer_line}; needed the trailer "
            "last\n\nHint: were two files joined?"
        )

    def _without_trailer(self, block: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, int] | None]:
        if self.mapping.trailer is None:
            return block, None
        places = _starts(block["line"], self.mapping, self.mapping.trailer.match).arg_true()
        if places.is_empty():
            return block, None
        place = int(places[0])
        line, self.trailer_line = block.select("line", "number").row(place)
        if place + 1 < block.height:
            self._refuse_after_trailer(block.slice(place + 1))
        return block.head(place), (line, block["number"][place])

    def _records_by_type(self, block: pl.DataFrame) -> list[Records]:
        """Records of each type; refuses a line of none, and own numbers that do not follow one another."""
        masks = [_starts(block["line"], self.mapping, each.match) if each.match else None for each in self.records]
        if all(mask is not None for mask in masks):
            is_known = pl.repeat(value=False, n=block.height, eager=True)
            for mask in masks:
                is_known |= mask
            self._refuse_unknown(block.filter(~is_known))
        elif self.mapping.header:
            self._refuse_unknown(block.filter(_starts(block["line"], self.mapping, self.mapping.header.match)))
        found = []
        for record, mask in zip(self.records, masks, strict=True):
            rows = block if mask is None else block.filter(mask)
            if rows.height:
                found.append((record, Records(record.kind, _split(rows["line"], record, self.mapping), rows["number"])))
        self._check_own_numbers(found)
        return [_without_own_number(records) for _, records in found]

    def _refuse_unknown(self, block: pl.DataFrame) -> None:
        for number, line in block.select("number", "line").head(1).iter_rows():
            known = [record.match for record in self.records if record.match]
            words = f"a line that starts with {' or '.join(known)}" if known else "the header in the first line only"
            raise InputRefused(
                f"{self.name} line {number} is {_excerpt(line)}; needed {words}\n\n"
                "Hint: a record type that the format does not know needs a [[records]] entry, even if no table draws on it."
            )

    def _check_own_numbers(self, found: list[tuple[Record, Records]]) -> None:
        own = [
            pl.DataFrame({"number": records.numbers, "said": _own_numbers(records.cells)})
            for record, records in found
            if record.line_number is not None
        ]
        if own:
            self.count.check(pl.concat(own).sort("number"))


def _own_numbers(cells: pl.DataFrame) -> pl.Series:
    said = cells[LINE_NUMBER].fill_null("")
    return said.set(cells[LINE].is_not_null(), None) if LINE in cells.columns else said


def _without_own_number(records: Records) -> Records:
    return Records(records.kind, records.cells.drop(LINE_NUMBER, strict=False), records.numbers)


def _split(lines: pl.Series, record: Record, mapping: InputMapping) -> pl.DataFrame:
    places = {**record.fields, **({LINE_NUMBER: record.line_number} if record.line_number else {})}
    width = least_width(record), widest(record)
    if mapping.kind == "fixed":
        spans = {name: place for name, place in places.items() if isinstance(place, tuple)}
        return split_fixed(lines, spans, width)
    numbers = {name: place for name, place in places.items() if isinstance(place, int)}
    return split_delimited(
        lines, numbers, width, separator=mapping.separator, quote=mapping.quote, spare=record.spare_cells
    )


def refuse_other_day(where: str, text: str, day: date | None, as_of: date, day_format: str) -> None:
    """Refuse a file that says it is of another day, or does not say its day in a way that can be read."""
    if day is None:
        raise InputRefused(f"{where}: its date is {_excerpt(text) or 'empty'}; needed a day as {day_format}")
    if day != as_of:
        hint = (
            "yesterday's file again?"
            if day < as_of
            else "where it is made in the morning after, say so with morning_until in its source."
        )
        raise InputRefused(f"{where} is of {day}; the night is {as_of}; needed the same day\n\nHint: {hint}")


def _with_numbers(record: Record, mapping: InputMapping, name: str, number: int, line: str) -> Record:
    """``record`` with the number of each field instead of its column's name; a line then has as many fields as names.

    Raises
    ------
    InputRefused
        A column that the mapping takes is not there, or there twice.
    """
    names = _column_names(line, mapping)
    for field, wanted in record.fields.items():
        if names.count(str(wanted)) != 1:
            close = difflib.get_close_matches(str(wanted), [each for each in names if each], n=1)
            found = "more than once" if str(wanted) in names else "not there"
            raise InputRefused(
                f"{name} line {number}: the column {wanted} of the field {field} is {found}; needed it once\n\n"
                f"Hint: {f'did you mean {close[0]}? ' if close else ''}columns found: {', '.join(names)[:400]}."
            )
    fields = {field: names.index(str(wanted)) + 1 for field, wanted in record.fields.items()}
    return record.model_copy(update={"fields": fields, "width": len(names), "has_names": False})


def _column_names(line: str, mapping: InputMapping) -> list[str]:
    """Names in the line, without the spaces around them."""
    most = line.count(mapping.separator) + 1
    places = {str(place): place for place in range(1, most + 1)}
    cells = split_delimited(
        pl.Series([line]), places, (1, most), separator=mapping.separator, quote=mapping.quote
    ).select(places.keys())
    names = [(cell or "").strip() for cell in cells.row(0)]
    while len(names) > 1 and not names[-1] and cells.row(0)[len(names) - 1] is None:
        names.pop()
    return names
