"""What leaves in one export, put together and checked before a byte is written.

Checked: every order claimed is in the lake and nothing else leaves; an approved proposal leaves whole and as it was
approved; every order can be written (an account with one custodian and a safe file name, a positive quantity and price);
the lots closed sum to each sell.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import polars as pl

from schemas.enums import Side
from schemas.errors import ConservationBroken
from schemas.landing_columns import IDENTIFIER
from tasks.core.export.blocks import block_orders, sells_first
from tasks.core.export.content import content_hashes
from tasks.core.facts import cents, sound_labels


class ProposedTables(NamedTuple):
    """What the lake holds of a run, whole: its ``proposals``, ``orders``, ``lot_relief``, landed ``accounts`` and ``securities``."""

    proposals: pl.DataFrame
    orders: pl.DataFrame
    lot_relief: pl.DataFrame
    accounts: pl.DataFrame
    securities: pl.DataFrame


class Export(NamedTuple):
    """Which export of which run. ``sequence`` counts a run's exports from 1."""

    run_id: str
    as_of_date: date
    sequence: int
    export_id: str

    @property
    def folder_name(self) -> str:
        """``<run_id>`` for the first export of a run, ``<run_id>.2`` for the second, and so on."""
        return self.run_id if self.sequence == 1 else f"{self.run_id}.{self.sequence}"


@dataclass(frozen=True, slots=True)
class ExportPackage:
    """What leaves in one export.

    ``orders``: one row an order, with ``custodian``, ``tax_status`` and ``household_id`` of its account, ``security_type``,
    ``security_name``, ``quantity_step``, ``exchange``, ``cusip`` and ``isin`` (null where they cannot be right) of its security,
    ``shares_symbol`` (another security of the run has its symbol) and ``is_told_by_exchange`` (none of those has its exchange), and
    ``value_usd`` and ``amount_usd`` (null: ordered in shares) in whole cents; sorted by account, sells before buys, then symbol. ``lots``: one row per order and lot closed, sorted likewise. ``blocks``: one row per custodian,
    security and side.
    """

    export: Export
    orders: pl.DataFrame
    lots: pl.DataFrame
    blocks: pl.DataFrame

    def of(self, custodians: Collection[str]) -> "ExportPackage":
        """What leaves of these custodians' accounts; all of it where none is named."""
        if not custodians:
            return self
        is_theirs = pl.col("custodian").is_in(list(custodians))
        orders = self.orders.filter(is_theirs)
        lots = self.lots.join(orders.select("order_id"), on="order_id", how="semi", maintain_order="left")
        return ExportPackage(self.export, orders, lots, self.blocks.filter(is_theirs))


def make_release(
    export: Export, book: ProposedTables, *, approved: pl.DataFrame, claimed: pl.DataFrame
) -> ExportPackage:
    """Put an export together and check it.

    Parameters
    ----------
    export
        Which one.
    book
        The lake's side: what was proposed.
    approved
        The ledger's side, a row per proposal that leaves: ``proposal_id``, ``content_hash``, ``order_count``.
    claimed
        ``order_id`` and ``proposal_id`` of every order that leaves.

    Raises
    ------
    ConservationBroken
        Something does not add up; the message names the first offender.
    """
    check_approved(approved, book.proposals, book.orders)
    orders = released_orders(claimed, book)
    blocks = block_orders(orders, run_id=export.run_id, sequence=export.sequence)
    return ExportPackage(export, orders, released_lots(orders, book.lot_relief), blocks)


def refuse_any(offenders: pl.DataFrame, sentence: str) -> None:
    """Raise ``ConservationBroken`` if there are offenders, naming the first by ``sentence`` with its columns filled in."""
    for row in offenders.head(1).iter_rows(named=True):
        more = f" (and {offenders.height - 1} more)" if offenders.height > 1 else ""
        raise ConservationBroken(
            f"{sentence.format(**row)}{more}\n\n"
            "Hint: nothing left. Export again; if this comes back, the lake or the ledger was changed by hand."
        )


def check_approved(approved: pl.DataFrame, proposals: pl.DataFrame, orders: pl.DataFrame) -> None:
    """Refuse proposals that are no longer what was approved: by their own word, by the number of their orders, or by these, hashed again.

    Parameters
    ----------
    approved
        What the ledger holds: ``proposal_id``, ``content_hash``, ``order_count``.
    proposals, orders
        What the lake holds, whole.
    """
    counted = orders.group_by("proposal_id").agg(found=pl.len().cast(pl.Int64))
    known = proposals.select("proposal_id", lake_hash="content_hash")
    again = content_hashes(orders.join(approved, on="proposal_id", how="semi")).rename({"content_hash": "order_hash"})
    both = approved
    for more in (known, again, counted):
        both = both.join(more, on="proposal_id", how="left", maintain_order="left")
    is_same = pl.col("lake_hash").eq_missing(pl.col("content_hash"))
    refuse_any(both.filter(~is_same), "proposal {proposal_id} is not what was approved: its content hash differs")
    is_complete = pl.col("found").eq_missing(pl.col("order_count").cast(pl.Int64))
    refuse_any(
        both.filter(~is_complete), "proposal {proposal_id} was approved with {order_count} orders, the lake has {found}"
    )
    is_unchanged = pl.col("order_hash").eq_missing(pl.col("content_hash"))
    refuse_any(
        both.filter(~is_unchanged),
        "an order of proposal {proposal_id} was changed since it was approved: the hash differs",
    )


