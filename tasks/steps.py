"""Step records: what a step wrote is in the lake before its row is in the ledger, so a re-run starts at the first missing row."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from schemas.enums import Step
from schemas.run import RunRef
from tasks.stores import utc_now
from warehouse.ledger import Ledger


@dataclass
class Progress:
    """Rows that the step has written, to be filled in by it."""

    rows: int = 0


@contextmanager
def timed_step(ledger: Ledger, run: RunRef, step: Step, shard: int) -> Iterator[Progress]:
    """Time a step and record it as finished; nothing is recorded when it raises."""
    progress, began = Progress(), time.perf_counter()
    yield progress
    seconds = time.perf_counter() - began
    ledger.finish_step(run.run_id, step, shard, rows=progress.rows, seconds=seconds, now=utc_now())
