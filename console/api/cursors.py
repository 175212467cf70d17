"""Cursors: where a page of a list ended, as text that callers hand back and do not read."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from console.api.problems import ApiProblem
from warehouse.ledger import Sort

Kinds = tuple[type, ...]
LARGEST: Final = 2**63
"""What no database's whole number reaches."""


def cursor_of(after: tuple[Any, str], sort: Sort, filter_text: str) -> str:
    """The cursor behind a page's last row; good for the same order and filter only."""
    return write_cursor(after, f"{sort} {filter_text}")


def after_of(cursor: str, sort: Sort, filter_text: str) -> tuple[Any, str]:
    """What ``cursor_of`` was given.

    Raises
    ------
    Problem
        As ``read_cursor``.
    """
    value, name = read_cursor(cursor, f"{sort} {filter_text}", (_KINDS[sort], (str,)))
    return value, name


def write_cursor(after: Sequence[Any], about: str) -> str:
    """The cursor of a place in a list; ``about`` is the list, its order and its filter."""
    spelled = [{"at": value.isoformat()} if isinstance(value, datetime) else value for value in after]
    text = json.dumps([*spelled, _digest(about)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, about: str, kinds: Sequence[Kinds]) -> tuple[Any, ...]:
    """What ``write_cursor`` was given: a value of each of the kinds.

    Raises
    ------
    Problem
        400: it is no cursor, or one of another list, order or filter.
    """
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        *spelled, digest = found
        values = [datetime.fromisoformat(one["at"]) if isinstance(one, dict) else one for one in spelled]
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError):
        raise ApiProblem(HTTPStatus.BAD_REQUEST, "This is no cursor.") from None
    is_sound = len(values) == len(kinds) and all(map(_is_of, values, kinds))
    if not is_sound or digest != _digest(about):
        raise ApiProblem(HTTPStatus.BAD_REQUEST, "This cursor is of another order or filter.")
    return tuple(values)


_KINDS: Final[dict[Sort, Kinds]] = {
    Sort.PRIORITY: (int,),
    Sort.VALUE: (int, float),
    Sort.TAX: (int, float),
    Sort.TURNOVER: (int, float),
    Sort.DRIFT: (int, float),
    Sort.CUT_OFF: (datetime,),
    Sort.ACCOUNT: (str,),
    Sort.AGE: (datetime,),
}


def _is_of(value: Any, kinds: Kinds) -> bool:
    """Whether a database takes it as one of the kinds: anybody can write a cursor."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        return False
    if isinstance(value, datetime):
        return value.utcoffset() == timedelta()
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return isinstance(value, (int, float)) and -LARGEST <= value < LARGEST


def _digest(about: str) -> str:
    return hashlib.sha256(about.encode()).hexdigest()[:12]
