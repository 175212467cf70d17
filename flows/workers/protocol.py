"""Who works on the shards of a step: this process, one shard after the other, or the workers of a Dask cluster."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from prefect.tasks import Task

from schemas.enums import Step
from schemas.run import RunRef
from schemas.settings import Settings

ShardTask = Task[[RunRef, int], None]
"""A step of one shard: it opens the stores itself, and hands nothing back."""
Finished = Callable[[], Collection[tuple[Step, int]]]
"""What the ledger has as finished, asked anew at each call."""


class ShardExecutor(Protocol):
    """Whoever works on shards."""

    def each(
        self,
        step: Step,
        work: ShardTask,
        run: RunRef,
        shards: Sequence[int],
        *,
        finished: Finished,
        moved: Callable[[], None],
    ) -> None:
        """Do a step for all of the shards, or raise what one of them raised; ``moved`` is called as each is done."""


class InProcess:
    """The process of the flow: Polars and the kernel use its processors."""

    def each(
        self,
        step: Step,  # noqa: ARG002 - the ledger need not be asked where the call itself came back
        work: ShardTask,
        run: RunRef,
        shards: Sequence[int],
        *,
        finished: Finished,  # noqa: ARG002 - as above
        moved: Callable[[], None],
    ) -> None:
        """One after the other, in the order given."""
        for shard in shards:
            work(run, shard)
            moved()


@contextmanager
def shard_executor(settings: Settings) -> Iterator[ShardExecutor]:
    """Whoever the settings name. Workers elsewhere are looked at first; processes beside this one start with the first step.

    Raises
    ------
    WrongUsage
        Workers elsewhere cannot do the work of this process: other stores, other versions.
    Retryable
        Their scheduler does not answer, or has no worker.
    """
    if not settings.dask:
        yield InProcess()
        return
    from flows.workers.dask_cluster import dask_executor  # noqa: PLC0415 - takes a second to import, which one process need not wait

    with dask_executor(settings) as hands:
        yield hands
