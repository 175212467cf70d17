"""Which executor the settings name."""

from collections.abc import Iterator
from contextlib import contextmanager

from flows.workers.in_process import InProcess
from flows.workers.protocol import ShardExecutor
from schemas.settings import Settings


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
