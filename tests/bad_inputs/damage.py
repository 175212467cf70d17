"""Ways to damage the files of a landing folder at random, as Hypothesis strategies.

Places are drawn from the end of a file: the first numbers that Hypothesis tries would spoil little but headers.
"""

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

Book: TypeAlias = Mapping[str, pl.DataFrame]
Files: TypeAlias = dict[str, bytes]

ODD_CELLS = [
    *(
        "",
        " ",
        "0",
        "-0",
        "-1",
        "1e5",
        "1e400",
        "NaN",
        "inf",
        "1,000",
        "5%",
        "0x10",
        "#N/A",
        "null",
        "true",
        "yes",
        "T",
    ),
    *("0.7", "60", "0.1234567", "1234567890123", "9" * 40, "1." + "0" * 40, "2026-01-05", "2026-02-30", "1899-12-30"),
    *("9999-12-31", "01/02/2026", "46027", "A1", "A2", "A9", "STK", "GHOST", "H1", "growth", "income", "plain", "cash"),
    *(
        "taxable",
        "hold_range",
        "no_sell",
        "USD",
        "EUR",
        "../x",
        ".",
        "=1+1",
        "x" * 65,
        "caf\u00e9",
        "\u0410" + "1",
        "A\u200b",
    ),
    *(
        '"',
        '""',
        'a"b',
        "a,b",
        "a\nb",
        "a\rb",
        "\t",
        "\x1a",
        "\x7f",
        "TOTAL",
        "account_id",
        "(line)",
        "2026-1-5",
        "0.02",
        "1",
        "\U0001f3e6",
        "\u2028",
    ),
]
ODD_BYTES = [
    *(b",", b";", b"\t", b'"', b'""', b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xff\xfe"),
    *(b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"<html>", b"{", b"#", b"-", b".", b"1", b"e9", b"A1,", b",,,\n", b" "),
]
ENDINGS = [".csv", ".csv.gz", ".csv.zst", ".parquet"]
TYPES = [
    *(pl.String(), pl.Int64(), pl.Int8(), pl.UInt64(), pl.Float32(), pl.Float64(), pl.Boolean(), pl.Date(), pl.Null()),
    *(pl.Datetime("us"), pl.Datetime("ns", "UTC"), pl.Decimal(38, 10), pl.Decimal(5, 1), pl.Categorical(), pl.Binary()),
    *(pl.List(pl.String), pl.Time(), pl.Duration("ms"), pl.Int128()),
]
LIKELY_TYPES = [
    pl.Float64(),
    pl.Float64(),
    pl.Int64(),
    pl.Float32(),
    pl.Decimal(38, 10),
    pl.Date(),
    pl.Categorical(),
    pl.Boolean(),
]


def packed(content: bytes, ending: str) -> bytes:
    """Text as a file of that ending holds it."""
    if ending.endswith(".gz"):
        return gzip.compress(content, 1, mtime=0)
    zst: bytes = pa.Codec("zstd").compress(content).to_pybytes()
    return zst if ending.endswith(".zst") else content


def unpacked(content: bytes, ending: str) -> bytes:
    """Text that a whole file of that ending holds."""
    if ending.endswith(".gz"):
        return gzip.decompress(content)
    if not ending.endswith(".zst"):
        return content
    return bytes(pa.input_stream(pa.BufferReader(content), compression="zstd").read())


@st.composite
def odd_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with a few bytes put in, written over, taken out, repeated, or cut off."""
    for _ in range(draw(st.integers(1, 3))):
        place = len(content) - draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 40))
        new = draw(st.sampled_from(ODD_BYTES) | st.binary(min_size=1, max_size=4))
        before, rest = content[:place], content[place:]
        content = draw(
            st.sampled_from(
                [
                    before + new + rest,
                    before + new + rest[len(new) :],
                    before + rest[length:],
                    before + rest[:length] + rest,
                    before + bytes(length) + rest[length:],
                    before,
                ]
            )
        )
    return content


@st.composite
def odd_lines(draw: st.DrawFn, content: bytes) -> bytes:
    """The text with a line left out, repeated, moved, joined to the next or put in, or with other line ends."""
    end = b"\n" if b"\n" in content else b"\r"
    lines = content.split(end)
    one, other = (len(lines) - draw(st.integers(1, len(lines))) for _ in range(2))
    match draw(st.sampled_from(["drop", "repeat", "swap", "join", "put", "ends", "blank"])):
        case "drop":
            del lines[one]
        case "repeat":
            lines.insert(other, lines[one])
        case "swap":
            lines[one], lines[other] = lines[other], lines[one]
        case "join":
            lines[one : one + 2] = [b"".join(lines[one : one + 2])]
        case "put":
            lines.insert(one, draw(st.sampled_from(ODD_CELLS)).encode())
        case "ends":
            return draw(st.sampled_from([b"\r", b"\r\n", b"\n\n", b"\n\r"])).join(lines)
        case _:
            lines.insert(one, draw(st.sampled_from([b"", b" ", b",,,,,"])))
    return end.join(lines)


@st.composite
def odd_cells(draw: st.DrawFn, content: bytes) -> bytes:
    """The text with other cells, some written as a CSV should and some not, in the header or below it."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    for _ in range(draw(st.integers(1, 4))):
        row = rows[-draw(st.integers(1, len(rows)))]
        row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(ODD_CELLS) | st.text(max_size=8))
    if draw(st.booleans()):
        return "\n".join([",".join(row) for row in rows] + [""]).encode("utf-8", "surrogatepass")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


