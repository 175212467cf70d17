"""Where a run's time went: each step whole, then each of its shards, the slowest first."""

from typing import Final

import polars as pl

ALL: Final = "all"
NO_ACCOUNT: Final = "of no account"
"""What is called a shard where a step works on what belongs to no account, or on the run as a whole."""


def timings(steps: pl.DataFrame) -> pl.DataFrame:
    """``step, shard, seconds, rows, rows_per_second``: totals by step, then every shard; the slowest first in both.

    Parameters
    ----------
    steps
        ``step, shard, rows, seconds``, a row each shard of a step; a negative ``shard`` belongs to no account. Seconds add up
        over shards that were worked on side by side.
    """
    whole = steps.group_by("step").agg(pl.col("rows", "seconds").sum()).with_columns(shard=pl.lit(ALL))
    name = pl.when(pl.col("shard") < 0).then(pl.lit(NO_ACCOUNT)).otherwise(pl.col("shard").cast(pl.String))
    each = steps.sort("shard").with_columns(shard=name)
    return pl.concat([_slowest_first(whole), _slowest_first(each)])


def _slowest_first(steps: pl.DataFrame) -> pl.DataFrame:
    rate = pl.when(pl.col("seconds") > 0).then(pl.col("rows") / pl.col("seconds")).round().cast(pl.Int64)
    return steps.select(
        "step", "shard", pl.col("seconds").round(3), pl.col("rows").cast(pl.Int64), rows_per_second=rate
    ).sort("seconds", "step", descending=[True, False], maintain_order=True)
