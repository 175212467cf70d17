"""Which executor the settings name: the flow's own process, or the workers of a Dask cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flows.workers.protocol import Finished, ShardExecutor, ShardTask
from schemas.run import RunRef
from schemas.settings import Settings


class InProcess:
    """The process of the flow: Polars and the kernel use its processors."""

    def each(
        self,
        step: str,  # noqa: ARG002 - the ledger need not be asked where the call itself came back
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
    """The executor that the settings name. Workers elsewhere are looked at first; processes beside this one start with the first step.

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

    with dask_executor(settings) as executor:
        yield executor
