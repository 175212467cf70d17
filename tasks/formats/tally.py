"""What a file says of itself, against what was read: how many records, what they sum to, whether any is missing between.

Sums are exact. A record that cannot be counted into a sum leaves the sum wrong, so that the file is refused: what the trailer was
there to tell cannot be told.
"""

from dataclasses import dataclass, field
from decimal import Decimal

import polars as pl

from schemas.errors import InputRefused
from tasks.core.gate import LINE
from tasks.formats.amounts import amount, plain_number
from tasks.formats.mapping import InputMapping, Total
from tasks.formats.parts import Amount, CellPosition, Number
from tasks.formats.records import Records

LINE_NUMBER = "(line number)"
"""Column of a record's own number."""


def trim_cells(cells: pl.DataFrame) -> pl.DataFrame:
    """Text without the spaces around it; blank is null."""
    return cells.select(pl.all().str.strip_chars().replace("", None))


def cell_of(line: str, spot: CellPosition, mapping: InputMapping) -> str:
    """What stands in a place of the header or the trailer, without the spaces and quotes around it; nothing: empty."""
    if spot.field is None:
        start = (spot.start or 1) - 1
        return line[start : start + (spot.width or 0)].strip()
    cells = line.split(mapping.separator)
    cell = cells[spot.field - 1].strip() if spot.field <= len(cells) else ""
    quote = mapping.quote
    return cell[1:-1].strip() if quote and len(cell) > 1 and cell[0] == cell[-1] == quote else cell


def whole_number(text: str, name: str, number: int, what: str) -> int:
    """Digits as a number."""
    if not (text.isascii() and text.isdigit()):
        raise InputRefused(f"{name} line {number}: the {what} is {text[:40] or 'empty'}; needed digits")
    return int(text)


@dataclass(slots=True)
class Tally:
    """Counts and sums of a file so far."""

    mapping: InputMapping
    name: str
    lines: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[int, Decimal] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    """First line that could not be counted into a sum."""

    def add(self, records: Records) -> None:
        """Count records in."""
        self.counts[records.kind] = self.counts.get(records.kind, 0) + records.cells.height
        totals = self.mapping.trailer.totals if self.mapping.trailer else ()
        for place, total in enumerate(totals):
            if records.kind in total.records or (not total.records and _has(records.cells, total.of)):
                self._add_sum(place, total, records)

    def _add_sum(self, place: int, total: Total, records: Records) -> None:
        numbers = amount(total.of, trim_cells(records.cells.select(total.of.field_names)), self.mapping)
        sound = records.cells[LINE].is_null() if LINE in records.cells.columns else pl.Series([True])
        lost = records.numbers.filter(numbers.is_null() | ~sound)
        if len(lost):
            first = int(lost.min())  # type: ignore[arg-type]
            self.lost[place] = min(first, self.lost.get(place, first))
        found = pl.select(pl.when(sound).then(numbers)).to_series().sum()
        self.sums[place] = self.sums.get(place, Decimal(0)) + Decimal(found)

    def check_trailer(self, line: str, number: int) -> None:
        """Refuse a file whose records are not what its trailer says.

        Raises
        ------
        InputRefused
            A count or a sum differs, or the trailer's own cannot be read.
        """
        trailer = self.mapping.trailer
        if trailer is None:
            return
        if trailer.count:
            said = whole_number(cell_of(line, trailer.count, self.mapping), self.name, number, "number of records")
            kinds = trailer.count.records or tuple(self.counts)
            found = self.lines if trailer.count.counts == "lines" else sum(self.counts.get(kind, 0) for kind in kinds)
            if said != found:
                raise InputRefused(
                    f"{self.name} line {number}: the trailer counts {said} {trailer.count.counts}; found {found}, needed as "
                    "many\n\nHint: lines were lost or added on the way; deliver the file again."
                )
        for place, total in enumerate(trailer.totals):
            self._check_total(place, total, cell_of(line, total, self.mapping), number)

    def _check_total(self, place: int, total: Total, text: str, number: int) -> None:
        written = Number(number=total.number, implied_decimals=total.implied_decimals)
        said = plain_number(pl.Series([text]), written, self.mapping)[0]
        found = self.sums.get(place, Decimal(0))
        if said is None:
            raise InputRefused(
                f"{self.name} line {number}: the total of {total.of.field} is {text[:40]}; needed a number"
            )
        if said != found:
            lost = f" (line {self.lost[place]} has none that can be read)" if place in self.lost else ""
            raise InputRefused(
                f"{self.name} line {number}: the trailer's total of {total.of.field} is {said.normalize():f}; the records sum "
                f"to {found.normalize():f}{lost}, needed the same\n\n"
                "Hint: a record was lost or changed on the way; deliver the file again."
            )


@dataclass(slots=True)
class RecordNumbers:
    """Records that number themselves: each one more than the one before, wherever the first begins."""

    name: str
    latest: int | None = None

    def check(self, own: pl.DataFrame) -> None:
        """Refuse a gap or a repeat. ``own``: ``number`` (the line), ``said`` (text; null on a line of the wrong length), in file order.

        Raises
        ------
        InputRefused
            A number is no number, or not one more than the one before.
        """
        said = own["said"].str.strip_chars()
        digits = said.set(~said.str.contains("^[0-9]{1,18}$"), None).cast(pl.Int64)
        for number, text in (
            own.filter(said.is_not_null() & digits.is_null()).select("number", "said").head(1).iter_rows()
        ):
            raise InputRefused(f"{self.name} line {number}: its own number is {text[:40] or 'empty'}; needed digits")
        place = pl.int_range(own.height, eager=True)
        start = (digits - place).drop_nulls().head(1)
        if self.latest is not None:
            start = pl.Series([self.latest + 1])
        if start.is_empty():
            return
        wanted = place + start[0]
        odd = (digits != wanted).fill_null(value=False)
        for number, found, needed in own.select("number", said=digits, wanted=wanted).filter(odd).head(1).iter_rows():
            raise InputRefused(
                f"{self.name} line {number}: its own number is {found}; needed {needed}, one more than the record before\n\n"
                "Hint: records were lost or repeated on the way; deliver the file again."
            )
        self.latest = int(wanted[-1])


def _has(cells: pl.DataFrame, of: Amount) -> bool:
    return set(of.field_names) <= set(cells.columns)