def released_orders(claimed: pl.DataFrame, book: ProposedTables) -> pl.DataFrame:
    """Claimed orders as they leave, sorted by account, sells before buys, then symbol.

    Parameters
    ----------
    claimed
        ``order_id`` and ``proposal_id`` of every order that leaves.
    book
        The lake's side; orders of other proposals are left alone.
    """
    ours = book.orders.join(claimed.select("proposal_id").unique(), on="proposal_id", how="semi")
    pair = ("order_id", "proposal_id")
    refuse_any(
        claimed.join(ours, on=pair, how="anti").sort(pair),
        "order {order_id} was claimed but the lake has no such order",
    )
    refuse_any(
        ours.join(claimed, on=pair, how="anti").sort(pair), "order {order_id} of an approved proposal was not claimed"
    )
    refuse_any(ours.filter(pl.col("order_id").is_duplicated()).sort(pair), "order {order_id} stands in the lake twice")
    leaving = (
        ours.join(owners(book.accounts), on="account_id", how="left")
        .join(instruments(book.securities), on="security_id", how="left")
        .with_columns(cents("value_usd"), cents("amount_usd"))
        .sort("account_id", sells_first(), "symbol", "security_id", "order_id")
    )
    check_writable(leaving)
    return leaving


def owners(accounts: pl.DataFrame) -> pl.DataFrame:
    """One row an account: ``custodian``, ``tax_status``, ``household_id``; each is null where rows of the account disagree."""
    return accounts.group_by("account_id").agg(
        _common_value("custodian"), _common_value("tax_status"), _common_value("household_id")
    )


def instruments(securities: pl.DataFrame) -> pl.DataFrame:
    """One row a security: its columns of ``ExportPackage``; each is null where its rows disagree."""
    names = pl.col("security_id").n_unique()
    is_told = pl.col("exchange").is_not_null() & (names.over("symbol", "exchange") == 1)
    return (
        sound_labels(securities)
        .with_columns(shares_symbol=names.over("symbol") > 1, is_told=is_told)
        .group_by("security_id")
        .agg(
            *(_common_value(name) for name in ("security_type", "quantity_step", "exchange", "cusip", "isin")),
            _common_value("name").alias("security_name"),
            pl.col("shares_symbol").any(),
            is_told_by_exchange=pl.col("is_told").all(),
        )
    )


def _common_value(column: str) -> pl.Expr:
    return pl.when(pl.col(column).n_unique() == 1).then(pl.col(column).first()).alias(column)


def check_writable(orders: pl.DataFrame) -> None:
    """Refuse orders that cannot be written: the account's id is no safe file name, a value is missing or out of range."""
    is_safe = pl.col("account_id").str.contains(IDENTIFIER).fill_null(value=False)
    refuse_any(orders.filter(~is_safe), "account id {account_id!r} of order {order_id} cannot name a file")
    needed = {
        "a custodian": pl.col("custodian").is_not_null(),
        "a side": pl.col("side").is_in(list(Side)),
        "a symbol": pl.col("symbol").is_not_null(),
        "a security": pl.col("security_id").is_not_null(),
        "a positive quantity": pl.col("quantity") > 0,
        "a positive price": pl.col("price_usd") > 0,
        "a value": pl.col("value_usd") >= 0,
        "an amount that is its value": pl.col("amount_usd").is_null() | (pl.col("amount_usd") == pl.col("value_usd")),
    }
    for what, is_there in needed.items():
        refuse_any(orders.filter(~is_there.fill_null(value=False)), "order {order_id} lacks " + what)


def released_lots(orders: pl.DataFrame, relief: pl.DataFrame) -> pl.DataFrame:
    """Lots that the orders close, with their order's ``symbol``, in the orders' order and then by lot.

    Parameters
    ----------
    orders
        Orders as they leave; a buy closes nothing.
    relief
        The lake's ``lot_relief``; rows of other orders are left alone.
    """
    ours = relief.join(orders.select("order_id"), on="order_id", how="semi")
    closed = ours.group_by("order_id").agg(closed=pl.col("quantity").sum())
    due = pl.when(pl.col("side") == Side.SELL).then(pl.col("quantity"))
    sums = orders.select("order_id", "side", due=due).join(closed, on="order_id", how="left", maintain_order="left")
    is_equal = pl.col("due").eq_missing(pl.col("closed"))
    refuse_any(sums.filter(~is_equal), "lots closed by {side} order {order_id} sum to {closed}, needed {due}")
    named = orders.select("order_id", "symbol").with_row_index("place")
    return ours.join(named, on="order_id", how="left").sort("place", "lot_id").drop("place")
