"""The formats that a profile can write, a module each.

A module has two functions. ``refusals(release, profile)`` gives ``order_id``, ``account_id`` and ``reason`` of each order that
the format cannot express, before anything leaves; the reason is a sentence about that order. ``files(release, profile)``
yields groups of ``path`` (inside the profile's folder), ``rows`` (orders in it, or allocations) and ``content``, sorted, as
``files.rendered_files`` does: bytes depend on the release and the profile alone.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import polars as pl

from schemas.enums import ProfileFormat
from schemas.exports import Profile
from tasks.core.export import alpaca, fix_orders, ibkr_allocation, ibkr_basket, jsonl, mapped
from tasks.core.export.package import ExportPackage
from tasks.core.export.words import REFUSALS


class OrderFormat(Protocol):
    """A module of this package."""

    def refusals(self, release: ExportPackage, profile: Profile) -> pl.DataFrame:
        """Orders that the format cannot express, and why."""

    def files(self, release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:
        """Every file of the profile, in groups."""


FORMATS: Final[dict[ProfileFormat, OrderFormat]] = {
    ProfileFormat.FIX44: fix_orders,
    ProfileFormat.FIX50SP2: fix_orders,
    ProfileFormat.IBKR_BASKET: ibkr_basket,
    ProfileFormat.IBKR_ALLOCATION: ibkr_allocation,
    ProfileFormat.ALPACA: alpaca,
    ProfileFormat.MAPPED: mapped,
    ProfileFormat.JSONL: jsonl,
}


def refusals_of(release: ExportPackage, profiles: Iterable[Profile]) -> pl.DataFrame:
    """Orders that a profile cannot express: ``order_id``, ``account_id``, ``reason``, each with its first reason, in the orders' order."""
    parts = [
        FORMATS[profile.format]
        .refusals(release.of(profile.custodians), profile)
        .select("order_id", "account_id", reason=pl.format("{}: {}", pl.lit(profile.name), "reason"))
        for profile in profiles
    ]
    found = pl.concat([pl.DataFrame(schema=REFUSALS), *parts]).unique("order_id", keep="first", maintain_order=True)
    return release.orders.select("order_id").join(found, on="order_id", maintain_order="left")
