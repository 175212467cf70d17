"""Tells a foreseen failure in one sentence: no traceback in the logs, and a state of the flow run that says what happened.

Where the settings ask for lines of JSON, a process logs them from the moment on that it imports a flow, which is before Prefect
says that a run begins.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from prefect.client.schemas.objects import State
from prefect.states import Failed

from schemas.errors import ConservationBroken, InputRefused, RunHeld, TrimtabError, WrongUsage
from tasks.runtime.run_settings import current_settings, use_settings
from tasks.runtime.step_logs import log, use_log_format

P = ParamSpec("P")
R = TypeVar("R")

LOGGERS: Final = (
    "prefect.flow_runs",
    "prefect.task_runs",
    "prefect.engine",
)
"""Loggers that Prefect's engine writes an exception of a run to."""
STATE_NAMES: Final[dict[type[TrimtabError], str]] = {
    RunHeld: "Held",
    ConservationBroken: "Held",
    InputRefused: "Refused",
}
"""Names of the failed state that the Prefect UI shows; anything else is ``Failed``."""


class ForeseenWithoutTraceback(logging.Filter):
    """Drops the traceback from a record about a ``TrimtabError``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        if record.exc_info and isinstance(record.exc_info[1], TrimtabError):
            record.msg, record.args = "%s", (sentence(record.exc_info[1]),)
            record.exc_info = None
        return True


def without_tracebacks() -> None:
    """Put the filter on Prefect's loggers, once."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, ForeseenWithoutTraceback) for each in logger.filters):
            logger.addFilter(ForeseenWithoutTraceback())


def foreseen_as_state(work: Callable[P, R]) -> Callable[P, R | State[Any]]:
    """Let a flow end in a failed state with the sentence as its message where it breaks off for a foreseen reason.

    The settings are read once and bound for all of its tasks. Whoever calls the flow directly still gets the exception: Prefect
    raises what a failed state carries.
    """
    with suppress(WrongUsage):  # settings that cannot be read are told of when the flow runs
        use_log_format(current_settings())
    # A worker of Dask gets the flow whole and would not find State[Any], a class of whichever module names it first.
    work.__annotations__.pop("return", None)

    @wraps(work)
    def run_flow(*args: P.args, **kwargs: P.kwargs) -> R | State[Any]:
        without_tracebacks()
        try:
            settings = current_settings()
            use_log_format(settings)
            with use_settings(settings):
                return work(*args, **kwargs)
        except TrimtabError as error:
            name = STATE_NAMES.get(type(error), "Failed")
            fields = {"event": "run_ended", "state": name, "error": type(error).__name__}
            log(logging.ERROR, sentence(error), fields)
            return Failed(name=name, message=str(error), data=error)

    return run_flow


def sentence(error: BaseException) -> str:
    """What happened, without the hint."""
    return str(error).split("\n", maxsplit=1)[0]
