"""What works on the shards of a step, whether it is this process or the workers of a Dask cluster."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from prefect.tasks import Task

from schemas.run import RunRef

ShardTask = Task[[RunRef, int], None]
"""A step of one shard: it opens the stores itself, and hands nothing back."""
Finished = Callable[[], Collection[tuple[str, int]]]
"""Steps and shards that are recorded as finished, asked anew at each call."""


class ShardExecutor(Protocol):
    """Works on the shards of a step."""

    def each(
        self,
        step: str,
        work: ShardTask,
        run: RunRef,
        shards: Sequence[int],
        *,
        finished: Finished,
        moved: Callable[[], None],
    ) -> None:
        """Do a step for all of the shards, or raise what one of them raised; ``moved`` is called as each is done."""
