"""From a landing table as it was read to its contract's types; a cell that does not fit is recorded, never guessed.

1. Each contract column is read as its type. Every cell is trimmed of spaces of every kind, those that do not break and those
   that take no room too; a blank cell is null, or 0 where the contract says so. Thousands separators, NaN, infinities, dates
   other than ``YYYY-MM-DD`` or outside the years 1900 to 9999, text with a NUL character and more than 12 digits before the
   point do not parse. More than six digits after the point are rounded half-even, in text as in binary floats; text that
   this would change by more than a millionth of itself does not parse.
2. ``unparsed`` names the columns that had a cell and have no value now. Three names are no contract column: ``currency``
   (a currency other than USD), ``line`` (the line has more or fewer cells than the header) and ``holding`` (the row stands for a
   holding whose lots do not add up).
3. ``raw`` is the row as read, a JSON object of all its columns with every cell as text or null.

Known limits: a time of day is not a date, so a midnight is accepted from a date-time column of Parquet only.
"""

from datetime import date
from decimal import Decimal
from typing import Final

import polars as pl

from schemas.landing_columns import BLANK_IS_ZERO, CURRENCY, dtypes
from schemas.units import EXACT

LINE: Final = "(line)"
"""Column that the reader adds when a CSV has lines of the wrong length: the text of such a line, else null."""

HOLDING: Final = "(holding)"
"""Column that a reader adds where a file has holdings beside their lots: how the two differ in a row that stands for such a holding, else null."""

CURRENCY_COLUMN: Final = "currency"
"""Column that any table may have: a row that names a currency other than USD there is not taken for one in USD."""

_PLAIN_NUMBER: Final = r"^[+-]?[0-9]{1,12}(?:\.[0-9]{0,6}0*)?$"
_NUMBER: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$"
_WHOLE: Final = r"^[+-]?[0-9]{1,18}(?:\.0*)?$"
_DATE: Final = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_LONGEST_NUMBER: Final = 1000
"""Bytes of a number written in an odd way: of a million digits even Python's decimals overflow."""
_EXACT_BOUND: Final = 10**12
_MOST_ROUNDED: Final = Decimal("1e-6")
"""Share of a number in text by which rounding may change it."""
_SEVENTH_DIGIT: Final = r"^[^eE]*\.[0-9]{6}[0-9]*[1-9]"
_SPACES: Final = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u180e\u200b\u200c\u200d\u2060\ufeff"
)
"""White space of Unicode, and marks that take no room: joiners, the byte order mark."""
_WHOLE_FLOAT_BOUND: Final = 2.0**53
_UNIX_EPOCH: Final = date(1970, 1, 1)
_FIRST_DAY: Final = (date(1900, 1, 1) - _UNIX_EPOCH).days
_LAST_DAY: Final = (date(9999, 12, 31) - _UNIX_EPOCH).days
_PER_DAY: Final = {None: 1, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_OUT_OF_RANGE: Final = "a date outside the years 1900 to 9999"
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}


def parse(
    table: str,
    raw: pl.DataFrame,
    *,
    is_text: bool,
    first_row: int = 1,
    numbers: pl.Series | None = None,
    as_read: pl.Series | None = None,
) -> pl.DataFrame:
    """Typed rows of a landing table, in the order read: one row out for each row in.

    Parameters
    ----------
    table
        Name of the landing table.
    raw
        The rows as read. A contract column that is missing counts as blank.
    is_text
        True for CSV: ``raw`` is then kept for every row, else only for rows with a cell that did not parse.
    first_row
        Number of the first row of ``raw`` in its file, for tables read in batches.
    numbers
        Number of each row (Int64) where they do not follow one another.
    as_read
        What stood in the file for each row, as JSON, where that is not what ``raw`` has.

    Returns
    -------
    pl.DataFrame
        The contract columns, then ``row_number`` (1 = first data row), ``raw`` and ``unparsed``.
    """
    types = dtypes(table)
    cells = [name for name in raw.columns if name not in (LINE, HOLDING)]
    typed = [
        _read_column(raw[name], dtype) if name in cells else _nulls(name, dtype, raw.height)
        for name, dtype in types.items()
    ]
    broken = {
        **{column.name: _is_lost(raw[column.name], column) for column in typed if column.name in cells},
        CURRENCY_COLUMN: _is_foreign(raw),
        "line": _is_there(raw, LINE),
        "holding": _is_there(raw, HOLDING),
    }
    zeros = [pl.col(name).fill_null(pl.lit(0).cast(EXACT)) for name in BLANK_IS_ZERO.get(table, ())]
    unparsed = _joined_names(broken, raw.height)
    if numbers is None:
        numbers = pl.int_range(first_row, first_row + raw.height, dtype=pl.Int64, eager=True)
    if as_read is None:
        as_read = _as_read(raw, cells, is_text=is_text, unparsed=unparsed)
    return pl.DataFrame([*typed, numbers.alias("row_number"), as_read.alias("raw"), unparsed]).with_columns(zeros)


