"""The flow's own process as the executor of shards: one after the other."""

from collections.abc import Callable, Sequence

from flows.workers.protocol import Finished, ShardTask
from schemas.enums import Step
from schemas.run import RunRef


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
