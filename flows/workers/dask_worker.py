"""What runs on a Dask worker beside the shards: it is prepared once, and says what it works with."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

import polars as pl
from distributed import Worker, WorkerPlugin

from schemas.settings import Settings
from tasks.runtime import current_settings, private_files, without_tracebacks, worker_settings
from warehouse.lake import bounds

VERSIONS: Final = ("trimtab", "duckdb", "duckdb-extension-ducklake", "polars", "numba", "prefect", "distributed")
SHARE_OF_DUCKDB: Final = 0.5
"""Of a worker's memory; Polars and the kernel have the rest."""
STORES: Final[Mapping[str, str]] = {
    "TRIMTAB_LAKE_URL": "lake_address",
    "TRIMTAB_LAKE_DATA_URL": "lake_data_address",
    "TRIMTAB_LEDGER_URL": "ledger_address",
}
JUDGING: Final = ("max_", "exchange", "is_frontier_written")
"""How settings begin that the steps of a shard depend on."""
ONE: Final = "1"


class Prepared(WorkerPlugin):
    """Bounds DuckDB to the worker's part of its machine, and keeps its files private, also in a worker that joins later.

    Workers beside the process of the flow are given its settings; those elsewhere have their own, so that no password of ours
    is sent to their scheduler.
    """

    name = "trimtab"

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings

    def setup(self, worker: Worker) -> None:
        """As a night prepares its own process."""
        private_files()
        without_tracebacks()
        worker_settings.settings = self._settings
        limit = worker.memory_manager.memory_limit
        bounds.memory_bytes = int(limit * SHARE_OF_DUCKDB) if limit else None
        bounds.threads = pl.thread_pool_size()


def worker_facts(dask_worker: Worker | None = None) -> dict[str, str]:
    """What a process works with, by what one would change to mend it. Addresses may hold passwords: they are hashed."""
    settings = current_settings()
    judging = [name for name in Settings.model_fields if name.startswith(JUDGING)]
    return {
        **{variable: _digest(getattr(settings, name)) for variable, name in STORES.items()},
        **{f"TRIMTAB_{name.upper()}": repr(getattr(settings, name)) for name in judging},
        **{name: version(name) for name in VERSIONS},
        "--nthreads": str(dask_worker.state.nthreads) if dask_worker else ONE,
    }


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def faults_of(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What a worker must not have, as the end of a sentence; empty: it will do."""
    differs = sorted(name for name, value in here.items() if there.get(name) != value)
    if not differs:
        return ""
    shown = [
        name if name in STORES else f"{name} ({there.get(name, 'none')} there, {here[name]} needed)" for name in differs
    ]
    return f"differs from this process in {', '.join(shown)}"
