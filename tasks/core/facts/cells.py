"""CSV text in bulk: a column of cells per field, a line per row, a file per group of rows.

The dialect is RFC 4180 in UTF-8, lines ended by a line feed. A text cell that a spreadsheet would read as a formula gets a leading
apostrophe; numbers are plain decimals without exponent. A null becomes an empty cell before lines are put together,
because one null cell would make the whole line null and joining lines would drop it in silence.

Known limits: text that truly starts with a formula character is read back with its apostrophe.
"""

from typing import Final

import polars as pl

from schemas.errors import ConservationBroken

FORMULA_START: Final = r"^[=+\-@\t\r\n＝＋－＠]"  # noqa: RUF001 - the full-width signs start formulas too
"""What a spreadsheet takes for a formula; the full-width signs and the line feed for the programs that trim or fold them."""
NEEDS_QUOTES: Final = '[",\r\n]'
CENTS: Final = pl.Decimal(38, 2)


def text_cell(column: str) -> pl.Expr:
    """Text, safe in a spreadsheet and quoted where it must be. Null: empty."""
    text = pl.col(column).cast(pl.String).fill_null("")
    safe = pl.when(text.str.contains(FORMULA_START)).then(pl.concat_str(pl.lit("'"), text)).otherwise(text)
    quoted = pl.concat_str(pl.lit('"'), safe.str.replace_all('"', '""', literal=True), pl.lit('"'))
    return pl.when(safe.str.contains(NEEDS_QUOTES)).then(quoted).otherwise(safe).alias(column)


def number_cell(column: str) -> pl.Expr:
    """Decimal with up to six digits after the point and none it does not need: ``12.5``, ``100``. Null: empty."""
    text = pl.col(column).cast(pl.Decimal(38, 6)).cast(pl.String)
    return text.str.strip_chars_end("0").str.strip_chars_end(".").fill_null("").alias(column)


def cents(column: str) -> pl.Expr:
    """Dollars rounded half-even to whole cents, as Decimal."""
    return pl.col(column).round(2, mode="half_to_even").cast(CENTS).alias(column)


def money_cell(column: str) -> pl.Expr:
    """Dollars with two digits after the point, rounded half-even. Null: empty."""
    return cents(column).cast(pl.String).fill_null("").alias(column)


def csv_files(paths: pl.Series, cells: pl.DataFrame) -> pl.DataFrame:
    """CSV files of rows that are cells already.

    Parameters
    ----------
    paths
        Name of the file that each row goes to.
    cells
        Text columns, ready to be written; their names are the header.

    Returns
    -------
    pl.DataFrame
        ``path``, ``rows`` (without the header) and ``content``, files in order of their first row, rows in order.

    Raises
    ------
    ConservationBroken
        A file would have fewer lines than rows.
    """
    header = ",".join(cells.columns) + "\n"
    lines = cells.select(paths.alias("path"), line=pl.concat_str(pl.all(), separator=","))
    files = lines.group_by("path", maintain_order=True).agg(
        rows=pl.len().cast(pl.Int64),
        lines=pl.col("line").count().cast(pl.Int64),
        line_bytes=pl.col("line").str.len_bytes().cast(pl.Int64).sum(),
        content=pl.lit(header) + pl.col("line").str.join("\n") + pl.lit("\n"),
    )
    _refuse_lost_lines(files, len(header))
    return files.select("path", "rows", "content")


def _refuse_lost_lines(files: pl.DataFrame, header_bytes: int) -> None:
    """Every row is a line, and a file's bytes are its header, its lines and one line end each."""
    expected_bytes = header_bytes + pl.col("line_bytes") + pl.col("rows")
    is_whole = (pl.col("lines") == pl.col("rows")) & (pl.col("content").str.len_bytes() == expected_bytes)
    for path, rows, lines in files.filter(~is_whole.fill_null(value=False)).select("path", "rows", "lines").iter_rows():
        raise ConservationBroken(f"{path} has {rows} rows but {lines} of them became lines")
