"""JSON as it stands: numbers stay text, so that no digit is lost, and what JSON leaves open is refused.

A name that stands twice in an object, ``NaN`` and infinities (RFC 8259 leaves the first open and does not have the others)
are errors here.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from tasks.executions.words import Unreadable, quote_value

_SPACE: Final = " \t\r\n"


def value_of(text: str) -> Any:
    """The JSON value; its numbers are text.

    Raises
    ------
    Unreadable
        It is no JSON, or nested too deeply.
    """
    try:
        return _STRICT.decode(text)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the record is no JSON ({_reason(error)}); needed a whole JSON object") from error


def elements(text: str) -> Iterator[str]:
    """The text of each element of a JSON array.

    Raises
    ------
    Unreadable
        The array breaks off or goes wrong; the message says at which line.
    """
    place = _next(text, text.index("[") + 1)
    is_open = text[place : place + 1] != "]"
    while is_open:
        end = _end(text, place)
        yield text[place:end]
        place = _next(text, end)
        if text[place : place + 1] not in {",", "]"}:
            raise Unreadable(f"the array goes wrong at line {_line(text, place)}; needed a comma or its end")
        is_open = text[place] == ","
        place = _next(text, place + 1) if is_open else place
    if text[place + 1 :].strip(_SPACE):
        raise Unreadable(f"there is more after the array at line {_line(text, place)}; needed one array")


def _end(text: str, place: int) -> int:
    """Where the value ends that begins at ``place``."""
    try:
        return _LENIENT.raw_decode(text, place)[1]
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"the array goes wrong at line {_line(text, place)} ({_reason(error)}); needed whole JSON"
        ) from error


def _next(text: str, place: int) -> int:
    while text[place : place + 1] in _SPACE and place < len(text):
        place += 1
    return place


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"the name {quote_value(twice)} stands twice in one object; needed it once")
    return found


def _refuse(constant: str) -> NoReturn:
    raise Unreadable(f"the record has {constant}, which is no number; needed numbers")


_STRICT: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse, object_pairs_hook=_object)
_LENIENT: Final = json.JSONDecoder(parse_float=str, parse_int=str)
