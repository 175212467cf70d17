"""Accounts and households in the models that they should have, whatever their source says."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from schemas.enums import ChangeSubject

_NAMES: Final = {
    "accounts": (ChangeSubject.ACCOUNT, "account_id"),
    "households": (ChangeSubject.HOUSEHOLD, "household_id"),
}


def in_changed_models(tables: Mapping[str, pl.DataFrame], changes: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The tables with ``model_id`` of ``accounts`` and ``households`` as changes say; rows keep their order, other tables are as they were.

    Parameters
    ----------
    tables
        By name; those without these two are passed over.
    changes
        ``subject_kind, subject_id, from_model_id, to_model_id``; one that is from another model than a row has does nothing to it.
    """
    found = dict(tables)
    for table, (kind, name) in _NAMES.items():
        own = changes.filter(subject_kind=str(kind)).select(
            pl.col("subject_id").alias(name), model_id="from_model_id", changed="to_model_id"
        )
        if table in tables and own.height:
            rows = tables[table]
            joined = rows.join(own, on=(name, "model_id"), how="left", maintain_order="left")
            found[table] = joined.with_columns(model_id=pl.coalesce("changed", "model_id")).select(rows.columns)
    return found
