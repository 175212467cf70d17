"""Where each proposal goes: to a person, or straight to approval by its policy's limits."""

from typing import Final

import polars as pl

from schemas.enums import Route

TURNOVER: Final = "turnover_above_limit"
TAX: Final = "tax_above_limit"
PERSON: Final = "policy_asks_for_a_person"
FOUR_EYES: Final = "four_eyes"


def with_route(proposals: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Proposals with ``route``, ``route_reasons`` and ``approvals_needed``; row order kept.

    ``limits``: account_id, auto_approve_max_turnover, auto_approve_max_tax_usd, four_eyes_above_usd. A null limit of the first
    two means always a person; orders above the third need two approvers.
    """
    needs_two = (pl.col("gross_value_usd").cast(pl.Float64) > pl.col("four_eyes_above_usd")).fill_null(value=False)
    is_asked = pl.col("auto_approve_max_turnover").is_null() | pl.col("auto_approve_max_tax_usd").is_null()
    conditions = {
        PERSON: is_asked,
        TURNOVER: pl.col("turnover") > pl.col("auto_approve_max_turnover"),
        TAX: pl.col("est_tax_usd").cast(pl.Float64) > pl.col("auto_approve_max_tax_usd"),
        FOUR_EYES: needs_two,
    }
    words = [pl.when(condition).then(pl.lit(word)) for word, condition in conditions.items()]
    return (
        proposals.join(limits, on="account_id", how="left", maintain_order="left")
        .with_columns(
            route_reasons=pl.concat_str(words, separator="|", ignore_nulls=True),
            approvals_needed=pl.when(needs_two).then(2).otherwise(1).cast(pl.Int64),
        )
        .with_columns(
            route=pl.when(pl.col("route_reasons") == "")
            .then(pl.lit(str(Route.AUTO)))
            .otherwise(pl.lit(str(Route.REVIEW)))
        )
        .drop("auto_approve_max_turnover", "auto_approve_max_tax_usd", "four_eyes_above_usd")
    )
