"""How far accounts are from their models before a night's trades and after them, as a chart of counts.

One-way drift is half the sum of an account's absolute drifts, a fraction of its NAV. An account without a proposal stays where
it is. The chart is text (block elements U+2588 and U+258F to U+2589), which any page that shows Markdown shows.
"""

import itertools
from typing import Final

import polars as pl

EDGES: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25)
"""Upper edges of the buckets, the edge itself inside; what is beyond the last has one of its own."""
WIDTH: Final = 12
"""Both bars of a row fit the page of an artifact on a screen of 1,300 pixels."""
EIGHTHS: Final = " ▏▎▍▌▋▊▉"
UNKNOWN: Final = "unknown"


def drift_counts(account_drift: pl.DataFrame, proposals: pl.DataFrame) -> pl.DataFrame:
    """``bucket, before, after``: accounts by one-way drift, every bucket once and in order.

    Parameters
    ----------
    account_drift
        ``account_id, one_way_drift``; null where the account has no NAV, counted as ``unknown``.
    proposals
        ``account_id, one_way_drift_after`` of the accounts that would trade.
    """
    after = account_drift.join(proposals.select("account_id", "one_way_drift_after"), on="account_id", how="left")
    found = after.select(
        before=_bucket(pl.col("one_way_drift")),
        after=_bucket(pl.coalesce("one_way_drift_after", "one_way_drift")),
    )
    counts = pl.DataFrame({"bucket": [*_labels(), UNKNOWN]})
    for column in ("before", "after"):
        counted = found.group_by(bucket=column).agg(pl.len().cast(pl.Int64).alias(column))
        counts = counts.join(counted, on="bucket", how="left", maintain_order="left")
    filled = counts.with_columns(pl.col("before", "after").fill_null(0))
    is_empty = pl.col("before") + pl.col("after") == 0
    return filled.filter(~((pl.col("bucket") == UNKNOWN) & is_empty))


def chart(counts: pl.DataFrame) -> str:
    """The counts of ``drift_counts`` as a table in Markdown, with a bar for each; the longest is ``WIDTH`` characters."""
    most = max(1, *counts["before"], *counts["after"])
    rows = [
        f"| {bucket} | {before:,} | {bar(before, most)} | {after:,} | {bar(after, most)} |"
        for bucket, before, after in counts.select("bucket", "before", "after").iter_rows()
    ]
    head = "| one-way drift | accounts before | | accounts after | |"
    return "\n".join([head, "|---|---:|:---|---:|:---|", *rows])


def bar(count: int, most: int) -> str:
    """A bar as long as the count's share of the most; what is not nothing is at least a sliver."""
    eighths = max(round(count / most * WIDTH * 8), 1) if count else 0
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def _bucket(drift: pl.Expr) -> pl.Expr:
    """The label of a drift's bucket."""
    passed = pl.sum_horizontal(drift > edge for edge in EDGES)
    label = passed.replace_strict(dict(enumerate(_labels())), return_dtype=pl.String)
    return pl.when(drift.is_null()).then(pl.lit(UNKNOWN)).otherwise(label)


def _labels() -> list[str]:
    edges = [f"{100 * edge:g}" for edge in EDGES]
    between = [f"{low} to {high} %" for low, high in itertools.pairwise(edges)]
    return [f"up to {edges[0]} %", *between, f"over {edges[-1]} %"]
