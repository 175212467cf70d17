"""Files that are not what their name says, are damaged, or are no files at all: the night is refused, and says why."""

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tests.bad_inputs.deliver import Spoil, cell, columns_of, content, delivered, edit, replace
from tests.support.landing_book import sound_book

LOTS = sound_book()["lots"].write_csv()
BOM = b"\xef\xbb\xbf"
AGAIN = "deliver the file again."
SHEET = 'save the sheet as "CSV UTF-8".'
ZIP = "it is a ZIP file, as an Excel workbook (.xlsx) is one"
BROWSER = "look at it in a browser; it may be the source's error or login page."
LOOK = "look into it; it may be the source's error message."
WHOLE = "if it is whole, give it one of these names, in small letters."
QUANTITY = "needed quantity: how many shares, or the face amount of a bond, a number of 0 or more"
ACQUIRED = "needed acquired_date: the day the lot was bought, a date as YYYY-MM-DD"
PLACE = "put the file itself in its place."


def zst(data: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(data).to_pybytes()
    return packed


def parquet(rows: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    rows.write_parquet(file)
    return file.getvalue()


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("[Content_Types].xml", "<Types/>")
    return file.getvalue()


PARQUET = parquet(sound_book()["lots"])
GZIP = gzip.compress(LOTS.encode(), mtime=0)
XLS = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)


def without_rows(table: str) -> Spoil:
    """The table as a Parquet of no rows."""

    def spoil(folder: Path) -> None:
        (folder / f"{table}.csv").unlink()
        (folder / f"{table}.parquet").write_bytes(parquet(sound_book()[table].clear()))

    return spoil


def lots(ending: str, data: bytes) -> Spoil:
    return content(f"lots{ending}", data, instead_of="lots.csv")


UNREADABLE: dict[str, tuple[str, bytes, str, str]] = {
    "UTF-16 with a mark": (".csv", LOTS.encode("utf-16"), "it is text in UTF-16 or UTF-32", "save it again as UTF-8."),
    "UTF-16 without a mark": (
        ".csv",
        LOTS.encode("utf-16-le"),
        "it is text in UTF-16 or UTF-32",
        "save it again as UTF-8.",
    ),
    "UTF-16 big end first": (
        ".csv",
        LOTS.encode("utf-16-be"),
        "it is text in UTF-16 or UTF-32",
        "save it again as UTF-8.",
    ),
    "UTF-32": (".csv", LOTS.encode("utf-32"), "it is text in UTF-16 or UTF-32", "save it again as UTF-8."),
    "nothing but NUL bytes": (".csv", bytes(4096), "it is binary: its first line holds NUL bytes", AGAIN),
    "gzip cut short": (".csv.gz", GZIP[:-9], "what is packed in it is damaged or cut short", AGAIN),
    "gzip without its end": (".csv.gz", GZIP[:-8], "what is packed in it is damaged or cut short", AGAIN),
    "gzip with a wrong checksum": (
        ".csv.gz",
        GZIP[:-8] + b"12345678",
        "what is packed in it is damaged or cut short",
        AGAIN,
    ),
    "gzip with something behind it": (".csv.gz", GZIP + b"more", "what is packed in it is damaged or cut short", AGAIN),
    "zstd cut short": (".csv.zst", zst(LOTS.encode())[:-3], "what is packed in it is damaged or cut short", AGAIN),
    "zstd with something behind it": (
        ".csv.zst",
        zst(LOTS.encode()) + b"more",
        "what is packed in it is damaged or cut short",
        AGAIN,
    ),
    "plain text called .gz": (
        ".csv.gz",
        LOTS.encode(),
        "it is not compressed by gzip",
        "call it lots.csv if it is plain text.",
    ),
    "plain text called .zst": (
        ".csv.zst",
        LOTS.encode(),
        "it is not compressed by zstd",
        "call it lots.csv if it is plain text.",
    ),
    "gzip called .csv": (
        ".csv",
        GZIP,
        "it is compressed by gzip",
        "call it lots.csv.gz if a CSV is in it, else unpack it.",
    ),
    "zstd called .csv": (
        ".csv",
        zst(LOTS.encode()),
        "it is compressed by zstd",
        "call it lots.csv.zst if a CSV is in it, else unpack it.",
    ),
    "bzip2": (".csv", b"BZh91AY&SY\x11\x22", "it is compressed by bzip2", "compress it by gzip or zstd."),
    "xz": (".csv", b"\xfd7zXZ\0\0\x04", "it is compressed by xz", "compress it by gzip or zstd."),
    "packed twice": (
        ".csv.gz",
        gzip.compress(GZIP),
        "what is packed in it is compressed by gzip",
        "pack the CSV itself, once.",
    ),
    "an Excel workbook called .csv": (".csv", workbook(), ZIP, SHEET),
    "an Excel workbook called .gz": (".csv.gz", workbook(), ZIP, SHEET),
    "an old Excel workbook called .csv": (".csv", XLS, "it is an old Excel workbook (.xls)", SHEET),
    "a PDF": (".csv", b"%PDF-1.7\n%\xe2\xe3", "it is a PDF document", "ask the source for the data behind it."),
    "an HTML error page": (".csv", b"\r\n<!DOCTYPE html>\n<html>503</html>", "it is an HTML page", BROWSER),
    "an HTML login page": (".csv", BOM + b"<HTML><form>", "it is an HTML page", BROWSER),
    "an XML error": (".csv", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "it is XML", LOOK),
    "a JSON error": (".csv", b'{"error": "unauthorized"}', "it is JSON", LOOK),
    "a JSON array": (".csv", b'[{"account_id": "A1"}]', "it is JSON", LOOK),
    "JSON lines": (".csv", b'{"account_id": "A1"}\n{"account_id": "A2"}\n', "it is JSON", LOOK),
    "an SQLite database": (".csv", b"SQLite format 3\0\x10", "it is an SQLite database", "export the table as CSV."),
    "Parquet called .csv": (".csv", PARQUET, "it is a Parquet file", "call it lots.parquet."),
}
DAMAGED: dict[str, tuple[bytes, str, str]] = {
    "text called .parquet": (
        LOTS.encode(),
        "it is not Parquet",
        "see what the file is; it may be text under a wrong name.",
    ),
    "an HTML page called .parquet": (b"<!DOCTYPE html><html>", "it is an HTML page", BROWSER),
    "an Excel workbook called .parquet": (workbook(), ZIP, SHEET),
    "an encrypted Parquet": (
        b"PARE" + PARQUET[4:-4] + b"PARE",
        "it is an encrypted Parquet file",
        "deliver it without encryption, on a disk that is encrypted.",
    ),
    "a Parquet cut short": (PARQUET[:-20], "it is damaged or cut short", AGAIN),
    "the magic of Parquet and no more": (b"PAR1", "it is damaged or cut short", AGAIN),
    "the magic of Parquet twice": (b"PAR1PAR1", "it is damaged or cut short", AGAIN),
    "a Parquet whose footer is garbage": (
        PARQUET[:-400] + b"\xff" * 392 + PARQUET[-8:],
        "it is damaged or cut short",
        AGAIN,
    ),
    "a Parquet whose footer is longer than it": (
        PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1",
        "it is damaged or cut short",
        AGAIN,
    ),
    "a Parquet with a page of zeros": (PARQUET[:30] + bytes(60) + PARQUET[90:], "it is damaged or cut short", AGAIN),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_csv_is_called_by_its_name(tmp_path: Path, name: str) -> None:
    ending, data, found, hint = UNREADABLE[name]
    assert delivered(tmp_path, lots(ending, data)).refusal == (
        f"lots{ending} cannot be read as CSV in UTF-8: {found}; {columns_of('lots')}\n\nHint: {hint}"
    )


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_parquet_is_called_by_its_name(tmp_path: Path, name: str) -> None:
    data, found, hint = DAMAGED[name]
    assert delivered(tmp_path, lots(".parquet", data)).refusal == (
        f"lots.parquet cannot be read as Parquet: {found}; {columns_of('lots')}\n\nHint: {hint}"
    )


NOT_UTF_8 = "save the file again as UTF-8; it may be Windows-1252 or Latin-1."
NUL = "deliver the file again; it may have been damaged or cut short."
LINES: dict[str, tuple[Spoil, str, str]] = {
    "a name in Latin-1": (
        content(
            "securities.csv",
            sound_book()["securities"].write_csv().replace("Bond ETF", "Caf\xe9").encode("latin-1"),
        ),
        "securities.csv line 3 is not UTF-8 (found the byte 0xE9)",
        NOT_UTF_8,
    ),
    "a header in EBCDIC": (
        content("lots.csv", LOTS.encode("cp037")),
        "lots.csv line 1 is not UTF-8 (found the byte 0x81)",
        NOT_UTF_8,
    ),
    "a character cut in half at the end": (
        content("lots.csv", LOTS.encode() + b"A1,STK,\xc3"),
        "lots.csv line 6 is not UTF-8 (found the byte 0xC3)",
        NOT_UTF_8,
    ),
    "a NUL byte within": (replace("lots.csv", "A3,BND", "A\0,BND"), "lots.csv line 5 holds a NUL byte", NUL),
    "NUL bytes at the end": (
        content("lots.csv", LOTS.encode() + bytes(4096)),
        "lots.csv line 6 holds a NUL byte",
        NUL,
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_that_is_no_text_is_named(tmp_path: Path, name: str) -> None:
    spoil, found, hint = LINES[name]
    assert delivered(tmp_path, spoil).refusal == f"{found}; needed text in UTF-8\n\nHint: {hint}"


def moved(old: str, new: str) -> Spoil:
    return lambda folder: (folder / old).rename(folder / new)


def instead(name: str, make: Callable[[Path], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return spoil


ODD: dict[str, tuple[Spoil, str]] = {
    "an empty file": (content("lots.csv", b""), f"lots.csv is empty (0 bytes); {columns_of('lots')}"),
    "an empty file, compressed": (
        lots(".csv.gz", gzip.compress(b"")),
        f"lots.csv.gz is empty when unpacked; {columns_of('lots')}",
    ),
    "a Parquet without rows": (
        without_rows("cash"),
        "cash.parquet has no rows; needed at least one row of the table cash",
    ),
    "a nested column": (
        lots(".parquet", parquet(sound_book()["lots"].with_columns(quantity=pl.struct("quantity")))),
        f"lots.parquet: the column quantity has the type struct<quantity: large_string>; {QUANTITY}",
    ),
    "a column of the wrong type": (
        lots(".parquet", parquet(sound_book()["lots"].with_columns(acquired_date=20200102))),
        f"lots.parquet: the column acquired_date has the type int32; {ACQUIRED}",
    ),
    "two files of a table": (
        content("lots.parquet", PARQUET),
        "lots.csv and lots.parquet both deliver the table lots; needed one file\n\nHint: remove all but one.",
    ),
    "a folder": (instead("lots.csv", Path.mkdir), f"lots.csv is a folder; needed a file\n\nHint: {PLACE}"),
    "a link to nothing": (
        instead("restrictions.csv", lambda path: path.symlink_to("gone.csv")),
        f"restrictions.csv is a link to nothing; needed a file\n\nHint: {PLACE}",
    ),
    "a link to itself": (
        instead("restrictions.csv", lambda path: path.symlink_to(path)),
        f"restrictions.csv cannot be opened (Too many levels of symbolic links); needed a file\n\nHint: {PLACE}",
    ),
    "a pipe": (
        instead("restrictions.csv", os.mkfifo),
        f"restrictions.csv is a pipe or a device; needed a file\n\nHint: {PLACE}",
    ),
    "a device that never ends": (
        instead("restrictions.csv", lambda path: path.symlink_to("/dev/zero")),
        f"restrictions.csv is a pipe or a device; needed a file\n\nHint: {PLACE}",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_file_of_the_table_is_refused_by_name(tmp_path: Path, name: str) -> None:
    spoil, refusal = ODD[name]
    assert delivered(tmp_path, spoil).refusal == refusal


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("lots.csv", "lots.csv.part", "lots.csv.part"),
        ("restrictions.csv", "Restrictions.CSV", "Restrictions.CSV"),
        ("restrictions.csv", "restrictions.xlsx", "restrictions.xlsx"),
        ("restrictions.csv", "restrictions (1).csv", "restrictions (1).csv"),
        ("restrictions.csv", "restrictions\x1b[2J\n.csv", "restrictions?[2J?.csv"),
    ],
)
def test_a_file_with_nearly_the_name_of_a_table_is_not_passed_over(
    tmp_path: Path, old: str, new: str, shown: str
) -> None:
    table = old.removesuffix(".csv")
    assert delivered(tmp_path, moved(old, new)).refusal == (
        f"{tmp_path} has no file of the table {table}, only {shown}; "
        f"needed one of {table}.parquet, {table}.csv, {table}.csv.gz, {table}.csv.zst\n\nHint: {WHOLE}"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    spoil: Spoil = lambda folder: (folder / "lots.csv").chmod(0)  # noqa: E731
    assert delivered(tmp_path, spoil).refusal == (
        "lots.csv cannot be opened (Permission denied); needed the table lots\n\nHint: look at who may read it."
    )


SOUND: dict[str, Spoil] = {
    "a mark of UTF-8": content("lots.csv", BOM + LOTS.encode()),
    "a mark of UTF-8, compressed": lots(".csv.gz", gzip.compress(BOM + LOTS.encode())),
    "line ends of Windows": edit("lots.csv", lambda text: text.replace("\n", "\r\n")),
    "line ends of the old Mac": edit("lots.csv", lambda text: text.replace("\n", "\r")),
    "mixed line ends": replace("lots.csv", "90,2020-01-02\n", "90,2020-01-02\r"),
    "empty lines before, between and behind": edit("lots.csv", lambda text: text.replace("\n", "\n\n\r\n")),
    "two parts packed one behind the other": lots(
        ".csv.gz", gzip.compress(LOTS[:80].encode()) + gzip.compress(LOTS[80:].encode())
    ),
    "zstd": lots(".csv.zst", zst(LOTS.encode())),
    "Parquet": lots(".parquet", PARQUET),
    "every cell in quotes": content("lots.csv", sound_book()["lots"].write_csv(quote_style="always").encode()),
    "a name of several scripts": cell("securities", 2, name="Ünïcode 債券 🏦"),
    "a doubled quote": cell("securities", 2, name='The "Bond" ETF, hedged'),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_though_odd_is_read_as_it_stands(tmp_path: Path, name: str) -> None:
    found = delivered(tmp_path, SOUND[name])
    assert (found.refusal, found.verdicts, found.messages, found.notices) == ("", {}, (), ())
    assert found.parsed["lots"].height == 4
    assert found.parsed["lots"]["row_number"].to_list() == [1, 2, 3, 4]
