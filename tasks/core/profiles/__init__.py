"""The formats that a profile can write, a module each.

A module has two functions. ``refusals(orders, profile)`` gives ``order_id``, ``account_id`` and ``reason`` of each order that
the format cannot express, before anything leaves; the reason is a sentence about that order. ``files(release, profile)``
yields groups of ``path`` (inside the profile's folder), ``rows`` (orders in it, or allocations) and ``content``, sorted, as
``export_files.rendered_files`` does: bytes depend on the release and the profile alone.
"""

from collections.abc import Iterator
from typing import Final, Protocol

import polars as pl

from schemas.enums import ProfileFormat
from schemas.exports import Profile
from tasks.core.profiles import jsonl
from tasks.core.release import Release


class Format(Protocol):
    """A module of this package."""

    def refusals(self, orders: pl.DataFrame, profile: Profile) -> pl.DataFrame:
        """Orders that the format cannot express, and why."""

    def files(self, release: Release, profile: Profile) -> Iterator[pl.DataFrame]:
        """Every file of the profile, in groups."""


FORMATS: Final[dict[ProfileFormat, Format]] = {ProfileFormat.JSONL: jsonl}
