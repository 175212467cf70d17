"""Rows about what may be traded that the last night had and tonight's files lack, over a whole night.

Looked at are restrictions, households, what models may buy and where classes are to be held. Such a row protects accounts as long as it
is there, and breaks nothing when it is gone. Gone is a row whose subject is still delivered:

1. a restriction, until its last day, of an account and a security of tonight, where nothing forbids tonight what it forbade;
2. a household that an account of tonight names;
3. a choice, or a location preference, of a class that its model still has; a choice only of a security of tonight.

A row that is there and broken is not gone: it costs what it costs. Identifiers are tonight's on both sides (``in_current_terms``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from schemas.landing_columns import dtypes
from schemas.tables import PUBLIC
from tasks.core.gate import as_json, unforbidden

_CLASS: Final = ("model_id", "asset_class")
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "restrictions": ("account_id", "security_id", "rule"),
    "households": ("household_id",),
    "buy_list": (*_CLASS, "security_id", "tax_status"),
    "location_preferences": (*_CLASS, "tax_status"),
}
WATCHED: Final = tuple(_KEYS)
"""The tables that are looked at."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """What is gone of a night's tables."""

    rows: pl.DataFrame
    """The public table ``vanished_rows``."""
    expected: Mapping[str, int]
    """Rows of each table whose subject is still delivered."""
    emptied: tuple[str, ...]
    """Tables that had such rows and have no row at all tonight."""
    closed_classes: tuple[str, ...]
    """``model/class`` of which every choice is gone."""

    def of(self, table: str) -> pl.DataFrame:
        """What is gone of a table."""
        return self.rows.filter(pl.col("table_name") == table)


def vanished_rows(
    then: Mapping[str, pl.DataFrame], tonight: Mapping[str, pl.DataFrame], then_date: date, trade_date: date
) -> Vanished:
    """What tonight lacks of the last night.

    Parameters
    ----------
    then
        Landed rows of the tables ``WATCHED``, good or bad, in tonight's identifiers.
    tonight
        The same of tonight, and ``accounts``, ``securities`` and ``model_targets``.
    then_date
        The last night.
    trade_date
        When tonight's orders trade; a restriction that ended before is not missed.
    """
    parts, expected, emptied = [pl.DataFrame(schema=PUBLIC["vanished_rows"])], {}, []
    for table, key in _KEYS.items():
        whole = [name for name in key if name not in {"account_id", "tax_status"}]
        due = _with_subject(
            table, then[table].drop_nulls(whole).unique(key, keep="first", maintain_order=True), tonight
        )
        if table == "restrictions":
            due = due.filter(pl.col("until_date").is_null() | (pl.col("until_date") >= trade_date))
            gone = unforbidden(due, tonight[table])
        else:
            gone = due.join(tonight[table], on=key, how="anti", nulls_equal=True)
        expected[table] = due.height
        emptied += [table] if gone.height and tonight[table].is_empty() else []
        parts.append(_as_public(table, gone, then_date))
    rows = pl.concat(parts).sort("table_name", "row")
    return Vanished(
        rows=rows,
        expected=expected,
        emptied=tuple(emptied),
        closed_classes=_closed_classes(rows, tonight["buy_list"]),
    )


def _with_subject(table: str, rows: pl.DataFrame, tonight: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Rows whose account, household, security or class is still delivered."""
    known = {name: tonight[of][name].drop_nulls().unique().implode() for name, of in _SUBJECTS}
    if table == "households":
        return rows.filter(pl.col("household_id").is_in(known["household_id"]))
    classes = tonight["model_targets"].select(_CLASS).unique()
    of_classes = rows if table == "restrictions" else rows.join(classes, on=_CLASS, how="semi", maintain_order="left")
    if table == "location_preferences":
        return of_classes
    of_securities = of_classes.filter(pl.col("security_id").is_in(known["security_id"]))
    if table == "buy_list":
        return of_securities
    return of_securities.filter(pl.col("account_id").is_null() | pl.col("account_id").is_in(known["account_id"]))


_SUBJECTS: Final = (("account_id", "accounts"), ("household_id", "accounts"), ("security_id", "securities"))


def _as_public(table: str, gone: pl.DataFrame, then_date: date) -> pl.DataFrame:
    return gone.select(
        table_name=pl.lit(table),
        account_id=pl.col("account_id") if table == "restrictions" else pl.lit(None, pl.String),
        row=as_json(gone.select(list(dtypes(table)))),
        last_date=pl.lit(then_date),
    )


def _closed_classes(gone: pl.DataFrame, choices: pl.DataFrame) -> tuple[str, ...]:
    of_models = gone.filter(pl.col("table_name") == "buy_list").select(
        pl.col("row").str.json_path_match(f"$.{name}").alias(name) for name in _CLASS
    )
    closed = of_models.unique().join(choices, on=_CLASS, how="anti").sort(_CLASS)
    return tuple(f"{model}/{asset_class}" for model, asset_class in closed.rows())
