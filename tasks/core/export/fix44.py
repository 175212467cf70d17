"""Profile ``fix44``: orders, or blocks with their pre-trade allocations, as FIX 4.4 messages. See ``fix_orders`` and ``fix_messages``.

Known limits: FIX 4.4 has no field for a tax lot. Which lots a sell closes stands in ``lots/*.csv`` of the same export alone; tags
of one's own would be read only by counterparties that agreed to them.
"""

from collections.abc import Iterator

import polars as pl

from schemas.exports import Profile
from tasks.core.export.fix_messages import order_refusals
from tasks.core.export.fix_orders import order_files
from tasks.core.export.package import ExportPackage


def refusals(release: ExportPackage, profile: Profile) -> pl.DataFrame:
    """What has no code or no plain text in FIX; fractions of shares can be said."""
    return order_refusals(release, profile)


def files(release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:
    """``<account_id>.fix``, or ``<block_id>.fix`` by the profile's grain; ``rows`` are orders.

    Raises
    ------
    ConservationBroken
        An order cannot be written, ``refusals`` says so before; or allocations do not sum to their block.
    """
    yield from order_files(release, profile)
