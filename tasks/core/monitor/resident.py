"""A book that stays in memory between looks: flat arrays of what is held, and the engine's own bands and targets beside them.

A *unit* is what has bands: an account alone, or a household that is managed together. Its *rows* are its asset classes; a row
consists of *cells*, one for each account of the unit; a cell of lots. All of it lies in this order, so that a unit is one piece of
each array, and sums over lots, cells and rows are sums over neighbours.

Targets, bands, cash beyond the reserve and what is owed are those of ``drift_by_class``, ``household_drift`` and ``account_parameters``;
none of them depends on a price. Quantities are exact, in millionths, so that the facts of any accounts can be made again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.landing_columns import CASH
from tasks.core.drift import drift_by_class, household_drift
from tasks.core.facts import Facts, account_parameters, with_own_classes
from tasks.core.monitor.breaches import HELD, KnownToday, held_values, is_out, models_now, with_fills
from tasks.core.propose import HOUSEHOLD

MILLION: Final = 1_000_000
ROUNDING_USD: Final = 1e-6
"""What the value of a lot of factor 1 may lie beside quantity times price, twice: a product is rounded at the sixth digit, and once more by its factor."""
WIDE: Final = pl.Decimal(38, 6)
HOUSEHOLD_KEY: Final = "h " + pl.col("household_id")
_UNIT: Final = pl.coalesce(pl.format("h {}", HOUSEHOLD), pl.format("a {}", "account_id"))

Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BookArrays:
    """The book as arrays. Those that begin with what they count up to have one entry more: the end of the last.

    ``lot_security``: row of the security in ``Facts.securities``; one that is not there has the number after the last. ``lot_quantity``:
    millionths. ``row_cash_usd``: cash of the class cash. ``row_band``: NaN where a class has none. ``unit_rounding_usd``: how far
    exact sums may lie beside those of floats. ``extra_*``: fills that holdings do not show, by row. ``unit_sizes``: accounts.
    """

    lot_security: Numbers
    lot_quantity: Ints
    cell_lots: Numbers
    cell_account: Numbers
    row_cells: Numbers
    row_cash_usd: Floats
    row_target: Floats
    row_band: Floats
    unit_rows: Numbers
    unit_sizes: Numbers
    unit_rounding_usd: Floats
    unit_is_triggered: Flags
    unit_is_owing: Flags
    account_unit: Numbers
    account_was_out: Flags
    extra_row: Numbers
    extra_security: Numbers
    extra_quantity: Ints

    @property
    def unit_count(self) -> int:
        """How many accounts alone and managed households."""
        return len(self.unit_sizes)


@dataclass(frozen=True, slots=True)
class ShardBook:
    """One shard. ``facts``: of its accounts, in the order of their numbers, ``lots`` left out: they are in the arrays. ``known``: of these."""

    facts: Facts
    known: KnownToday
    arrays: BookArrays


@dataclass(frozen=True, slots=True)
class ResidentBook:
    """All shards, each of which holds its households whole."""

    parts: tuple[ShardBook, ...]

    @property
    def securities(self) -> pl.DataFrame:
        """Those of every part, in the order of their numbers."""
        return self.parts[0].facts.securities

    @property
    def is_held(self) -> Flags:
        """By security, whether an account holds it or is to hold it once its fills are shown."""
        held = np.zeros(self.securities.height + 1, dtype=np.bool_)
        for part in self.parts:
            held[part.arrays.lot_security] = held[part.arrays.extra_security] = True
        return held[:-1]


def resident_book(parts: Iterable[tuple[Facts, KnownToday]]) -> ResidentBook:
    """The book of shards, which have all in common but their accounts; each is let go of once it is taken in."""
    return ResidentBook(tuple(resident_part(*part) for part in parts))


def resident_part(facts: Facts, known: KnownToday) -> ShardBook:
    """The book of one shard, as ``seen_accounts`` looks at it."""
    facts = replace(facts, accounts=facts.accounts.sort("account_id"), cash=facts.cash.sort("account_id"))
    filled = replace(facts, cash=with_fills(facts.cash, known.fills))
    accounts = account_parameters(filled).with_columns(unit=_UNIT, number=pl.int_range(pl.len(), dtype=pl.Int32))
    cells = _cells(filled, known, accounts)
    lots = _in_cells(facts.lots.join(accounts, on="account_id", how="semi"), cells, facts)
    extra = _in_cells(known.fills.join(accounts, on="account_id", how="semi"), cells, facts)
    rows = cells.unique("row", keep="first", maintain_order=True)
    units = accounts.group_by("unit").agg(
        pl.len().cast(pl.Int32).alias("size"),
        pl.col("is_threshold_triggered").first(),
        pl.col("is_owing").any(),
    )
    units = units.join(_roundings(pl.concat([lots, extra])), on="unit", how="left").sort("unit")
    unit_of = units.select("unit", unit_number=pl.int_range(pl.len(), dtype=pl.Int32))
    was_out = known.night.select("account_id", was_out=is_out("triggers"))
    own = accounts.select("account_id", "unit").join(unit_of, on="unit", how="left", maintain_order="left")
    own = own.join(was_out, on="account_id", how="left", maintain_order="left")
    arrays = BookArrays(
        lot_security=lots["security"].to_numpy(),
        lot_quantity=lots["millionths"].to_numpy(),
        cell_lots=_starts(lots["cell"], cells.height),
        cell_account=cells["number"].to_numpy(),
        row_cells=_starts(cells["row"], rows.height),
        row_cash_usd=np.bincount(cells["row"], weights=_cash_of(cells), minlength=rows.height).astype(np.float64),
        row_target=rows["target_weight"].to_numpy(),
        row_band=rows["band"].fill_null(np.nan).to_numpy(),
        unit_rows=_starts(
            rows.join(unit_of, on="unit", how="left", maintain_order="left")["unit_number"], units.height
        ),
        unit_sizes=units["size"].to_numpy(),
        unit_rounding_usd=units["rounding_usd"].fill_null(0.0).to_numpy(),
        unit_is_triggered=units["is_threshold_triggered"].fill_null(value=False).to_numpy(),
        unit_is_owing=units["is_owing"].fill_null(value=False).to_numpy(),
        account_unit=own["unit_number"].to_numpy(),
        account_was_out=own["was_out"].fill_null(value=False).to_numpy(),
        extra_row=extra["row"].to_numpy(),
        extra_security=extra["security"].to_numpy(),
        extra_quantity=extra["millionths"].to_numpy(),
    )
    return ShardBook(_compact(facts), known, arrays)


def changed_accounts(book: ShardBook) -> Flags:
    """By account, whether its targets are others than a run has looked at."""
    accounts = account_parameters(replace(book.facts, cash=book.facts.cash.clear()))
    changed = models_now(accounts, book.facts, book.known).filter("is_changed")
    return book.facts.accounts["account_id"].is_in(changed["account_id"].implode()).to_numpy()


def _cells(facts: Facts, known: KnownToday, accounts: pl.DataFrame) -> pl.DataFrame:
    """Each class of each account in order, with its unit's target and band, ``cell`` and ``row``; a class that no security has is empty."""
    by_class = drift_by_class(held_values(facts, known.fills), accounts, facts.model_targets)
    jointly = household_drift(by_class, accounts, facts.model_targets)
    columns = (pl.col("asset_class").fill_null(""), "target_weight", "band")
    bands = pl.concat(
        [
            by_class.select(pl.format("a {}", "account_id").alias("unit"), *columns),
            jointly.select(pl.format("h {}", "household_id").alias("unit"), *columns),
        ]
    )
    own = accounts.select("account_id", "unit", "number", "cash_usd")
    is_next = pl.struct("unit", "asset_class") != pl.struct("unit", "asset_class").shift()
    return (
        by_class.select("account_id", pl.col("asset_class").fill_null(""))
        .join(own, on="account_id")
        .join(bands, on=["unit", "asset_class"], how="left")
        .sort("unit", "asset_class", "account_id")
        .with_columns(
            cell=pl.int_range(pl.len(), dtype=pl.Int32), row=is_next.fill_null(value=False).cast(pl.Int32).cum_sum()
        )
    )


