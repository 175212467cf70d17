"""Profile ``fix50sp2``: as ``fix44``, in FIX 5.0 SP2 (``FIXT.1.1``, ApplVerID 9), where a sell also says which lots it closes.

An order that closes lots has an allocation per lot, with the fields of extension pack 127 (see ``fix_allocations``):

    …|11=<order_id>|1=A1|78=2|79=A1|467=<order_id>/L1|80=10|1752=L1|1753=20190506|1754=200|79=A1|467=<order_id>/L2|80=2|1752=L2|…

Known limits: a receiver without that extension pack refuses sells. It is agreed upon at logon (DefaultApplExtID, 1407) or beforehand, not in
each message (ApplExtID, 1156), a field that QuickFIX 1.15 does not know.
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
        An order cannot be written, ``refusals`` says so before; or allocations do not sum to their order.
    """
    yield from order_files(release, profile)
