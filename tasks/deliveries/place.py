"""A place that finished exports are delivered to."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from schemas.exports import Delivery
from tasks.deliveries import folder, s3


class DeliveryPlace(Protocol):
    """A place while it is open. ``folder`` is a path inside it, as ``2026-03-02/<run_id>``; missing folders are made.

    Every call raises ``PlaceUnreachable`` where the place does not answer or breaks off, and ``Terminal`` where a person is
    needed: no access, no room, a name that is taken by another file, a path that leads out of the place.
    """

    def hashes(self, folder: str, paths: Collection[str]) -> dict[str, str]:
        """SHA-256 of those of the files that are there under their final names, read back."""

    def put(self, folder: str, files: Sequence[tuple[str, bytes]]) -> None:
        """Write files, each a path inside ``folder`` and its content; in which order, the place decides.

        Each is there whole under its final name or not at all. A file of that name that is there already is never
        overwritten: it is refused, before anything is written, unless it is the same bytes. What an earlier try left
        half-written of these files is removed.
        """


def open_place(delivery: Delivery) -> AbstractContextManager[DeliveryPlace]:
    """The place, with one connection for all that is asked of it.

    Raises
    ------
    PlaceUnreachable
        It does not answer. Try again.
    Terminal
        It turned us away, shows another host key than the known one, has no such bucket, or its address cannot be used.
    """
    match delivery.scheme:
        case "s3":
            return s3.open_place(delivery)
        case "sftp":
            from tasks.deliveries import sftp  # noqa: PLC0415 - asyncssh looks for a C library with a compiler when it is imported

            return sftp.open_place(delivery)
        case _:
            return folder.open_place(delivery)