def _cash_of(cells: pl.DataFrame) -> Floats:
    is_cash = pl.col("asset_class") == CASH
    cash = cells.select(pl.when(is_cash).then("cash_usd").cast(pl.Float64).fill_null(0.0)).to_series()
    return cash.to_numpy()


def _in_cells(held: pl.DataFrame, cells: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """``cell, row, unit, security, millionths, price_factor`` of what is held; sorted by cell."""
    securities = facts.securities.select(
        "security_id",
        "asset_class",
        price_factor=pl.col("price_factor").cast(pl.Float64).fill_null(1.0),
        security=pl.int_range(pl.len(), dtype=pl.Int32),
    )
    return (
        held.select(HELD)
        .join(securities, on="security_id", how="left")
        .pipe(with_own_classes, facts.index_members)
        .with_columns(pl.col("asset_class").fill_null(""), pl.col("security").fill_null(facts.securities.height))
        .join(cells, on=["account_id", "asset_class"])
        .select(
            "cell",
            "row",
            "unit",
            "security",
            pl.col("price_factor").fill_null(1.0),
            millionths=(pl.col("quantity").cast(WIDE) * MILLION).cast(pl.Int64),
        )
        .sort("cell", maintain_order=True)
    )


def _roundings(held: pl.DataFrame) -> pl.DataFrame:
    return held.group_by("unit").agg(rounding_usd=(ROUNDING_USD * (1 + pl.col("price_factor"))).sum())


def _starts(numbers: pl.Series, count: int) -> Numbers:
    """Where each of ``count`` begins in ascending numbers, and where the last ends."""
    return np.searchsorted(numbers.to_numpy(), np.arange(count + 1)).astype(np.int32)


def _compact(facts: Facts) -> Facts:
    """Of its own accounts alone; without lots, which the arrays have, and members of households that are not managed together."""
    managed = facts.households.select(household_key=HOUSEHOLD_KEY).unique()
    return replace(
        facts,
        lots=facts.lots.clear(),
        members=facts.members.join(managed, on="household_key", how="semi"),
        last_exports=facts.last_exports.join(facts.accounts, on="account_id", how="semi"),
    )