@st.composite
def odd_columns(draw: st.DrawFn, rows: pl.DataFrame) -> pl.DataFrame:
    """The table with a column left out, renamed, added, moved, or of another type, or without rows."""
    column = draw(st.sampled_from(rows.columns))
    free = [name for name in (column.upper(), f" {column}", "x", "(line)", "currency") if name not in rows.columns]
    renamed = draw(st.sampled_from(free))
    added = draw(st.sampled_from(["note", "(line)", "(place)", "currency", 'a"b', "", "raw", "row_number", "line"]))
    others = [other for other in rows.columns if other != column] or ["x"]
    ways: list[Callable[[], pl.DataFrame]] = [
        lambda: rows.drop(column),
        lambda: rows.rename({column: renamed}),
        lambda: rows.with_columns(pl.lit(draw(st.sampled_from(ODD_CELLS))).alias(added)),
        lambda: rows.select(draw(st.permutations(rows.columns))),
        lambda: rows.rename({column: others[0], others[0]: column}, strict=False),
        lambda: rows.with_columns(_cast(rows[column], draw(st.sampled_from(TYPES)))),
        rows.clear,
    ]
    return draw(st.sampled_from(ways))()


def _cast(cells: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The column as that type, nulls where its cells do not fit; their lengths where text cannot become it."""
    for likely in (cells, cells.str.len_bytes()):
        try:
            return likely.cast(dtype, strict=False)
        except pl.exceptions.PolarsError:
            continue
    return cells


def as_parquet(rows: pl.DataFrame) -> bytes:
    """The table as the bytes of a Parquet file."""
    out = io.BytesIO()
    rows.write_parquet(out)
    return out.getvalue()


def as_csv(rows: pl.DataFrame, quote_style: Literal["necessary", "always"] = "necessary") -> bytes:
    """The table as the bytes of a CSV; cells that a CSV cannot hold are left out."""
    flat = [
        name for name, dtype in rows.schema.items() if not dtype.is_nested() and dtype not in (pl.Binary, pl.Duration)
    ]
    return rows.select(flat).write_csv(quote_style=quote_style).encode()


@st.composite
def damaged_csv(draw: st.DrawFn, rows: pl.DataFrame) -> bytes:
    """The table as a CSV with some of its bytes, lines or cells damaged, with any line ends, in quotes or not."""
    how = draw(st.sampled_from([odd_bytes, odd_lines, odd_cells]))
    content = as_csv(rows, draw(st.sampled_from(["necessary", "always"])))
    if how is odd_cells:
        content = draw(odd_cells(content))
    content = content.replace(b"\n", draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])))
    return content if how is odd_cells else draw(how(content))


@st.composite
def other_cells(draw: st.DrawFn, rows: pl.DataFrame) -> pl.DataFrame:
    """The table with other cells, and some columns of another type."""
    texts = {name: rows[name].to_list() for name in rows.columns}
    for _ in range(draw(st.integers(0, 3))):
        column = texts[draw(st.sampled_from(rows.columns))]
        column[-draw(st.integers(1, len(column)))] = draw(st.sampled_from(ODD_CELLS) | st.text(max_size=8) | st.none())
    changed = pl.DataFrame(texts, schema=rows.schema)
    retyped = draw(st.dictionaries(st.sampled_from(rows.columns), st.sampled_from(LIKELY_TYPES), max_size=3))
    return changed.with_columns(_cast(changed[name], dtype) for name, dtype in retyped.items())


@st.composite
def damaged_file(draw: st.DrawFn, rows: pl.DataFrame, ending: str) -> bytes:
    """A file of that kind with other cells, seldom with other columns or with bytes damaged."""
    how = draw(st.sampled_from(["cells", "cells", "cells", "cells", "lines", "columns", "bytes"]))
    if how == "columns":
        rows = draw(odd_columns(rows))
    if ending == ".parquet":
        content = as_parquet(draw(other_cells(rows)) if how in {"cells", "lines"} else rows)
        return draw(odd_bytes(content)) if how == "bytes" else content
    if how == "columns":
        return packed(as_csv(rows), ending)
    if how == "bytes" and ending != ".csv":
        return draw(odd_bytes(packed(as_csv(rows), ending)))
    return packed(draw(damaged_csv(rows)), ending)


@st.composite
def damaged_files(draw: st.DrawFn, book: Book) -> Files:
    """Every file of the book, one to three of them damaged and of any kind."""
    files = {f"{table}.csv": as_csv(rows) for table, rows in book.items()}
    for table in draw(st.sets(st.sampled_from(sorted(book)), min_size=1, max_size=3)):
        ending = draw(st.sampled_from(ENDINGS))
        del files[f"{table}.csv"]
        files[table + ending] = draw(damaged_file(book[table], ending))
    return draw(odd_names(files)) if draw(st.integers(0, 19)) == 19 else files


@st.composite
def odd_names(draw: st.DrawFn, files: Files) -> Files:
    """The files with one left out, called otherwise, put in the place of another, or there twice."""
    name = draw(st.sampled_from(sorted(files)))
    other = draw(st.sampled_from(sorted(files)))
    stem = name.partition(".")[0]
    match draw(st.sampled_from(["drop", "rename", "copy", "twice"])):
        case "drop":
            return {each: content for each, content in files.items() if each != name}
        case "rename":
            new = draw(
                st.sampled_from([name.upper(), f"{name}.part", f"{stem}.txt", f"{stem}s.csv", f"{stem}.parquet"])
            )
            return {new if each == name else each: content for each, content in files.items()}
        case "copy":
            return {**files, name: files[other]}
    return {**files, f"{stem}{draw(st.sampled_from(ENDINGS))}": files[name]}
