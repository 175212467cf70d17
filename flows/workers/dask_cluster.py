"""Workers of a Dask cluster, by way of Prefect's runner for it.

1. A worker gets a run's reference and a shard number, opens the stores itself, reads and writes the lake itself. Neither the
   scheduler nor this process ever holds a row of the book.
2. At most ``PER_WORKER`` shards per worker are under way, however many a step has: one that is worked on and one that waits.
3. What is finished is what the ledger says. A future that was lost with its worker, or was done twice, counts for nothing: a
   shard is replaced in one transaction and recorded last (``tasks.runtime.steps``), so that what is not recorded is done again.
4. A shard that fails ends the step as it does in one process: what is under way is waited for, then the fault of the lowest
   shard is raised. Dask gives up on a shard when ``distributed.scheduler.allowed-failures`` workers died under it.

Known limit: a worker of a scheduler elsewhere that joins while a step runs is looked at when the step has ended.
"""

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import cloudpickle
import dask
import distributed
from dask.system import CPU_COUNT
from distributed import Future, KilledWorker
from distributed.client import FuturesCancelledError
from distributed.system import MEMORY_LIMIT
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_dask.task_runners import DaskTaskRunner

from flows.workers.dask_worker import Prepared, faults_of, worker_facts
from flows.workers.protocol import Finished, ShardTask
from schemas.errors import Retryable, Terminal, WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings

PER_WORKER: Final = 2
ROUNDS: Final = 3
"""How often what the ledger does not have as finished is begun."""
LOOK_SECONDS: Final = 2
"""How often workers are counted while none of them comes back with a shard."""
PATIENCE_SECONDS: Final = 120
"""How long a cluster may be without any worker."""
SHARE_OF_MEMORY: Final = 0.8
"""What local workers have of the machine's memory, all together; the rest is for this process and the system."""
LOCAL: Final = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.deploy.lost-worker-timeout": f"{PATIENCE_SECONDS}s",
}
"""Dask has no data of ours to spill, and a worker that pauses with a shard in its hands never goes on. One that was killed is
started again and is awaited: Dask would strike it off the list after 15 seconds, which a busy machine needs for a start."""


@contextmanager
def dask_executor(settings: Settings) -> Iterator["DaskHands"]:
    """The workers that the settings name; see ``flows.workers.shard_executor``."""
    is_elsewhere = are_elsewhere(settings)
    if is_elsewhere:
        need_shared_stores(settings)
    with (
        dask.config.set({} if is_elsewhere else LOCAL | {"distributed.nanny.pre-spawn-environ": _threads(settings)}),
        temporary_settings({PREFECT_API_URL: api_address(is_elsewhere=is_elsewhere)}),
        _runner(settings) as runner,
    ):
        take_the_flow_along()
        hands = DaskHands(runner, settings)
        if is_elsewhere:
            hands.look()
        yield hands


def are_elsewhere(settings: Settings) -> bool:
    """Whether the workers are those of a scheduler elsewhere, with an environment of their own."""
    return "://" in settings.dask


def take_the_flow_along() -> None:
    """Let the flow be sent whole where Prefect loaded it from its file, as a worker does: under that name nobody can import it."""
    context = FlowRunContext.get()
    module = inspect.getmodule(context.flow.fn) if context and context.flow else None
    if module is not None and "." not in module.__name__:
        cloudpickle.register_pickle_by_value(module)


def _runner(settings: Settings) -> DaskTaskRunner:
    if are_elsewhere(settings):
        return DaskTaskRunner(address=settings.dask)
    count = local_workers(settings)
    memory = int(MEMORY_LIMIT * SHARE_OF_MEMORY / count)
    return DaskTaskRunner(
        cluster_kwargs={
            "n_workers": count,
            "threads_per_worker": 1,
            "memory_limit": memory,
            "dashboard_address": None,
        }
    )


def local_workers(settings: Settings) -> int:
    """How many processes ``local`` or ``local:4`` asks for; as many as processors where it does not say."""
    count = settings.dask.partition(":")[2]
    return int(count) if count else int(CPU_COUNT)