def _is_there(raw: pl.DataFrame, name: str) -> pl.Series:
    return raw[name].is_not_null() if name in raw.columns else pl.repeat(value=False, n=raw.height, eager=True)


def rounded_cells(table: str, raw: pl.DataFrame, parsed: pl.DataFrame) -> int:
    """How many cells were rounded to six digits after the point."""
    exact = [name for name, dtype in dtypes(table).items() if dtype == EXACT and name in raw.columns]
    return sum(int((_is_long(raw[name], parsed[name]) & parsed[name].is_not_null()).sum()) for name in exact)


def _is_long(cells: pl.Series, exact: pl.Series) -> pl.Series:
    """True where a cell has more than six digits after the point."""
    if isinstance(cells.dtype, pl.String):
        return cells.str.contains(_SEVENTH_DIGIT).fill_null(value=False)
    if cells.dtype.is_float():
        return (exact.cast(pl.Float64) != cells.cast(pl.Float64)).fill_null(value=False)
    return pl.repeat(value=False, n=cells.len(), eager=True)


def can_read(found: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether cells of type ``found`` may hold a ``wanted``; text may always. Judges the column, not its cells."""
    if isinstance(found, (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        return True
    if wanted == pl.String:
        return found.is_integer() or found.is_float()
    if wanted == pl.Date:
        return isinstance(found, (pl.Date, pl.Datetime))
    return found.is_numeric() or (wanted == pl.Boolean and found == pl.Boolean)


def as_json(frame: pl.DataFrame) -> pl.Series:
    """Each row as a JSON object of text or null; numbers without trailing zeros, so that 5.000000 reads 5."""
    texts = [_text(frame[name]).alias(name) for name in frame.columns]
    return pl.DataFrame(texts).to_struct("raw").struct.json_encode()


def _nulls(name: str, dtype: pl.DataType, height: int) -> pl.Series:
    return pl.Series(name, [None], dtype=dtype).new_from_index(0, height)


def _read_column(cells: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The column as ``dtype``; null where a cell does not fit."""
    if not can_read(cells.dtype, dtype):
        return _nulls(cells.name, dtype, cells.len())
    if isinstance(cells.dtype, (pl.Categorical, pl.Enum)):
        cells = cells.cast(pl.String)
    if dtype == pl.String:
        return _read_text(cells)
    if isinstance(cells.dtype, pl.String):
        cells = _trim(cells)
    if dtype == EXACT:
        return _read_exact(cells)
    if dtype == pl.Float64:
        return _read_float(cells)
    if dtype == pl.Date:
        return _read_date(cells)
    return _read_bool(cells) if dtype == pl.Boolean else _read_whole(cells)


def _trim(cells: pl.Series) -> pl.Series:
    """Text without the spaces around it; blank is null."""
    return cells.to_frame().select(_blank_to_null(cells.name)).to_series()


def _blank_to_null(name: str) -> pl.Expr:
    trimmed = pl.col(name).str.strip_chars(_SPACES)
    return pl.when(trimmed != "").then(trimmed).alias(name)


def _where(values: pl.Series, mask: pl.Series) -> pl.Series:
    """Values where the mask is true, null elsewhere."""
    return pl.select(pl.when(mask).then(values).alias(values.name)).to_series()


def _read_text(cells: pl.Series) -> pl.Series:
    """Text; a number that is whole, as digits (identifiers often arrive as numbers)."""
    if cells.dtype.is_float():
        cells = _whole(cells).cast(pl.Int64)
    texts = _trim(cells.cast(pl.String))
    has_nul = texts.str.contains("\0", literal=True)
    return _where(texts, ~has_nul) if has_nul.any() else texts


def _whole(numbers: pl.Series) -> pl.Series:
    """Floats that are whole and exact, else null."""
    return _where(numbers, (numbers == numbers.round(0)) & (numbers.abs() < _WHOLE_FLOAT_BOUND))


def _read_exact(cells: pl.Series) -> pl.Series:
    if isinstance(cells.dtype, pl.String):
        return _exact_from_text(cells)
    if cells.dtype.is_float():
        return _exact_from_float(cells.cast(pl.Float64))
    if cells.dtype.is_integer():
        wide = cells.cast(pl.Int128)
        return _where(wide, wide.is_between(1 - _EXACT_BOUND, _EXACT_BOUND - 1)).cast(EXACT)
    if isinstance(cells.dtype, pl.Decimal) and cells.dtype != EXACT:
        exact = cells.cast(EXACT, strict=False)
        return _where(exact, exact.cast(cells.dtype, strict=False) == cells)
    return cells.cast(EXACT)


def _exact_from_text(cells: pl.Series) -> pl.Series:
    """Plain numbers in bulk; what is left (exponents, a bare point, long tails) one by one, exactly."""
    plain = cells.str.contains(_PLAIN_NUMBER)
    exact = _where(cells, plain).cast(EXACT, strict=False)
    is_odd = cells.str.contains(_NUMBER) & ~plain & (cells.str.len_bytes() <= _LONGEST_NUMBER)
    odd = is_odd.fill_null(value=False).arg_true()
    if odd.is_empty():
        return exact
    return exact.scatter(odd, pl.Series([_exact(text) for text in cells.gather(odd)], dtype=EXACT))


def _exact_from_float(numbers: pl.Series) -> pl.Series:
    """Rounded half-even to six digits, whole part and fraction apart: together they exceed a float's precision."""
    small = _where(numbers, numbers.abs() < _EXACT_BOUND)
    whole = small.cast(pl.Int64)
    fraction = (small - whole.cast(pl.Float64)).round(6, mode="half_to_even")
    return (whole.cast(EXACT) + fraction.cast(EXACT)).cast(EXACT)


def _exact(text: str) -> Decimal | None:
    """The number of a text that fits ``_NUMBER``."""
    number = Decimal(text)
    rounded = round(number, 6) if abs(number) < _EXACT_BOUND else None
    is_near = rounded is not None and abs(rounded - number) <= _MOST_ROUNDED * abs(number)
    return rounded if is_near else None


def _read_float(cells: pl.Series) -> pl.Series:
    if isinstance(cells.dtype, pl.String):
        cells = _where(cells, cells.str.contains(_NUMBER))
    numbers = cells.cast(pl.Float64, strict=False)
    return _where(numbers, numbers.is_finite())


def _read_whole(cells: pl.Series) -> pl.Series:
    if isinstance(cells.dtype, pl.String):
        return _where(cells, cells.str.contains(_WHOLE)).str.replace(r"\..*$", "").cast(pl.Int64, strict=False)
    if cells.dtype.is_float() or cells.dtype.is_decimal():
        cells = _whole(cells.cast(pl.Float64))
    return cells.cast(pl.Int64, strict=False)


def _read_date(cells: pl.Series) -> pl.Series:
    if isinstance(cells.dtype, pl.String):
        cells = _where(cells, cells.str.contains(_DATE)).str.to_date("%Y-%m-%d", strict=False)
    known = _within_years(cells)
    if isinstance(known.dtype, pl.Datetime):
        local = known.dt.replace_time_zone(None)
        known = _where(local, local == local.dt.truncate("1d"))
    return known.cast(pl.Date)


def _within_years(moments: pl.Series) -> pl.Series:
    """Dates or times of the years 1900 to 9999, null for others: a zero of Excel is one of 1899, and far ones Polars panics at."""
    per_day = _PER_DAY[moments.dtype.time_unit if isinstance(moments.dtype, pl.Datetime) else None]
    last = min((_LAST_DAY + 1) * per_day - 1, 2**63 - 1)
    counted = moments.to_physical().cast(pl.Int64)
    return _where(moments, counted.is_between(max(_FIRST_DAY * per_day, -(2**63)), last))


def _read_bool(cells: pl.Series) -> pl.Series:
    if isinstance(cells.dtype, pl.String):
        return cells.str.to_lowercase().replace_strict(_TRUTHS, default=None, return_dtype=pl.Boolean)
    if cells.dtype.is_numeric():
        numbers = cells.cast(pl.Float64)
        return _where(numbers == 1, numbers.is_in([0.0, 1.0]))
    return cells.cast(pl.Boolean)


def _is_lost(cells: pl.Series, typed: pl.Series) -> pl.Series:
    """True where there was a cell and no value came of it; a blank text is no cell."""
    lost = typed.is_null() & cells.is_not_null()
    if isinstance(cells.dtype, pl.String) and lost.any():
        return lost & (cells.str.strip_chars(_SPACES) != "").fill_null(value=False)
    return lost


def _is_foreign(raw: pl.DataFrame) -> pl.Series:
    """True where a currency is named and it is not USD."""
    if CURRENCY_COLUMN not in raw.columns:
        return pl.repeat(value=False, n=raw.height, eager=True)
    named = _text(raw[CURRENCY_COLUMN]).str.strip_chars(_SPACES)
    return raw[CURRENCY_COLUMN].is_not_null() & ~named.is_in([CURRENCY, ""]).fill_null(value=False)


def _joined_names(broken: dict[str, pl.Series], height: int) -> pl.Series:
    """Names of the columns whose mask is true, joined by a bar; null where there is none."""
    named = [
        pl.select(pl.when(mask).then(pl.lit(name)).alias(name)).to_series()
        for name, mask in broken.items()
        if mask.any()
    ]
    if not named:
        return _nulls("unparsed", pl.String(), height)
    joined = pl.concat_str([pl.col(column.name) for column in named], separator="|", ignore_nulls=True)
    return pl.DataFrame(named).select(pl.when(joined != "").then(joined).alias("unparsed")).to_series()


def _as_read(raw: pl.DataFrame, cells: list[str], *, is_text: bool, unparsed: pl.Series) -> pl.Series:
    """``raw`` where it is kept; a line of the wrong length stands as it was, under ``line``."""
    needed = pl.repeat(value=True, n=raw.height, eager=True) if is_text else unparsed.is_not_null()
    if not needed.any():
        return _nulls("raw", pl.String(), raw.height)
    whole = raw.select(cells) if is_text else raw.select(cells).filter(needed)
    texts = as_json(whole)
    if not is_text:
        texts = _nulls("raw", pl.String(), raw.height).scatter(needed.arg_true(), texts)
    if LINE not in raw.columns:
        return texts
    ragged = raw[LINE].is_not_null().arg_true()
    return texts.scatter(ragged, as_json(raw[ragged].select(pl.col(LINE).alias("line"))))


def _text(cells: pl.Series) -> pl.Series:
    """Cells as text: as they stand, decimals without trailing zeros."""
    if isinstance(cells.dtype, (pl.Date, pl.Datetime)):
        texts = _within_years(cells).cast(pl.String)
        return pl.select(
            pl.when(cells.is_not_null()).then(texts.fill_null(_OUT_OF_RANGE)).alias(cells.name)
        ).to_series()
    if cells.dtype.is_nested() or cells.dtype.is_temporal() or cells.dtype in (pl.Binary, pl.Object):
        return pl.Series(cells.name, [None if cell is None else str(cell) for cell in cells.to_list()], dtype=pl.String)
    texts = cells.cast(pl.String)
    return texts.str.replace(r"(\.[0-9]*?)0+$", "${1}").str.strip_suffix(".") if cells.dtype.is_decimal() else texts
