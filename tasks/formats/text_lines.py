"""Text in whole lines whose bytes were judged, so that a parser behind it meets nothing that it would choke on."""

from collections.abc import Callable, Iterator
from typing import Final

from schemas.errors import InputRefused

_MEBIBYTE: Final = 1 << 20


def whole_lines(name: str, read: Callable[[int], bytes], *, block_bytes: int, longest_line: int) -> Iterator[bytes]:
    """The text in UTF-8, about ``block_bytes`` at a time, each time whole lines; the last line is ended where it is not.

    Parameters
    ----------
    name
        Name of the file, for messages.
    read
        Gives at most so many bytes; none at the end.
    block_bytes
        How much is read at once.
    longest_line
        Bytes that a line may have.

    Raises
    ------
    InputRefused
        The text is not UTF-8, holds a NUL byte, or has a line that is too long.
    """
    rest, line = b"", 1
    following = _read_fully(read, block_bytes)
    while following:
        block, following = following, _read_fully(read, block_bytes)
        rest += block
        if not following and not rest.endswith(b"\n"):
            rest += b"\n"
        _refuse_long(name, rest, line, longest_line)
        cut = _end_of_lines(rest)
        if cut:
            yield _check_text(name, rest[:cut], line)
            line += _line_ends(rest[:cut])
            rest = rest[cut:]


def _read_fully(read: Callable[[int], bytes], size: int) -> bytes:
    """As many bytes as asked for, unless the end comes first: what unpacks may hand out less."""
    parts = [read(size)]
    while parts[-1] and sum(map(len, parts)) < size:
        parts.append(read(size - sum(map(len, parts))))
    return b"".join(parts)


def _end_of_lines(text: bytes) -> int:
    """Where the last whole line ends. A carriage return at the very end may be half of a line end."""
    known = len(text) - text.endswith(b"\r")
    return max(text.rfind(b"\n", 0, known), text.rfind(b"\r", 0, known)) + 1


def _line_ends(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def _refuse_long(name: str, text: bytes, line: int, longest: int) -> None:
    ends = [place for place in (text.find(b"\n"), text.find(b"\r")) if place >= 0]
    if min(ends, default=len(text)) > longest:
        raise InputRefused(
            f"{name} line {line} is longer than {longest / _MEBIBYTE:g} MiB; needed one row a line\n\n"
            "Hint: the file may have lost its line ends."
        )


def _check_text(name: str, text: bytes, line: int) -> bytes:
    """The text, if it is UTF-8 without NUL bytes. ``line``: number of its first line in the file."""
    place = text.find(b"\0")
    if place >= 0:
        raise InputRefused(
            f"{name} line {line + _line_ends(text[:place])} holds a NUL byte; needed text in UTF-8\n\n"
            "Hint: deliver the file again; it may have been damaged or cut short."
        )
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            where, byte = line + _line_ends(text[: error.start]), text[error.start]
            raise InputRefused(
                f"{name} line {where} is not UTF-8 (found the byte 0x{byte:02X}); needed text in UTF-8\n\n"
                "Hint: save the file again as UTF-8; it may be Windows-1252 or Latin-1."
            ) from error
    return text
