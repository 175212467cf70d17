"""A stream of text whose bytes are judged as they pass, so that a parser behind it meets nothing it would choke on."""

import codecs
from typing import Final, Protocol

from schemas.errors import InputRefused

_MEBIBYTE: Final = 1 << 20


class Blocks(Protocol):
    """What is read from."""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end."""


class CheckedText:
    """A file to read from that hands on text in UTF-8 without NUL bytes or long lines, and one line end more than there is.

    Parameters
    ----------
    name
        Name of the file, for messages.
    blocks
        Where the bytes come from.
    longest_line
        Bytes a line may have at most.
    """

    closed = False

    def __init__(self, name: str, blocks: Blocks, *, longest_line: int) -> None:
        self._name = name
        self._blocks = blocks
        self._longest = longest_line
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line = 1
        self._length = 0
        self._is_after_return = False
        self._has_ended = False

    def readable(self) -> bool:
        """Always: it is a file to read from."""
        return True

    def close(self) -> None:
        """Nothing: who opened the blocks closes them."""

    def read(self, size: int) -> bytes:
        """``size`` bytes; fewer and a line end behind the last; then none.

        Raises
        ------
        InputRefused
            The text is not UTF-8, holds a NUL byte, or has a line that is too long.
        """
        block = self._filled(size)
        self._check(block)
        if len(block) == size or self._has_ended:
            return block
        self._has_ended = True
        return block + b"\n"

    def check_all(self) -> None:
        """Read to the end."""
        while self.read(_MEBIBYTE):
            pass

    def _filled(self, size: int) -> bytes:
        """As many bytes as asked for, unless the end comes first: a parser takes a short block for one without a line end."""
        blocks = [self._blocks.read(size)]
        while blocks[-1] and sum(map(len, blocks)) < size:
            blocks.append(self._blocks.read(size - sum(map(len, blocks))))
        return b"".join(blocks)

    def _check(self, block: bytes) -> None:
        self._refuse_nul(block)
        self._refuse_foreign(block)
        self._refuse_long(block)
        self._line = self._number(block, len(block))
        self._is_after_return = block.endswith(b"\r") or (not block and self._is_after_return)

    def _refuse_nul(self, block: bytes) -> None:
        place = block.find(b"\0")
        if place >= 0:
            raise InputRefused(
                f"{self._name} line {self._number(block, place)} holds a NUL byte; needed text in UTF-8\n\n"
                "Hint: deliver the file again; it may have been damaged or cut short."
            )

    def _refuse_foreign(self, block: bytes) -> None:
        pending = self._decoder.getstate()[0]
        if block.isascii() and block and not pending:
            return
        try:
            self._decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line = self._number(block, max(error.start - len(pending), 0))
            byte = f"0x{error.object[error.start]:02X}"
            raise InputRefused(
                f"{self._name} line {line} is not UTF-8 (found the byte {byte}); needed text in UTF-8\n\n"
                "Hint: save the file again as UTF-8; it may be Windows-1252 or Latin-1."
            ) from error

    def _refuse_long(self, block: bytes) -> None:
        ends = [place for place in (block.find(b"\n"), block.find(b"\r")) if place >= 0]
        if self._length + min(ends, default=len(block)) > self._longest:
            size = f"{self._longest / _MEBIBYTE:g} MiB"
            raise InputRefused(
                f"{self._name} line {self._line} is longer than {size}; needed one row a line\n\n"
                "Hint: the file may have lost its line ends."
            )
        last = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._length = len(block) - last - 1 if ends else self._length + len(block)

    def _number(self, block: bytes, place: int) -> int:
        """Number of the line in the file, from 1, on which that place of the block stands."""
        before = block[:place]
        pairs = before.count(b"\r\n") + (self._is_after_return and before.startswith(b"\n"))
        return self._line + before.count(b"\n") + before.count(b"\r") - pairs
