"""The records of a file of JSON events: an array, JSON Lines, or the text of a stream of server-sent events.

1. An array's elements are records; an array that breaks off refuses the file.
2. JSON Lines: each line that is not blank is a record.
3. Server-sent events (WHATWG HTML, section 9.2.6): ``data:`` lines of one event are one record. Where each line is an object
   of its own, as tools that keep the data lines alone leave them, each is a record. Comments that say that the server dropped
   messages or broke off are records that cannot be read; other comments are counted.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from schemas.errors import InputRefused
from tasks.executions.json_text import elements
from tasks.executions.words import IgnoredRecord, Unreadable

_FIELD: Final = re.compile(r"(data|event|id|retry)(?::|$) ?(.*)", re.DOTALL)
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_TROUBLE: Final = ("dropped", "error", "too slowly")
"""What the comments of a server in trouble say: ``: you are reading too slowly, dropped 10000 messages``."""


class Raw(NamedTuple):
    """A record's text, and why it cannot be read where that is known already."""

    text: str
    fault: str = ""


def raw_events(name: str, text: str) -> Iterator[Raw | IgnoredRecord]:
    """The records in file order. ``name``: of the file, for messages.

    Raises
    ------
    InputRefused
        An array that is not whole.
    """
    start = text.lstrip()
    if start.startswith("["):
        yield from _array(name, text)
    elif start.startswith((":", "data", "event", "id", "retry")):
        yield from _stream(text)
    else:
        yield from (Raw(line) for line in _LINE_END.split(text) if line.strip())


def _array(name: str, text: str) -> Iterator[Raw]:
    try:
        for element in elements(text):
            yield Raw(element)
    except Unreadable as error:
        raise InputRefused(
            f"{name} cannot be read as JSON: {error}\n\nHint: deliver the file again; it may have been cut short."
        ) from error


def _stream(text: str) -> Iterator[Raw | IgnoredRecord]:
    data: list[str] = []
    for line in [*_LINE_END.split(text), ""]:
        field = _FIELD.fullmatch(line)
        if field and field[1] == "data":
            data.append(field[2])
        elif not line.strip():
            yield from _events(data)
            data = []
        elif line.startswith(":"):
            yield _comment(line)
        elif not field:
            yield Raw(line, "the line is none of a stream of events; needed data: and an object")


def _events(data: list[str]) -> Iterator[Raw]:
    """An event, or several that nothing parts."""
    if all(line.startswith("{") for line in data):
        yield from map(Raw, data)
    elif any(line.strip() for line in data):
        yield Raw("\n".join(data))


def _comment(line: str) -> Raw | IgnoredRecord:
    if any(word in line.lower() for word in _TROUBLE):
        return Raw(
            line, "the server says that messages are missing here; needed all of them, ask again from the event before"
        )
    return IgnoredRecord("comments")
