"""A record read over a period: months of an account or a composite, and what of the difference to the model came of what."""

import polars as pl

from tasks.core.performance.attribution import EFFECTS
from tasks.core.performance.composites import linked_return


def by_month(nights: pl.DataFrame) -> pl.DataFrame:
    """``month`` (its first day), ``earned``, ``model`` and ``night_count``; ``nights``: ``night_date, daily_return, model_return``."""
    return (
        nights.sort("night_date")
        .group_by(month=pl.col("night_date").dt.truncate("1mo"), maintain_order=True)
        .agg(
            earned=linked_return(pl.col("daily_return")),
            model=linked_return(pl.col("model_return")),
            night_count=pl.len().cast(pl.Int64),
        )
    )


def over_period(nights: pl.DataFrame) -> dict[str, float]:
    """``earned``, ``model`` and their ``difference`` over all nights."""
    found = nights.sort("night_date").select(
        earned=linked_return(pl.col("daily_return")), model=linked_return(pl.col("model_return"))
    )
    earned, model = found.row(0)
    return {"earned": earned, "model": model, "difference": earned - model}


def effects_over(attribution: pl.DataFrame) -> dict[str, float]:
    """Sum over nights and classes of each of ``EFFECTS``, and of the tracking differences that they make up."""
    sums = attribution.select(pl.col(*EFFECTS, "tracking_difference").sum()).row(0, named=True)
    return {name: float(amount) for name, amount in sums.items()}
