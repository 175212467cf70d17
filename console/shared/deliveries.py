"""Where exports are on their way to: what the ledger has of each delivery, and those that are planned and not begun."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from console.shared.backend import Backend
from tasks.export import ExportPlan
from warehouse.ledger import DeliveryRow, ExportRow, ExportState


class Leg(StrEnum):
    """How far a delivery is. ``waiting``: no attempt was made yet."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Way:
    """An export on its way to one place; what is not known before the first attempt is null."""

    name: str
    state: Leg
    file_count: int | None = None
    size_bytes: int | None = None
    manifest_sha256: str | None = None
    attempts: int = 0
    sent_count: int = 0
    problem: str | None = None
    started_at: datetime | None = None
    delivered_at: datetime | None = None

    @classmethod
    def of(cls, row: DeliveryRow) -> Self:
        """From the ledger's row."""
        same = {name: getattr(row, name) for name in cls.__slots__ if name != "state"}
        return cls(state=Leg(row.state), **same)


def ways_of(backend: Backend, exports: Iterable[ExportRow]) -> dict[str, list[Way]]:
    """Deliveries of each export, by name of the place."""
    given = list(exports)
    found: dict[str, list[Way]] = {export.export_id: [] for export in given}
    for row in backend.ledger.deliveries.deliveries_of(list(found)):
        found[row.export_id].append(Way.of(row))
    for export in given:
        begun = {way.name for way in found[export.export_id]}
        found[export.export_id] += [
            Way(name, Leg.WAITING) for name in _planned_places(backend, export) if name not in begun
        ]
        found[export.export_id].sort(key=lambda way: way.name)
    return found


def undelivered_count(backend: Backend) -> int:
    """How many whole exports have not reached every place that they are for; a place that is not in the settings any more does not count."""
    names = {place.name for place in backend.settings.deliveries}
    found: Sequence[ExportRow] = backend.ledger.deliveries.undelivered_exports(names) if names else []
    ways = ways_of(backend, found)
    return sum(any(way.state is not Leg.DELIVERED and way.name in names for way in each) for each in ways.values())


def _planned_places(backend: Backend, export: ExportRow) -> list[str]:
    """Places that a whole export names and that there still are."""
    if export.state is not ExportState.PUBLISHED:
        return []
    named = ExportPlan.parse(export.plan).deliveries
    return [place.name for place in backend.settings.deliveries if place.name in named]
