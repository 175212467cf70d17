"""Ways to damage the files of a landing folder at random, as Hypothesis strategies."""

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from typing import TypeAlias

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
    *('"', '""', 'a"b', "a,b", "a\nb", "a\rb", "\t", "\x1a", "\x7f", "TOTAL", "account_id", "\U0001f3e6", "\u2028"),
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
        place = draw(st.integers(0, len(content)))
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
                    before,
                    before + bytes(length) + rest[length:],
                ]
            )
        )
    return content


@st.composite
def odd_lines(draw: st.DrawFn, content: bytes) -> bytes:
    """The text with a line left out, repeated, moved, joined to the next or put in, or with other line ends."""
    lines = content.split(b"\n")
    one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
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
    return b"\n".join(lines)


@st.composite
def odd_cells(draw: st.DrawFn, content: bytes) -> bytes:
    """The text with other cells, some written as a CSV should and some not, in the header or below it."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    for _ in range(draw(st.integers(1, 4))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
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
    renamed = draw(st.sampled_from([column.upper(), f" {column}", "x", "(line)", "currency"]))
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
    """The column as that type, nulls where its cells do not fit; as whole numbers first where text cannot become it."""
    try:
        return cells.cast(dtype, strict=False)
    except pl.exceptions.PolarsError:
        return cells.str.len_bytes().cast(pl.Int64).cast(dtype if dtype.is_primitive else pl.Int64, strict=False)


def as_parquet(rows: pl.DataFrame) -> bytes:
    """The table as the bytes of a Parquet file."""
    out = io.BytesIO()
    rows.write_parquet(out)
    return out.getvalue()


def as_csv(rows: pl.DataFrame) -> bytes:
    """The table as the bytes of a CSV; cells that a CSV cannot hold are left out."""
    flat = [name for name in rows.columns if not rows.schema[name].is_nested() and rows.schema[name] != pl.Binary]
    return rows.select(flat).write_csv().encode()


@st.composite
def damaged_files(draw: st.DrawFn, book: Book) -> Files:
    """Every file of the book, in any of the kinds, with one to three of them damaged."""
    ending = draw(st.sampled_from(ENDINGS))
    files: Files = {}
    damaged = draw(st.sets(st.sampled_from(sorted(book)), min_size=1, max_size=3))
    for table, rows in book.items():
        kind = ending if table in damaged else ".csv"
        how: Callable[[bytes], st.SearchStrategy[bytes]] = draw(st.sampled_from([odd_bytes, odd_lines, odd_cells]))
        here = draw(odd_columns(rows)) if table in damaged and draw(st.booleans()) else rows
        if kind == ".parquet":
            content = as_parquet(here)
            files[table + kind] = draw(odd_bytes(content)) if here is rows else content
            continue
        content = as_csv(here)
        if table in damaged and content and here is rows:
            content = draw(how(content))
        files[table + kind] = packed(content, kind)
        if table in damaged and kind != ".csv" and draw(st.booleans()):
            files[table + kind] = draw(odd_bytes(files[table + kind]))
    return draw(odd_names(files)) if draw(st.integers(0, 5)) == 0 else files


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
