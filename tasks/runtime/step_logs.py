"""What is logged of a step: that it began, and once that it ended, through the run's logger, which Prefect's pages show too.

The sentence is for people; the same as fields travels with the record, for ``tasks.runtime.json_lines``. Counts and times only.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from schemas.enums import Step
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import LogFormat, Settings
from tasks.runtime.control_characters import plain_text
from tasks.runtime.json_lines import FIELDS, JsonLines


@dataclass
class StepOutcome:
    """What a step came to, to be filled in as it ends."""

    rows: int = 0
    seconds: float = 0.0


@contextmanager
def log_step(run: RunRef, step: Step, shard: int) -> Iterator[StepOutcome]:
    """Log that a step begins and, once, how it ended."""
    what = {"run_id": run.run_id, "step": str(step), "shard": shard}
    name = str(step) if shard == GLOBAL_SHARD else f"{step} of shard {shard}"
    outcome = StepOutcome()
    log(logging.INFO, f"{name} begins", {"event": "step_started", **what})
    try:
        yield outcome
    except BaseException as error:
        log(
            logging.WARNING,
            f"{name} broke off: {type(error).__name__}",
            {"event": "step_failed", **what, "error": type(error).__name__},
        )
        raise
    ended = {"seconds": round(outcome.seconds, 3), "rows": outcome.rows}
    log(
        logging.INFO,
        f"{name}: {outcome.rows:,} rows in {outcome.seconds:.2f} s",
        {"event": "step_finished", **what, **ended},
    )


def log(level: int, sentence: str, fields: dict[str, Any]) -> None:
    """To the log of the run that this is called in, else to the program's own."""
    _logger().log(level, sentence, extra={FIELDS: fields})


def _logger() -> "logging.Logger | logging.LoggerAdapter[logging.Logger]":
    """The logger of the run that this is called in, else the program's own; Prefect, which takes seconds, is not loaded for it."""
    if "prefect" in sys.modules:
        from prefect.exceptions import MissingContextError  # noqa: PLC0415 - where it is loaded already
        from prefect.logging import get_run_logger  # noqa: PLC0415 - as above

        with suppress(MissingContextError):
            return get_run_logger()
    return logging.getLogger("trimtab")


def use_log_format(settings: Settings) -> None:
    """Have this process log in the format that the settings name. Said again it changes nothing."""
    if settings.log_format is not LogFormat.JSON or "prefect" not in sys.modules:
        return
    from prefect.logging.handlers import PrefectConsoleHandler  # noqa: PLC0415 - where it is loaded already

    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if isinstance(handler, PrefectConsoleHandler) and not isinstance(handler.formatter, JsonLines):
            handler.setFormatter(JsonLines())


def give_notice(message: str) -> None:
    """Log what a person may want to know and nothing depends on, as a warning: to the run's log in Prefect, else to the program's own.

    Never account data.
    """
    _logger().warning(plain_text(message))
