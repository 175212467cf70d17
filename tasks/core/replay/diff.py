"""Two states of a table, cell by cell: the rows that a run stored and those that its replay gives.

Rows have no order. They are the same where every cell is, floats to the last bit, as often as they stand. Rows that differ are
matched by the table's key; what the other side does not have by that key is missing or added.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

SAMPLES: Final = 5
"""Most cells listed for a table; the rest is counted."""
ROW: Final = "(row)"
"""Stands for the column where a whole row is on one side only."""

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "drift": ("account_id", "asset_class"),
    "household_drift": ("household_id", "asset_class"),
    "tilted_targets": ("account_id", "asset_class"),
    "index_baskets": ("account_id", "asset_class"),
    "lot_relief": ("order_id", "lot_id"),
    "orders": ("order_id",),
    "class_reasons": ("account_id", "asset_class"),
    "frontier": ("account_id", "scenario", "tracking_penalty", "trade_to"),
    "quarantine": ("table_name", "landed_row"),
    "released_rows": ("table_name", "landed_row"),
    "vanished_rows": ("table_name", "row"),
    "late_prices": ("security_id", "effective_date"),
    "carried_lots": ("account_id", "security_id", "lot_id"),
    "carried_rules": ("account_id", "security_id", "rule", "until_date", "household_id", "asset_class", "index_id"),
    "counts": ("name",),
}
"""Keys of tables that are not one row a landed row or an account."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell that differs; null on the side where the row is missing altogether."""

    key: Mapping[str, Any]
    column: str
    then: Any
    now: Any


@dataclass(frozen=True, slots=True)
class TableDiff:
    """How a table differs. ``missing``: rows of then alone, ``added``: of now alone; ``cells`` are of ``changed`` rows."""

    table: str
    rows: int
    missing: int = 0
    added: int = 0
    changed: int = 0
    cells: int = 0
    samples: tuple[Cell, ...] = ()

    @property
    def is_same(self) -> bool:
        """Nothing differs."""
        return not (self.missing or self.added or self.changed)


def key_of(table: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The table's key among its columns; empty: none is known."""
    there = tuple(columns)
    known = KEYS.get(table, ("row_number",) if "row_number" in there else ("account_id",))
    return known if set(known) <= set(there) else ()


def compare(table: str, then: pl.DataFrame, now: pl.DataFrame) -> TableDiff:
    """How the rows of now differ from those of then; both have the same columns."""
    key = key_of(table, then.columns)
    old, new = (_with_row_numbers(frame) for frame in (then, now))
    if _is_same_in_order(old, new, key):
        return TableDiff(table, then.height)
    names = [name for name in old.columns if name != _ROW]
    missing, added = (_alone(*pair, names) for pair in ((old, new), (new, old)))
    old_rows, new_rows = then[missing], now[added]
    if not (missing.len() or added.len()):
        return TableDiff(table, then.height)
    is_keyed = bool(key) and not any(frame.select(key).is_duplicated().any() for frame in (old_rows, new_rows))
    if not is_keyed:
        cells = [*_whole(old_rows, key or then.columns, is_then=True), *_whole(new_rows, key or then.columns)]
        return TableDiff(table, then.height, old_rows.height, new_rows.height, samples=tuple(cells[:SAMPLES]))
    return _compare_by_key(table, then.height, old_rows, new_rows, key)


def merge_diffs(parts: Iterable[TableDiff]) -> list[TableDiff]:
    """One for each table, of its shards."""
    found: dict[str, TableDiff] = {}
    for part in parts:
        before = found.get(part.table, TableDiff(part.table, 0))
        found[part.table] = TableDiff(
            part.table,
            before.rows + part.rows,
            before.missing + part.missing,
            before.added + part.added,
            before.changed + part.changed,
            before.cells + part.cells,
            (before.samples + part.samples)[:SAMPLES],
        )
    return list(found.values())


_ROW: Final = "(number)"


def _with_row_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """With the row's number; floats as their bits, for -0.0 equals 0.0 and a NaN nothing."""
    floats = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    bits = [
        pl.select(pl.when(frame[name].is_not_null()).then(frame[name].fill_null(0.0).to_numpy().view(np.uint64)))
        .to_series()
        .alias(name)
        for name in floats
    ]
    return frame.with_columns(bits).with_row_index(_ROW)


def _is_same_in_order(old: pl.DataFrame, new: pl.DataFrame, key: tuple[str, ...]) -> bool:
    """Whether they are the same once sorted by the key; of a key that is not unique, maybe not though they are."""
    sorts = [frame.drop(_ROW).sort(key or frame.columns[1:], maintain_order=True) for frame in (old, new)]
    return sorts[0].equals(sorts[1])


def _alone(mine: pl.DataFrame, other: pl.DataFrame, columns: list[str]) -> pl.Series:
    """Numbers of rows that the other side does not have, or not so often."""
    again = pl.int_range(pl.len()).over(columns).alias("(again)")
    here, there = mine.with_columns(again), other.with_columns(again)
    return here.join(there, on=[*columns, "(again)"], how="anti", nulls_equal=True)[_ROW].sort()


def _compare_by_key(table: str, height: int, old: pl.DataFrame, new: pl.DataFrame, key: tuple[str, ...]) -> TableDiff:
    missing = old.join(new, on=key, how="anti", nulls_equal=True)
    added = new.join(old, on=key, how="anti", nulls_equal=True)
    both = old.join(new, on=key, how="inner", suffix=" now", nulls_equal=True).sort(key)
    cells: list[Cell] = []
    count = 0
    for name in (name for name in old.columns if name not in key):
        pair = _with_row_numbers(both.select(then=name, now=f"{name} now"))
        differing = pair.filter(pl.col("then").ne_missing(pl.col("now")))[_ROW]
        count += differing.len()
        cells += [
            Cell({part: row[part] for part in key}, name, row[name], row[f"{name} now"])
            for row in both[differing.head(SAMPLES)].iter_rows(named=True)
        ]
    cells += [*_whole(missing.sort(key), key, is_then=True), *_whole(added.sort(key), key)]
    return TableDiff(table, height, missing.height, added.height, both.height, count, tuple(cells[:SAMPLES]))


def _whole(rows: pl.DataFrame, key: Iterable[str], *, is_then: bool = False) -> list[Cell]:
    """The first few rows that one side alone has."""
    named = rows.select(tuple(key)).head(SAMPLES).rows(named=True)
    return [Cell(row, ROW, "is there" if is_then else None, None if is_then else "is there") for row in named]
