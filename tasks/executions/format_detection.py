"""Which format a file is in, told by what it holds and never by its name."""

import re
from typing import Final

from schemas.errors import InputRefused
from tasks.executions.file_bytes import BOM
from tasks.executions.words import ExecutionFormat, quote_value

_HEAD: Final = 1 << 20
"""How much of a file is looked at: a log may begin with other lines."""
_MESSAGE: Final = re.compile(rb"8=FIXT?\.[0-9]\.[0-9](?:\x01|\||\^A)9=")
_JSON: Final = (b"{", b"[", b"data:", b"event:", b"id:", b"retry:", b":")
"""How JSON and server-sent events begin."""


def format_of(name: str, data: bytes) -> ExecutionFormat:
    """The format of a file's bytes.

    Raises
    ------
    InputRefused
        It cannot be told.
    """
    head = data[:_HEAD].removeprefix(BOM).lstrip()
    if head.startswith(b"<"):
        return ExecutionFormat.FLEX
    is_json = head.startswith(_JSON)
    if not is_json and b"execution_id" in head.partition(b"\n")[0]:
        return ExecutionFormat.CSV
    if _MESSAGE.search(head):
        return ExecutionFormat.FIX
    if is_json:
        return ExecutionFormat.ALPACA
    start = head[:60].decode(errors="replace").partition("\n")[0]
    raise InputRefused(
        f"{name} is in no format that can be told (it begins with {quote_value(start)}); needed CSV with a column execution_id, "
        "FIX messages, a Flex statement or Alpaca's trade events\n\n"
        f"Hint: pass --format {', '.join(list(ExecutionFormat)[:-1])} or {list(ExecutionFormat)[-1]}."
    )
