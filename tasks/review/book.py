"""The whole book over nights: drift, turnover, tax, cost and outcomes by model, custodian or asset class, as each night proposed it.

A night is the newest finished run on every account of its date. The database adds up a night, and what is handed on has a row a group, so that
a book of any size is some hundred rows. Drift of a group is its accounts' one-way drift weighted by NAV, that of an asset class the absolute
drift of the class weighted alike; turnover is half of buys and sells over NAV.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import polars as pl

from warehouse.lake import Lake
from warehouse.ledger import RunRow

SUMS: Final = (
    "accounts",
    "out_of_band",
    "nav_usd",
    "drift_usd",
    "drift_after_usd",
    "traded_usd",
    "tax_usd",
    "cost_usd",
)
WHOLE: Final = "all"
"""What the group of every account is called."""
NOT_KNOWN: Final = "not known"
"""What groups accounts of which the source said no model or custodian, or said it twice."""
MOST_ACCOUNTS: Final = 2_000_000
"""Of all runs that are added up at once."""
DIGITS: Final = 10
"""Of a fraction; the database's sums are exact to a millionth of a dollar."""


class BookBy(StrEnum):
    """What accounts, or what they hold, are grouped by."""

    MODEL = "model"
    CUSTODIAN = "custodian"
    CLASS = "class"


_COLUMNS: Final = {BookBy.MODEL: "model_id", BookBy.CUSTODIAN: "custodian"}


@dataclass(frozen=True, slots=True)
class BookNight:
    """What a run made of the whole book: rows of ``book_groups`` and ``book_classes``."""

    run_id: str
    as_of_date: date
    groups: pl.DataFrame
    classes: pl.DataFrame


@dataclass(frozen=True, slots=True)
class BookGroup:
    """One group on one night. Drift and turnover are fractions of NAV, null where nothing was measured.

    Of an asset class ``value_usd`` is what accounts hold of it, ``target_usd`` what their models ask for, and there is no drift after the
    trades nor an outcome; of others ``value_usd`` is NAV and there is no target. ``out_of_band``: accounts that a drift triggered, or that hold
    the class beyond its band.
    """

    as_of_date: date
    run_id: str
    name: str
    accounts: int
    out_of_band: int
    value_usd: Decimal
    target_usd: Decimal | None
    one_way_drift: float | None
    one_way_drift_after: float | None
    traded_usd: Decimal
    turnover: float | None
    tax_usd: Decimal
    cost_usd: Decimal
    outcomes: dict[str, int]


def account_models(lake: Lake, runs: Sequence[str]) -> pl.DataFrame:
    """``run_id, account_id, outcome, reason, custodian, model_id`` of every account of some runs, with the model that governs it."""
    return _of_runs(lake, "account_models", runs)


def book_nights(lake: Lake, runs: Sequence[RunRow]) -> list[BookNight]:
    """Add up some runs, in their order; a few at a time, so that memory stays bounded however large the book is."""
    return [night for some in _in_batches(runs) for night in _sums_of(lake, some)]


def _in_batches(runs: Sequence[RunRow]) -> Iterator[list[RunRow]]:
    batch: list[RunRow] = []
    for run in runs:
        if batch and sum(one.accounts_pulled for one in batch) + run.accounts_pulled > MOST_ACCOUNTS:
            yield batch
            batch = []
        batch.append(run)
    if batch:
        yield batch


def _sums_of(lake: Lake, runs: Sequence[RunRow]) -> Iterator[BookNight]:
    names = [run.run_id for run in runs]
    groups, classes = (_of_runs(lake, statement, names) for statement in ("book_groups", "book_classes"))
    for run in runs:
        mine = pl.col("run_id") == run.run_id
        yield BookNight(run.run_id, run.as_of_date, groups.filter(mine), classes.filter(mine))


def _of_runs(lake: Lake, statement: str, runs: Sequence[str]) -> pl.DataFrame:
    wanted = pl.DataFrame({"run_id": runs}, schema={"run_id": pl.String})
    return lake.rows_found(statement, {"runs": wanted}, first=min(runs), last=max(runs))


def book_groups(nights: Iterable[BookNight], by: BookBy | None) -> list[BookGroup]:
    """Every group of every night, by night, then the largest first; ``by`` null: one group a night, of every account."""
    return [group for night in nights for group in (_classes(night) if by is BookBy.CLASS else _groups(night, by))]


def names_by_value(groups: Sequence[BookGroup]) -> list[str]:
    """The groups' names, those first that are largest on the newest night that has them."""
    newest: dict[str, BookGroup] = {}
    for group in groups:
        if group.name not in newest or newest[group.name].as_of_date < group.as_of_date:
            newest[group.name] = group
    return sorted(newest, key=lambda name: (-newest[name].value_usd, name))


def _groups(night: BookNight, by: BookBy | None) -> Iterator[BookGroup]:
    name = pl.lit(WHOLE) if by is None else pl.col(_COLUMNS[by]).fill_null(NOT_KNOWN)
    named = night.groups.with_columns(name=name)
    found = named.group_by("name").agg(pl.col(column).sum() for column in SUMS)
    for row in found.sort("nav_usd", "name", descending=[True, False]).iter_rows(named=True):
        mine = named.filter(pl.col("name") == row["name"]).group_by("outcome").agg(pl.col("accounts").sum())
        yield BookGroup(
            night.as_of_date,
            night.run_id,
            row["name"],
            row["accounts"],
            row["out_of_band"],
            row["nav_usd"],
            None,
            _over(row["drift_usd"], row["nav_usd"]),
            _over(row["drift_after_usd"], row["nav_usd"]),
            row["traded_usd"],
            _over(row["traded_usd"] / 2, row["nav_usd"]),
            row["tax_usd"],
            row["cost_usd"],
            dict(mine.sort("accounts", "outcome", descending=[True, False]).iter_rows()),
        )


def _classes(night: BookNight) -> Iterator[BookGroup]:
    nav = night.groups["nav_usd"].sum()
    for row in night.classes.sort("value_usd", "asset_class", descending=[True, False]).iter_rows(named=True):
        yield BookGroup(
            night.as_of_date,
            night.run_id,
            row["asset_class"] or NOT_KNOWN,
            row["accounts"],
            row["out_of_band"],
            row["value_usd"],
            row["target_usd"],
            _over(row["drift_usd"], nav),
            None,
            row["traded_usd"],
            _over(row["traded_usd"] / 2, nav),
            row["tax_usd"],
            row["cost_usd"],
            {},
        )


def _over(amount: Any, whole: Any) -> float | None:
    return round(float(amount) / float(whole), DIGITS) if whole else None
