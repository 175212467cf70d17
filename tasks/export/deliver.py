"""Copy finished exports to the places that they are for, and have the ledger acknowledge each.

1. An export's plan names its places; one that is added to the settings later gets nothing that left before.
2. Files are read from the export's folder and must be what its manifest says. When the place has all of them they are read
   back and compared; then go the manifest, its signature and ``_SUCCESS``: who waits for ``_SUCCESS`` sees all of it, and right.
3. An attempt that broke off is gone on with behind the last batch that was acknowledged. A file that was acknowledged and is not
   there any more is not sent again: ``is_emptied`` says whether its receiver takes files as they come.
4. What may pass by itself is tried again, after 1, 2, 4 and 8 seconds; what needs a person is told and waits.

Known limits: a place without ``_SUCCESS`` shows whole files of an export that is not whole yet. Where somebody takes files before
they may, and an attempt breaks off within a batch, files of that batch can come again, under the same names with the same orders.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from schemas.errors import ConservationBroken, Retryable, RunHeld, Terminal
from schemas.exports import Delivery
from tasks.core.export import MANIFEST, SIGNATURE, SUCCESS, Export, sha256, without_accounts
from tasks.deliveries import DeliveryPlace, open_place
from tasks.export.plan import ExportPlan
from tasks.export.render import LOOK_SECONDS
from tasks.export.verification import read_manifest
from tasks.runtime import throttle
from warehouse.ledger import Deliveries, DeliveryState, ExportRow, Ledger

ATTEMPTS: Final = 5
BATCH: Final = 128
"""Files handed to a place at a time; the halt is looked at in between."""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """An export and a place. ``problem`` null: the place has acknowledged all of it.

    ``told``: the problem for whoever may not know accounts, without the names of their files.
    """

    export_id: str
    name: str
    file_count: int
    problem: str | None
    told: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverer:
    """Who delivers where."""

    ledger: Ledger
    deliveries: tuple[Delivery, ...]
    now: Callable[[], datetime]
    wait: Callable[[float], None] = time.sleep


def deliver_exports(by: Deliverer, run_id: str | None = None) -> list[DeliveryResult]:
    """Deliver every whole export, of one run or of all, to the places that have not acknowledged it yet.

    A place that cannot be reached does not stop the others.

    Raises
    ------
    RunHeld
        Everything is halted, maybe only since the delivery began.
    """
    by.ledger.halts.need_no_halt()
    exports = by.ledger.deliveries.published_exports(run_id)
    wanted = [(export, place) for export in exports for place in _places(by, export)]
    rows = by.ledger.deliveries.deliveries_of({export.export_id for export in exports})
    done = {(row.export_id, row.name) for row in rows if row.state is DeliveryState.DELIVERED}
    made = [
        _deliver_with_retries(by, export, place)
        for export, place in wanted
        if (export.export_id, place.name) not in done
    ]
    return [*made, *(one for one in _without_place(by, exports) if (one.export_id, one.name) not in done)]


def _without_place(by: Deliverer, exports: Sequence[ExportRow]) -> list[DeliveryResult]:
    """Exports that were to go to a place that the settings do not have any more."""
    there = {place.name for place in by.deliveries}
    why = "the settings have no delivery of that name any more; needed it, or nobody gets these orders there"
    return [
        DeliveryResult(export.export_id, name, 0, why, why)
        for export in exports
        for name in ExportPlan.parse(export.plan).deliveries
        if name not in there
    ]


def _places(by: Deliverer, export: ExportRow) -> list[Delivery]:
    named = ExportPlan.parse(export.plan).deliveries
    return [place for place in by.deliveries if place.name in named]


def _deliver_with_retries(by: Deliverer, export: ExportRow, place: Delivery) -> DeliveryResult:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return DeliveryResult(export.export_id, place.name, _attempt(by, export, place), None)
        except RunHeld:
            raise
        except OSError as error:
            problem = f"a file of the export cannot be read: {error.strerror}"
            break
        except (Retryable, Terminal) as error:
            problem = str(error)
            if not isinstance(error, Retryable) or attempt == ATTEMPTS:
                break
            by.wait(2.0 ** (attempt - 1))
    by.ledger.deliveries.note_delivery_problem(export.export_id, place.name, problem)
    told = without_accounts(problem, by.ledger.answers.accounts_of_export(export.export_id))
    return DeliveryResult(export.export_id, place.name, 0, problem, told)


def _attempt(by: Deliverer, export: ExportRow, place: Delivery) -> int:
    """One attempt; how many files the place has."""
    _need_theirs(by.ledger.deliveries, export, place)
    folder, name = _folder(export, place)
    files = _Files(folder)
    row = by.ledger.deliveries.begin_delivery(
        export.export_id,
        place.name,
        url=place.url,
        file_count=len(files.hashes),
        size_bytes=files.size_bytes,
        manifest_sha256=files.hashes[MANIFEST],
        now=by.now(),
    )
    if row.state is DeliveryState.DELIVERED:  # by somebody else, meanwhile
        return len(files.hashes)

    def look() -> None:
        by.ledger.halts.need_no_halt()
        by.ledger.deliveries.need_own_attempt(row)

    stop = throttle(look, LOOK_SECONDS, time.monotonic)
    with open_place(place) as there:
        _send(
            there,
            name,
            files,
            stop,
            first=row.sent_count,
            note=partial(by.ledger.deliveries.note_sent, row),
            is_emptied=place.is_emptied,
        )
    by.ledger.deliveries.finish_delivery(export.export_id, place.name, by.now())
    return len(files.hashes)


def _need_theirs(deliveries: Deliveries, export: ExportRow, place: Delivery) -> None:
    """Nobody else's orders go to a place that is for some custodians."""
    strangers = (
        sorted(set(deliveries.custodians_of(export.export_id)) - set(place.custodians)) if place.custodians else []
    )
    if strangers:
        raise ConservationBroken(
            f"export {export.export_id} holds orders of {strangers[0]}, and {place.name} is for {', '.join(place.custodians)}\n\n"
            "Hint: a delivery for some custodians takes exports made after it was set up."
        )


