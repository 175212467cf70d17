"""The line of a delimited file that names its columns."""

import difflib

import polars as pl

from schemas.errors import InputRefused
from tasks.formats.mapping import InputMapping, Record
from tasks.formats.split import split_delimited


def with_numbers(record: Record, mapping: InputMapping, name: str, number: int, line: str) -> Record:
    """``record`` with the number of each field instead of its column's name; a line then has as many fields as names.

    Raises
    ------
    InputRefused
        A column that the mapping takes is not there, or there twice.
    """
    names = column_names(line, mapping)
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


def column_names(line: str, mapping: InputMapping) -> list[str]:
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
