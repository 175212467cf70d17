"""Where the proposals of a look would go: policy approves, one person looks, or two; by the night's own rule (``propose.with_route``).

Known limits: what is asked of a night beyond its trades (``always_review``, first nights, tilts, other accounts of the household) sends nothing to a person here.
"""

from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Route
from tasks.core.lab.arrays import MEASURES
from tasks.core.lab.standing import Grid, Standing
from tasks.core.lab.trade import Found
from tasks.core.propose import with_route
from tasks.core.solver import MILLIONTHS, Ints
from tasks.core.tax import netted_tax

BY_POLICY: Final = MEASURES.index("proposals_auto")
"""Then those that one person decides, and those that need two."""
TWO: Final = 2


def count_routes(grid: Grid, state: Standing, paths: int, due: Ints, found: Found) -> None:
    """Count the proposal of each account ``due`` that trades by its route; what is bought on the first date is none."""
    proposals = proposals_of(found).filter(pl.Series(state.at[due] > 0) & (pl.col("gross_value_usd") > 0))
    policy = due[proposals["row"].to_numpy()] // paths
    limits = pl.DataFrame(
        {
            "account_id": proposals["account_id"],
            "household_id": pl.Series([None] * proposals.height, dtype=pl.String),
            "auto_approve_max_turnover": grid.auto_turnover[policy],
            "auto_approve_max_tax_usd": grid.auto_tax[policy],
            "four_eyes_above_usd": grid.four_eyes[policy],
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    routed = with_route(proposals, limits)
    people = routed.select(pl.when(pl.col("route") == Route.AUTO).then(0).otherwise("approvals_needed")).to_series()
    state.values[due[routed["row"].to_numpy()], BY_POLICY + people.to_numpy().clip(max=TWO)] += 1


def proposals_of(found: Found) -> pl.DataFrame:
    """``row, account_id, gross_value_usd, turnover, est_tax_usd, look_reasons`` of every account of a book; tax is what the trades add to the year's."""
    book, limits, answer = found.book, found.limits, found.answer
    lots = pl.DataFrame(
        {
            "row": found.lot_row,
            "sold": answer.sold / MILLIONTHS * book.lot_price,
            "short": np.where(limits.lot_is_short, answer.counted, 0.0),
            "long": np.where(limits.lot_is_short, 0.0, answer.counted),
            "short_out": np.where(limits.lot_is_short, -found.outright, 0.0),
            "long_out": np.where(limits.lot_is_short, 0.0, -found.outright),
        }
    )
    classes = {
        "row": np.repeat(np.arange(len(book.nav)), np.diff(book.class_start)),
        "bought": answer.bought * book.buy_step * book.buy_price,
    }
    own = pl.DataFrame(
        {
            "row": np.arange(len(book.nav)),
            "nav": book.nav,
            "short_rate": limits.short_rate,
            "long_rate": limits.long_rate,
            "short_before": limits.short_before,
            "long_before": limits.long_before,
        }
    )
    sums = (lots.group_by("row").sum(), pl.DataFrame(classes).group_by("row").sum())
    for each in sums:
        own = own.join(each, on="row", how="left", maintain_order="left")
    rates = (pl.col("short_rate"), pl.col("long_rate"))
    gross = pl.col("sold") + pl.col("bought")
    return (
        own.with_columns(pl.col(pl.Float64).fill_null(0.0))
        .with_columns(pl.col("short_before") - pl.col("short_out"), pl.col("long_before") - pl.col("long_out"))
        .select(
            "row",
            account_id=pl.col("row").cast(pl.String),
            gross_value_usd=gross,
            turnover=0.5 * gross / pl.col("nav"),
            est_tax_usd=netted_tax(
                pl.col("short_before") + pl.col("short"), pl.col("long_before") + pl.col("long"), *rates
            )
            - netted_tax(pl.col("short_before"), pl.col("long_before"), *rates),
            look_reasons=pl.lit(""),
        )
    )