def _threads(settings: Settings) -> dict[str, str]:
    """Workers of one machine share its processors; each of these engines would take all of them."""
    each = str(max(1, CPU_COUNT // local_workers(settings)))
    return {"POLARS_MAX_THREADS": each, "NUMBA_NUM_THREADS": each, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def api_address(*, is_elsewhere: bool) -> str | None:
    """Where the flow's Prefect server answers: without it each worker would start one of its own.

    Raises
    ------
    WrongUsage
        It is a server that only this process knows, and the workers are elsewhere.
    """
    given: str | None = PREFECT_API_URL.value()
    context = FlowRunContext.get()
    if given is None and is_elsewhere:
        raise WrongUsage(
            "workers of a Dask scheduler need a Prefect server that they reach; PREFECT_API_URL is not set\n\n"
            "Hint: start one with `prefect server start` and set PREFECT_API_URL here and for the workers."
        )
    return given or (str(context.client.api_url) if context else None)


def need_shared_stores(settings: Settings) -> None:
    """Refuse stores in files of this machine where workers are elsewhere.

    Raises
    ------
    WrongUsage
        The ledger or the lake is one.
    """
    embedded = {
        "TRIMTAB_LEDGER_URL": settings.ledger_address.startswith("sqlite"),
        "TRIMTAB_LAKE_URL": settings.lake_address.startswith("ducklake:sqlite:"),
        "TRIMTAB_LAKE_DATA_URL": "://" not in settings.lake_data_address and not settings.lake_data_url,
    }
    wrong = [name for name, is_embedded in embedded.items() if is_embedded]
    if wrong:
        raise WrongUsage(
            f"workers at {settings.dask} cannot share files of this machine; {', '.join(wrong)} must name servers\n\n"
            "Hint: PostgreSQL for ledger and catalogue, S3 for data (docs/how-to/scaling.md); or TRIMTAB_DASK=local."
        )


class DaskHands:
    """The workers of a cluster that this process may give shards to."""

    def __init__(self, runner: DaskTaskRunner, settings: Settings) -> None:
        self._runner, self._settings = runner, settings
        self._known: set[str] = set()

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
        """All shards of a step; what the ledger does not have in the end is begun again.

        Raises
        ------
        Terminal
            A shard ended one worker after the other.
        Retryable
            The cluster has no workers, or shards stay undone.
        """
        left = list(shards)
        for _ in range(ROUNDS):
            if not left:
                return
            self.look()
            self._round(work, run, left, moved)
            self.look()
            done = finished()
            left = [shard for shard in left if (step, shard) not in done]
        if left:
            raise Retryable(
                f"{step} of the shards {left} is not in the ledger after {ROUNDS} attempts on {self._place}"
            )

    def look(self) -> None:
        """Prepare workers that joined, and refuse those that would not do the work of this process.

        Raises
        ------
        WrongUsage
            One has other stores, versions or more than one thread.
        Retryable
            The scheduler does not answer, or there is no worker.
        """
        try:
            client = self._runner.client
            if not self._known:
                client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
                client.register_plugin(Prepared(None if are_elsewhere(self._settings) else self._settings))
            new = sorted(set(client.nthreads()) - self._known)
            answers = client.run(worker_facts, workers=new) if new else {}
        except ModuleNotFoundError as error:
            raise WrongUsage(f"a worker of {self._place} lacks a part of this program: {error}") from error
        except (OSError, TimeoutError) as error:
            raise self._gone() from error
        here = worker_facts()
        for worker, there in answers.items():
            if wrong := faults_of(here, there):
                raise WrongUsage(
                    f"the worker {worker} of {self._place} {wrong}\n\n"
                    "Hint: start it with the environment of this process, and --nthreads 1 (docs/how-to/scaling.md)."
                )
        self._known |= set(new)

    @property
    def _place(self) -> str:
        return f"the Dask cluster {self._settings.dask}"

    def _gone(self) -> Retryable:
        return Retryable(f"{self._place} does not answer, or has no worker; the run goes on when it is started again")

    def _round(self, work: ShardTask, run: RunRef, shards: Sequence[int], moved: Callable[[], None]) -> None:
        waiting, faults = deque(shards), dict[int, BaseException]()
        under_way: dict[Future[Any], int] = {}
        while under_way or (waiting and not faults):
            places = self._places() - len(under_way)
            for shard in [waiting.popleft() for _ in range(min(places, len(waiting))) if not faults]:
                submitted = self._runner.submit(work, {"run": run, "shard": shard})
                under_way[submitted.wrapped_future] = shard
            for future in self._ended(list(under_way)):
                shard = under_way.pop(future)
                fault = fault_of(future, shard)
                if fault is not None:
                    faults[shard] = fault
                moved()
        if faults:
            raise faults[min(faults)]

    def _places(self) -> int:
        """How many shards may be under way now.

        Raises
        ------
        Retryable
            There has been no worker for too long.
        """
        try:
            client = self._runner.client
            if not client.nthreads():
                client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
            return PER_WORKER * len(client.nthreads())
        except (OSError, TimeoutError) as error:
            raise self._gone() from error

    def _ended(self, futures: list["Future[Any]"]) -> list["Future[Any]"]:
        """Those that have come back, or been lost; none after ``LOOK_SECONDS``."""
        if not futures:
            return []
        with self._runner.client.as_current(), suppress(TimeoutError, FuturesCancelledError):
            distributed.wait(futures, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED")
        return [future for future in futures if future.done()]


def fault_of(future: "Future[Any]", shard: int) -> BaseException | None:
    """What a shard raised. Null where it is done, and where it was lost with its worker: the ledger says what of it is left."""
    if future.cancelled() or future.status == "lost":
        return None
    error: BaseException | None = future.exception()
    if isinstance(error, KilledWorker):
        return Terminal(
            f"shard {shard} ended {dask.config.get('distributed.scheduler.allowed-failures') + 1} workers one after the other"
            "\n\nHint: too little memory? Look at the workers' logs; smaller shards need less (TRIMTAB_ACCOUNTS_PER_SHARD)."
        )
    if error is not None:
        return error
    state = future.result()
    if not state.is_failed():  # completed; or crashed with its worker
        return None
    found = state.result(raise_on_failure=False, _sync=True)
    return found if isinstance(found, BaseException) else Terminal(f"shard {shard}: {state.message}")
