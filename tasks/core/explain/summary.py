"""The night in numbers, for people: counts, times, a Markdown page and a table of exceptions. No account is named: Prefect's database keeps it."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from schemas.enums import Outcome, Step
from schemas.run import RunRef

ALL: Final = "all"
NO_ACCOUNT: Final = "of no account"
"""What is called a shard where a step works on what belongs to no account, or on the run as a whole."""
LISTED: Final = (
    """trimtab query "SELECT account_id, reason FROM account_outcomes WHERE run_id = '{}' AND outcome = '{}' """
    """AND split_part(reason, ': ', 1) = '{}'\""""
)
"""The command that lists the accounts of a run with an outcome and a reason."""


def counts_of(outcomes: pl.DataFrame, proposals: pl.DataFrame) -> dict[str, int]:
    """Accounts by outcome, proposals by route, orders."""
    by_outcome = dict(outcomes["outcome"].value_counts().iter_rows())
    by_route = dict(proposals["route"].value_counts().iter_rows())
    return {
        "accounts": outcomes.height,
        **{str(outcome): int(by_outcome.get(outcome, 0)) for outcome in Outcome},
        "route_auto": int(by_route.get("auto", 0)),
        "route_review": int(by_route.get("review", 0)),
        "orders": int(proposals["order_count"].sum()),
    }


def exceptions(run: RunRef, outcomes: pl.DataFrame) -> pl.DataFrame:
    """``outcome, reason, accounts, command``: what was not traded, the most frequent first. Numbers in reasons are left out.

    ``command`` lists the accounts.
    """
    reason = pl.col("reason").str.split(": ").list.first()
    found = outcomes.filter(pl.col("outcome") != Outcome.PROPOSED).group_by("outcome", reason=reason)
    counted = found.agg(accounts=pl.len()).sort("accounts", "outcome", "reason", descending=[True, False, False])
    return counted.with_columns(
        command=pl.format(LISTED, pl.lit(run.run_id), "outcome", pl.col("reason").str.replace_all("'", "''"))
    )


def markdown(
    run: RunRef,
    counts: Mapping[str, int],
    proposals: pl.DataFrame,
    seconds: Mapping[Step, float],
    rows: Mapping[Step, int],
) -> str:
    """A page on the run: the funnel, the money and the time of each step."""
    median, largest = (_figure(gap) for gap in (proposals["gap_bps"].median(), proposals["gap_bps"].max()))
    lines = [
        f"# {run.run_id}",
        "",
        "| outcome | accounts |",
        "|---|---:|",
        *(f"| {outcome} | {counts[outcome]:,} |" for outcome in Outcome),
        f"| **pulled** | **{counts['accounts']:,}** |",
        "",
        (
            f"{counts['orders']:,} orders of {proposals['gross_value_usd'].sum():,.2f} USD in {proposals.height:,} proposals: "
            f"{counts['route_auto']:,} approved by policy, {counts['route_review']:,} for review. "
            f"Gap to the proven bound: median {median} bp, largest {largest} bp of NAV."
        ),
        "",
        "| step | rows | seconds | rows per second |",
        "|---|---:|---:|---:|",
        *(
            f"| {step} | {rows[step]:,} | {seconds[step]:.2f} | {rows[step] / max(seconds[step], 1e-9):,.0f} |"
            for step in Step
        ),
    ]
    return "\n".join(lines)


def _figure(gap: object) -> str:
    return f"{gap:.4f}" if isinstance(gap, float) else "none"


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
