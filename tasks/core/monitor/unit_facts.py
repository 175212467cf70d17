"""The facts of some units of a resident book, made again from its arrays: what ``seen_accounts`` judges exactly."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.units import EXACT
from tasks.core.facts import Facts
from tasks.core.monitor.breaches import KnownToday
from tasks.core.monitor.resident import HOUSEHOLD_KEY, MILLION, WIDE, Ints, ShardBook

OF_FACTS: Final = ("accounts", "lots", "cash", "last_exports", "members", "tilted_models", "index_members")
OF_KNOWN: Final = ("night", "fills", "handled", "open_orders")
"""Frames that belong to accounts. Targets, and hashes of those of the night, are of the models of all, and of effective models of some."""


def facts_of_units(chosen: Sequence[tuple[ShardBook, Ints]], prices: pl.DataFrame) -> tuple[Facts, KnownToday]:
    """The facts of some units at given prices, as ``resident_part`` took them in.

    Parameters
    ----------
    chosen
        At least one part, with the numbers of units, ascending.
    prices
        ``security_id, price_usd, price_date``.
    """
    found = [_facts_of_units(part, units) for part, units in chosen]
    facts: dict[str, Any] = {name: pl.concat([getattr(each, name) for each, _ in found]) for name in OF_FACTS}
    known = {name: pl.concat([getattr(each, name) for _, each in found]) for name in OF_KNOWN}
    targets = pl.concat([each.model_targets for each, _ in found]).unique(["model_id", "asset_class"], keep="first")
    hashes = pl.concat([each.night_models for _, each in found]).unique("model_id", keep="first")
    first, first_known = found[0]
    return replace(first, prices=prices, model_targets=targets, **facts), replace(
        first_known, night_models=hashes, **known
    )


def _facts_of_units(part: ShardBook, units: Ints) -> tuple[Facts, KnownToday]:
    chosen = np.zeros(part.arrays.unit_count, dtype=np.bool_)
    chosen[units] = True
    accounts = part.facts.accounts.filter(pl.Series(chosen[part.arrays.account_unit]))
    households = accounts.select("household_id").drop_nulls().unique().select(household_key=HOUSEHOLD_KEY)

    def theirs(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.join(accounts, on="account_id", how="semi", maintain_order="left")

    facts: dict[str, Any] = {
        name: theirs(getattr(part.facts, name)) for name in ("cash", "last_exports", "tilted_models", "index_members")
    }
    members = part.facts.members.join(households, on="household_key", how="semi")
    return (
        replace(part.facts, accounts=accounts, lots=_lots_of(part, units), members=members, **facts),
        replace(part.known, **{name: theirs(getattr(part.known, name)) for name in OF_KNOWN}),
    )


def exact(millionths: pl.Expr) -> pl.Expr:
    """Whole millionths as the contract's exact number."""
    return (millionths.cast(WIDE) * pl.lit(Decimal(1) / MILLION, WIDE)).cast(EXACT)


def _lots_of(book: ShardBook, units: Ints) -> pl.DataFrame:
    arrays = book.arrays
    cell_ends = arrays.row_cells[arrays.unit_rows]
    cells = _spread(cell_ends[units], cell_ends[units + 1])
    lots = _spread(arrays.cell_lots[cells], arrays.cell_lots[cells + 1])
    owners = np.repeat(arrays.cell_account[cells], arrays.cell_lots[cells + 1] - arrays.cell_lots[cells])
    return pl.DataFrame(
        {
            "account_id": book.facts.accounts["account_id"].gather(owners),
            "security_id": book.facts.securities["security_id"].gather(arrays.lot_security[lots]),
            "quantity": arrays.lot_quantity[lots],
        }
    ).with_columns(exact(pl.col("quantity")))


def _spread(starts: NDArray[np.integer], ends: NDArray[np.integer]) -> Ints:
    """The numbers from each start up to its end, end to end."""
    counts = (ends - starts).astype(np.int64)
    first = np.repeat(starts.astype(np.int64) - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    return first + np.arange(len(first), dtype=np.int64)
