"""The settings that a flow and its tasks work with: bound once for a run, else those of the process's environment.

Prefect stores what a flow is called with, and settings may hold passwords, so they are no parameter of flows and tasks. They are
bound in a context variable, which a task inherits from the flow that calls it, in its thread or in one of Prefect's, and which
another run in another thread does not see.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from schemas.settings import Settings, load_settings


@dataclass
class WorkerSettings:
    """What the process that started this one as a worker works with; null in every other process."""

    settings: Settings | None = None


worker_settings: Final = WorkerSettings()
_BOUND: Final[ContextVar[Settings | None]] = ContextVar("trimtab_settings", default=None)


def current_settings() -> Settings:
    """The settings that are bound, else those that this worker was given, else those of the environment.

    Raises
    ------
    WrongUsage
        None are bound, and those of the environment cannot be read.
    """
    return _BOUND.get() or worker_settings.settings or load_settings()


@contextmanager
def use_settings(settings: Settings) -> Iterator[None]:
    """Bind the settings for what is called meanwhile. Their home stays where it is, whatever folder the process goes to."""
    token = _BOUND.set(settings.model_copy(update={"home": settings.home.resolve()}))
    try:
        yield
    finally:
        _BOUND.reset(token)
