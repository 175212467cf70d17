"""Tell from a file's first bytes that it is not what its name says: what it is instead, and what to do about it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FileSignature:
    """``what`` the file is, to follow its name and "is"; ``hint``: what to do, where ``{table}`` stands for the table."""

    what: str
    hint: str


_SAVE_AS: Final = 'save the sheet as "CSV UTF-8".'
_RENAME: Final = "call it {table}"
_IF_CSV: Final = "if a CSV is in it, else unpack it."
_UTF_16: Final = FileSignature("text in UTF-16 or UTF-32", "save it again as UTF-8.")
_BINARY: Final[tuple[tuple[bytes, FileSignature], ...]] = (
    (b"PK\x03\x04", FileSignature("a ZIP file, as an Excel workbook (.xlsx) is one", _SAVE_AS)),
    (b"\xd0\xcf\x11\xe0", FileSignature("an old Excel workbook (.xls)", _SAVE_AS)),
    (b"%PDF", FileSignature("a PDF document", "ask the source for the data behind it.")),
    (b"PAR1", FileSignature("a Parquet file", f"{_RENAME}.parquet.")),
    (
        b"PARE",
        FileSignature("an encrypted Parquet file", "deliver it without encryption, on a disk that is encrypted."),
    ),
    (b"\x1f\x8b", FileSignature("compressed by gzip", f"{_RENAME}.csv.gz {_IF_CSV}")),
    (b"\x28\xb5\x2f\xfd", FileSignature("compressed by zstd", f"{_RENAME}.csv.zst {_IF_CSV}")),
    (b"BZh", FileSignature("compressed by bzip2", "compress it by gzip or zstd.")),
    (b"\xfd7zXZ", FileSignature("compressed by xz", "compress it by gzip or zstd.")),
    (b"SQLite format 3", FileSignature("an SQLite database", "export the table as CSV.")),
    (b"\xff\xfe", _UTF_16),
    (b"\xfe\xff", _UTF_16),
)
_TEXT: Final[tuple[tuple[bytes, FileSignature], ...]] = (
    (
        b"<!doctype html",
        FileSignature("an HTML page", "look at it in a browser; it may be the source's error or login page."),
    ),
    (b"<html", FileSignature("an HTML page", "look at it in a browser; it may be the source's error or login page.")),
    (b"<", FileSignature("XML", "look into it; it may be the source's error message.")),
    (b"{", FileSignature("JSON", "look into it; it may be the source's error message.")),
    (b"[", FileSignature("JSON", "look into it; it may be the source's error message.")),
)
_MAGIC: Final = {".parquet": b"PAR1", ".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
"""How a file of that ending begins."""
_PLAIN: Final = {
    ".parquet": FileSignature("not Parquet", "see what the file is; it may be text under a wrong name."),
    ".gz": FileSignature("not compressed by gzip", f"{_RENAME}.csv if it is plain text."),
    ".zst": FileSignature("not compressed by zstd", f"{_RENAME}.csv if it is plain text."),
}


def sign_of(head: bytes) -> FileSignature | None:
    """What the first bytes of a file say, where they say that it is no CSV."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    for magic, sign in _BINARY:
        if head.startswith(magic):
            return sign
    for start, sign in _TEXT:
        if text.startswith(start):
            return sign
    first_line = head.partition(b"\n")[0]
    if b"\0" in first_line:
        is_wide = first_line.count(b"\0") * 3 > len(first_line) and bool(first_line.strip(b"\0"))
        return (
            _UTF_16 if is_wide else FileSignature("binary: its first line holds NUL bytes", "deliver the file again.")
        )
    return None


def mismatch(head: bytes, ending: str) -> FileSignature | None:
    """What a file is whose name ends so and whose first bytes do not fit that; null where they fit, or any would do."""
    magic = _MAGIC.get(ending)
    if magic is None or head.startswith(magic):
        return None
    return sign_of(head) or _PLAIN[ending]