def _folder(export: ExportRow, place: Delivery) -> tuple[Path, str]:
    """Where the files are, and what the folder is called at the place."""
    dated = Path(export.folder)
    name = Export(export.run_id, date.fromisoformat(dated.name), export.sequence, export.export_id).folder_name
    parts = (dated.name, name, *([place.profile] if place.profile else []))
    return Path(dated, *parts[1:]), "/".join(parts)


class _Files:
    """The files of a folder in the order in which they are sent; each is held against the manifest when it is read."""

    def __init__(self, folder: Path) -> None:
        listed = {str(entry["path"]): entry for entry in read_manifest(folder)["files"]}
        self.folder = folder
        self.own = [name for name in (MANIFEST, SIGNATURE, SUCCESS) if (folder / name).is_file()]
        self.listed = sorted(listed)
        self.hashes = {path: str(entry["sha256"]) for path, entry in listed.items()} | {
            name: sha256((folder / name).read_bytes()) for name in self.own
        }
        self.size_bytes = sum(int(entry["bytes"]) for entry in listed.values())

    def read(self, path: str) -> bytes:
        content = (self.folder / path).read_bytes()
        if sha256(content) != self.hashes[path]:
            raise ConservationBroken(
                f"{path} of {self.folder} is not what was exported; needed the bytes that the manifest names\n\n"
                "Hint: nothing more of it is delivered. Find out who changed it."
            )
        return content


def _send(
    place: DeliveryPlace,
    name: str,
    files: _Files,
    stop: Callable[[], None],
    *,
    first: int,
    note: Callable[[int], None],
    is_emptied: bool,
) -> None:
    """Send the files from the ``first``-th on; ``note`` is told how many the place has acknowledged."""
    sent = first
    for some in _batches(files.listed[first:]):
        stop()
        place.put(name, [(path, files.read(path)) for path in some])
        sent += len(some)
        note(sent)
    _need_there(place, name, files, files.listed, is_emptied=is_emptied)
    for path in files.own:
        stop()
        place.put(name, [(path, files.read(path))])
    _need_there(place, name, files, files.own, is_emptied=is_emptied)


def _need_there(place: DeliveryPlace, name: str, files: _Files, paths: Sequence[str], *, is_emptied: bool) -> None:
    """Read files back: other bytes are refused, and so is one that is gone, unless the receiver takes files as they come."""
    there = place.hashes(name, paths)
    for path in paths:
        if path in there and there[path] != files.hashes[path]:
            raise Terminal(
                f"{path} is at the place with other bytes than it was sent with\n\n"
                "Hint: find out who changed it and whether it was used; put it aside, then export again."
            )
        if path not in there and not is_emptied:
            raise Terminal(
                f"{path} was acknowledged and is not at the place any more; it is not sent again\n\n"
                "Hint: where the receiver takes files as they come, set is_emptied of this delivery. Else find out who took it, "
                "give them the file from the export's folder, and set is_emptied until this export is through."
            )


def _batches(paths: Sequence[str]) -> Iterator[list[str]]:
    source = iter(paths)
    while batch := list(islice(source, BATCH)):
        yield batch
