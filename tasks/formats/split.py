"""Lines of one type into the fields that a mapping names: by separators or by characters, all lines at once.

1. Lines without a quote are split at each separator.
2. Lines with quotes go through a CSV parser, as in RFC 4180 with the mapping's signs. A quoted cell ends with its line: a line
   that leaves a quote open has the wrong length.
3. A line with too few or too many fields keeps its place and its first fields; column ``LINE`` then holds its text. A line of one field that
   is no identifier has none: it is a sentence, of nobody's account.
"""

import csv
from collections.abc import Mapping as Dict
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from schemas.landing_columns import IDENTIFIER
from tasks.core.gate import LINE

_END: Final = "\x00end"
"""A last field that no line has: it comes back whole where no quote was left open."""
_FOUND: Final = "(found)"
_PLACE: Final = "(place)"


def split_fixed(lines: pl.Series, fields: Dict[str, tuple[int, int]], width: tuple[int, int]) -> pl.DataFrame:
    """The fields of each line by start, from 1, and width in characters; ``width``: fewest and most of a whole line."""
    line = pl.col("line")
    cells = [line.str.slice(start - 1, length).alias(name) for name, (start, length) in fields.items()]
    is_whole = line.str.len_chars().is_between(*width)
    return _with_ragged(pl.DataFrame({"line": lines}), cells, is_whole)


def split_delimited(
    lines: pl.Series, fields: Dict[str, int], width: tuple[int, int], *, separator: str, quote: str, spare: int = 0
) -> pl.DataFrame:
    """The fields of each line by number, from 1; ``width``: fewest and most of a whole line, with ``spare`` empty ones more at its end."""
    most = width[1] + spare
    frame = pl.DataFrame({"line": lines})
    is_quoted = lines.str.contains(quote, literal=True) if quote else pl.repeat(value=False, n=len(lines), eager=True)
    if is_quoted.any():
        frame = frame.with_columns(pl.int_range(pl.len()).alias(_PLACE))
        plain = _split_plain(frame.filter(~is_quoted), most, separator)
        quoted = split_quoted(frame.filter(is_quoted), most, separator, quote)
        frame = pl.concat([plain, quoted]).sort(_PLACE)
    else:
        frame = _split_plain(frame, most, separator)
    is_sentence = (pl.col(_FOUND) == 1) & (width[0] > 1) & ~pl.col(_name(1)).str.strip_chars().str.contains(IDENTIFIER)
    cells = [pl.when(~is_sentence).then(_name(number)).alias(name) for name, number in fields.items()]
    is_spare = [pl.col(_name(number)).fill_null("").str.strip_chars() == "" for number in range(width[1] + 1, most + 1)]
    return _with_ragged(frame, cells, pl.all_horizontal(pl.col(_FOUND).is_between(width[0], most), *is_spare))


def _with_ragged(frame: pl.DataFrame, cells: list[pl.Expr], is_whole: pl.Expr) -> pl.DataFrame:
    ragged = pl.when(~is_whole).then("line").alias(LINE)
    split = frame.select(*cells, ragged)
    return split if split[LINE].null_count() < split.height else split.drop(LINE)


def _name(number: int) -> str:
    return f"field_{number - 1}"


def _split_plain(frame: pl.DataFrame, most: int, separator: str) -> pl.DataFrame:
    """``frame`` with its fields and how many were found."""
    line = pl.col("line")
    found = line.str.count_matches(separator, literal=True).cast(pl.Int64) + 1
    return frame.with_columns(found.alias(_FOUND), line.str.split_exact(separator, most - 1).alias("f")).unnest("f")


def split_quoted(frame: pl.DataFrame, most: int, separator: str, quote: str) -> pl.DataFrame:
    """As ``_split_plain`` for lines with quotes: in bulk, or one by one where a line cannot be told from the next."""
    rows = _in_bulk(frame["line"], most, separator, quote)
    if rows is None:
        rows = _one_by_one(frame["line"].to_list(), most, separator, quote)
    return frame.hstack(rows)


def _in_bulk(lines: pl.Series, most: int, separator: str, quote: str) -> pl.DataFrame | None:
    """Fields of each line; null where the parser did not find as many lines as there are."""
    if not (separator + quote).isascii() or lines.str.contains("\r", literal=True).any():
        return None
    odd: list[tuple[int, str]] = []

    def set_aside(row: pc.InvalidRow) -> str:
        odd.append((row.number - 1, row.text))
        return "skip"

    names = [*(_name(number) for number in range(1, most + 1)), _END]
    text = (lines + f"{separator}{_END}").str.join("\n")[0].encode()
    try:
        table = pc.read_csv(
            pa.BufferReader(text),
            read_options=pc.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            parse_options=pc.ParseOptions(delimiter=separator, quote_char=quote, invalid_row_handler=set_aside),
            convert_options=pc.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid:
        return None
    frame = pl.DataFrame(table)
    if frame.height + len(odd) != len(lines) or not (frame[_END] == _END).all():
        return None
    frame = frame.select(pl.lit(most, dtype=pl.Int64).alias(_FOUND), pl.exclude(_END))
    if not odd:
        return frame
    places = [place for place, _ in odd]
    others = pl.int_range(len(lines), eager=True).filter(~pl.int_range(len(lines), eager=True).is_in(places))
    single = _one_by_one([lines[place] for place in places], most, separator, quote)
    whole = pl.concat([frame.with_columns(others.alias(_PLACE)), single.with_columns(pl.Series(_PLACE, places))])
    return whole.sort(_PLACE).drop(_PLACE)


def _one_by_one(lines: list[str], most: int, separator: str, quote: str) -> pl.DataFrame:
    """Fields of each line; a quote left open, or a carriage return outside quotes, counts as no field found."""
    rows = []
    for line in lines:
        cells = _cells(line + separator + _END, separator, quote)
        found = len(cells) - 1 if cells and cells[-1] == _END else 0
        shown = cells[:found] if found else line.split(separator)
        rows.append((found, *[*shown, *[None] * most][:most]))
    names = [_name(number) for number in range(1, most + 1)]
    return pl.DataFrame(rows, schema={_FOUND: pl.Int64, **dict.fromkeys(names, pl.String)}, orient="row")


def _cells(line: str, separator: str, quote: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, quotechar=quote), [])
    except csv.Error:
        return []
