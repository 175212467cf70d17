"""The reference that Prefect tasks pass to one another instead of frames."""

from dataclasses import dataclass
from datetime import date

from schemas.enums import RunKind

GLOBAL_SHARD = -1
"""Shard number of the tables that belong to no account: securities, prices, models, policies."""


@dataclass(frozen=True, slots=True)
class RunRef:
    """One run: its name, the date its facts describe, why it was started and into how many shards it is cut."""

    run_id: str
    as_of_date: date
    kind: RunKind
    shard_count: int
    is_scoped: bool = False

    @property
    def shards(self) -> range:
        """The account shards: ranges of households, sorted."""
        return range(self.shard_count)
