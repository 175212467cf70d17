"""Cursors: where a page of the queue ended, as text that callers hand back and do not read."""

import base64
import binascii
import hashlib
import json
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from console.problems import Problem
from warehouse.ledger import Sort


def cursor_of(after: tuple[Any, str], sort: Sort, filter_text: str) -> str:
    """The cursor behind a page's last row; good for the same order and filter only."""
    value, name = after
    spelled = {"at": value.isoformat()} if isinstance(value, datetime) else value
    text = json.dumps([spelled, name, _digest(sort, filter_text)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after_of(cursor: str, sort: Sort, filter_text: str) -> tuple[Any, str]:
    """What ``cursor_of`` was given.

    Raises
    ------
    Problem
        400: it is no cursor, or one of another order or filter.
    """
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        value, name, digest = found
        value = datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "This is no cursor.") from None
    is_sound = isinstance(name, str) and isinstance(value, _TYPES[sort]) and not isinstance(value, bool)
    if not is_sound or digest != _digest(sort, filter_text):
        raise Problem(HTTPStatus.BAD_REQUEST, "This cursor is of another order or filter.")
    return value, name


_TYPES: Final[dict[Sort, tuple[type, ...]]] = {
    Sort.PRIORITY: (int,),
    Sort.VALUE: (int, float),
    Sort.TAX: (int, float),
    Sort.TURNOVER: (int, float),
    Sort.DRIFT: (int, float),
    Sort.CUT_OFF: (datetime,),
    Sort.ACCOUNT: (str,),
    Sort.AGE: (datetime,),
}


def _digest(sort: Sort, filter_text: str) -> str:
    return hashlib.sha256(f"{sort} {filter_text}".encode()).hexdigest()[:12]
