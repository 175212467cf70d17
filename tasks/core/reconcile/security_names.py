"""What a security is called since it was ordered: a company takes another identifier or another ticker, and brokers follow at once."""

from typing import Final

import polars as pl

from schemas.enums import ActionKind

KNOWN_NAMES: Final[dict[str, pl.DataType]] = {"security_id": pl.String(), "name": pl.String(), "since": pl.Date()}
"""Grain: security as it was ordered, and an identifier or a symbol that it has had since; null: whatever the day."""
NO_NAMES: Final = pl.DataFrame(schema=KNOWN_NAMES)


def renamed_securities(actions: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table of that name: former identifiers, and what each became one share for one, over as many changes as there were; sorted.

    Parameters
    ----------
    actions
        Corporate actions that hold, with their ``ratio``.
    """
    is_renamed_only = (pl.col("action") == ActionKind.IDENTIFIER_CHANGE) & (pl.col("ratio") == 1)
    steps = actions.filter(is_renamed_only).select(
        former_id="security_id", security_id="new_security_id", effective_date="effective_date"
    )
    found, ways = [steps], steps
    while ways.height:  # dates rise along a way, so that it ends
        further = ways.join(steps, left_on="security_id", right_on="former_id", suffix="_next")
        ways = further.filter(pl.col("effective_date_next") > pl.col("effective_date")).select(
            "former_id", security_id="security_id_next", effective_date="effective_date_next"
        )
        found.append(ways)
    return pl.concat(found).unique().sort(pl.all())


def known_names(renamed: pl.DataFrame, securities: pl.DataFrame) -> pl.DataFrame:
    """``KNOWN_NAMES`` of what was renamed, and of securities whose symbol is another now.

    Parameters
    ----------
    renamed
        The table ``renamed_securities`` of the newest night.
    securities
        ``security_id, symbol`` of the same night.
    """
    listed = securities.drop_nulls().unique()
    became = renamed.select("former_id", "security_id", since="effective_date")
    ids = became.select(security_id="former_id", name="security_id", since="since")
    symbols = became.join(listed, on="security_id").select(security_id="former_id", name="symbol", since="since")
    own = listed.select("security_id", name="symbol", since=pl.lit(None, pl.Date))
    return pl.concat([ids, symbols, own]).unique().sort(pl.all())
