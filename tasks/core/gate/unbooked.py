"""Rows of the accounts' tables that a corporate action leaves in doubt: not booked yet, or it cannot be read."""

from typing import Final

import polars as pl

from tasks.core.gate.contract import Rule
from tasks.core.gate.corporate_actions import Actions, is_renamed
from tasks.core.gate.rows import breaches

_SUPERSEDED: Final = Rule(
    "identifier_current",
    "security_id",
    "the identifier and the shares that the corporate action says hold since; the custodian has not booked it yet",
)
ACTION_WHOLE: Final = Rule(
    "corporate_action_whole", "security_id", "a security without a broken row in the table corporate_actions"
)


def superseded_lots(lots: pl.DataFrame, actions: Actions) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of lots that an action replaced or paid in cash, and that could not be read as lots of the new."""
    is_paid = (pl.col("ratio") == 0) & (pl.col("acquired_date") < pl.col("effective_date")).fill_null(
        pl.col("is_meant")
    )
    found = lots.filter(pl.col("quantity") > 0).join(actions.effective, on="security_id").filter(is_renamed() | is_paid)
    return breaches(found.unique("row_number"), _SUPERSEDED)


def uncertain_rows(rows: pl.DataFrame, lost: pl.Series) -> pl.DataFrame:
    """Broken rules of rows of securities that a row of the actions which cannot be read may be about."""
    return breaches(rows.filter(pl.col("security_id").is_in(lost.implode())), ACTION_WHOLE)
