"""Keeps tracebacks of failures that we foresee out of the logs: their message is a sentence for a person."""

import logging
from typing import Final

from schemas.errors import TrimtabError

LOGGERS: Final = (
    "prefect.flow_runs",
    "prefect.task_runs",
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.task_engine",
)


class ForeseenWithoutTraceback(logging.Filter):
    """Drops the traceback from a record about a ``TrimtabError``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        if record.exc_info and isinstance(record.exc_info[1], TrimtabError):
            record.msg, record.args = "%s", (str(record.exc_info[1]).split("\n", maxsplit=1)[0],)
            record.exc_info = None
        return True


def without_tracebacks() -> None:
    """Put the filter on Prefect's loggers, once."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, ForeseenWithoutTraceback) for each in logger.filters):
            logger.addFilter(ForeseenWithoutTraceback())
