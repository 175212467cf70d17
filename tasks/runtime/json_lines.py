"""Log records as lines of JSON (RFC 8259, one object a line), for whoever collects logs.

Every line has ``time`` (UTC), ``level``, ``event``, ``logger``; a step's also ``run_id``, ``step``, ``shard``, ``seconds``, ``rows``
(``tasks.runtime.step_logs``), and what Prefect knows of the run: ``flow_run``, ``flow_run_id``, ``task_run``, ``task_run_id``.

No line tells of an account. A failure may: what somebody else's exception says is not ours to know. So a record that
carries or quotes one is told by its event and the kind of error, and its words are left to Prefect's pages and the ledger.

Imports nothing but the standard library: Prefect loads the class while it is itself being imported, where its variables
``PREFECT_LOGGING_FORMATTERS_JSON_CLASS`` and ``PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER`` name it.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Final

FIELDS: Final = "trimtab"
"""Attribute of a record that holds the fields of a line; ``event`` among them."""
OF_PREFECT: Final = {
    "flow_run": "flow_run_name",
    "flow_run_id": "flow_run_id",
    "task_run": "task_run_name",
    "task_run_id": "task_run_id",
}
QUOTES_A_FAILURE: Final = re.compile(r"exception|Finished in state (?!Completed|Skipped)", re.IGNORECASE)
"""Records below the level of errors in which Prefect writes out what a run failed with."""


class JsonLines(logging.Formatter):
    """One line of JSON for a record. Whatever format it is given is left out: Prefect gives it one of its own."""

    def __init__(self, *_given: object) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        given: dict[str, Any] = getattr(record, FIELDS, {"event": "log"})
        known = {name: getattr(record, attribute, None) for name, attribute in OF_PREFECT.items()}
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            **given,
            **{name: str(value) for name, value in known.items() if value is not None},
            "logger": record.name,
            **_words(record, given),
        }
        return json.dumps(line, default=str)


def _words(record: logging.LogRecord, given: dict[str, Any]) -> dict[str, str]:
    """The message, or the kind of error in its place."""
    error = record.exc_info[1] if record.exc_info else _exception_among_arguments(record)
    if error is not None:
        return {"error": type(error).__name__}
    if FIELDS in record.__dict__:
        return {} if "error" in given else {"message": record.getMessage()}
    text = record.getMessage()
    if record.levelno >= logging.ERROR or QUOTES_A_FAILURE.search(text):
        return {"message": "told in Prefect"}
    return {"message": text}


def _exception_among_arguments(record: logging.LogRecord) -> BaseException | None:
    arguments = record.args if isinstance(record.args, tuple) else ()
    return next((each for each in arguments if isinstance(each, BaseException)), None)
