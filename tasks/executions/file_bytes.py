"""The bytes of a file of executions, unpacked, and the text in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from schemas.errors import InputRefused
from tasks.formats import open_bytes

LARGEST: Final = 1 << 28
"""Bytes that a file may have, unpacked: about a million executions."""
BOM: Final = b"\xef\xbb\xbf"
_BLOCK: Final = 1 << 22


def whole_bytes(path: Path) -> bytes:
    """All of the file, unpacked where it begins as gzip or Zstandard do.

    Raises
    ------
    InputRefused
        It is not there, empty, too large, or cannot be read to its end.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not there"
        raise InputRefused(f"{path.name} {found}; needed a file of executions\n\nHint: check the path {path}.")
    try:
        with open_bytes(path) as stream:
            data = _read_to_limit(stream.read)
    except OSError as error:
        reason = str(error).partition("\n")[0]
        raise InputRefused(
            f"{path.name} cannot be read to its end ({reason}); needed the whole file\n\n"
            "Hint: deliver the file again; it may have been cut short."
        ) from error
    if len(data) > LARGEST:
        raise InputRefused(
            f"{path.name} has more than {LARGEST >> 20} MiB of text; needed less\n\nHint: deliver it in parts."
        )
    if not data.removeprefix(BOM).strip():
        raise InputRefused(
            f"{path.name} is empty ({len(data)} bytes); needed executions\n\nHint: deliver the file again."
        )
    return data


def text_of(name: str, data: bytes) -> str:
    """The bytes as text, which must be UTF-8. ``name``: of the file, for the message."""
    try:
        return data.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputRefused(
            f"{name} line {line} is not UTF-8 (found the byte 0x{error.object[error.start]:02X}); needed text in UTF-8\n\n"
            "Hint: save the file again as UTF-8; it may be Windows-1252, Latin-1 or UTF-16."
        ) from error


def _read_to_limit(read: Callable[[int], bytes]) -> bytes:
    """Up to one byte more than a file may have: what unpacks may hand out less than is asked for."""
    parts: list[bytes] = []
    size = 0
    while size <= LARGEST and (part := read(min(_BLOCK, LARGEST + 1 - size))):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
