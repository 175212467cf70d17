"""Which failures Prefect may try again: ours that say so. None else."""

from typing import Any, Final

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from schemas.errors import Retryable

ATTEMPTS: Final = 3


def may_succeed_later(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """True for ``Retryable``; anything else needs a person, a new input, or a look at the code."""
    return isinstance(state.result(raise_on_failure=False), Retryable)


retry_quietly: Final[dict[str, Any]] = {
    "retries": ATTEMPTS,
    "retry_delay_seconds": exponential_backoff(backoff_factor=1),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_succeed_later,
}
"""Options of a task that may be tried again."""
