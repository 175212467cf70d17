"""Lots that the custodian closed beside those that were proposed, and what the difference costs in tax.

Both are reckoned at the price the order was filled at: the tax of a lot is its gain times the rate that the account's next
dollar of gain of that term pays (``marginal_short_rate``, ``marginal_long_rate`` of the proposal), losses negative. Of an
order that is filled in part, what was proposed is taken from the lots with the least tax per share on.

Known limits: wash sales and limits on losses are not looked at again; a lot without a cost or a date counts no tax on either
side. Lots are distinguished by their id where the file names it, else by date and cost.
"""

from typing import Final

import polars as pl

from tasks.core.facts import rounded_usd
from tasks.core.tax import long_term_from

DIFFERENCES: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "account_id": pl.String(),
    "symbol": pl.String(),
    "filled_quantity": pl.Decimal(18, 6),
    "told_quantity": pl.Decimal(38, 6),
    "as_proposed_quantity": pl.Decimal(38, 6),
    "proposed_tax_usd": pl.Decimal(38, 6),
    "relieved_tax_usd": pl.Decimal(38, 6),
    "tax_difference_usd": pl.Decimal(38, 6),
}
"""One row a sell whose closed lots were reported. ``as_proposed_quantity``: shares of lots that were proposed too. A positive difference costs more tax."""
_LOT: Final = ("order_id", "lot_key")


def relief_differences(
    sells: pl.DataFrame, proposed: pl.DataFrame, reported: pl.DataFrame, rates: pl.DataFrame
) -> pl.DataFrame:
    """Table ``DIFFERENCES``, by order.

    Parameters
    ----------
    sells
        Filled sells: ``order_id``, ``proposal_id``, ``account_id``, ``symbol``, ``price_factor``, ``filled_quantity``, ``average_price_usd``, ``last_trade_date``.
    proposed
        Table ``lot_relief`` of these orders.
    reported
        Lots that stand after busts and corrections: ``order_id``, ``lot_id`` (null: not named), ``acquired_date``, ``quantity``, ``unit_cost_usd``.
    rates
        ``proposal_id``, ``marginal_short_rate``, ``marginal_long_rate``; null counts 0.
    """
    named = sells.join(reported.select("order_id").unique(), on="order_id", how="semi").join(
        rates, on="proposal_id", how="left"
    )
    theirs = _with_tax(_with_lot_keys(reported, proposed), named)
    ours = _first(_with_tax(proposed.with_columns(lot_key="lot_id"), named))
    both = (
        theirs.group_by(_LOT)
        .agg(pl.col("quantity").sum())
        .join(ours.group_by(_LOT).agg(pl.col("quantity").sum()), on=_LOT, suffix="_proposed")
    )
    shared = both.group_by("order_id").agg(
        as_proposed_quantity=pl.min_horizontal("quantity", "quantity_proposed").sum()
    )
    sums = (
        theirs.group_by("order_id")
        .agg(told_quantity=pl.col("quantity").sum(), relieved=pl.col("tax").sum())
        .join(ours.group_by("order_id").agg(proposed=pl.col("tax").sum()), on="order_id", how="left")
    )
    return (
        named.join(sums, on="order_id")
        .join(shared, on="order_id", how="left")
        .with_columns(
            pl.col("as_proposed_quantity").fill_null(0),
            proposed_tax_usd=rounded_usd(pl.col("proposed").fill_null(0.0)),
            relieved_tax_usd=rounded_usd(pl.col("relieved").fill_null(0.0)),
        )
        .with_columns(tax_difference_usd=pl.col("relieved_tax_usd") - pl.col("proposed_tax_usd"))
        .select(DIFFERENCES.keys())
        .cast(DIFFERENCES)  # type: ignore[arg-type]
        .sort("order_id")
    )


def _with_lot_keys(reported: pl.DataFrame, proposed: pl.DataFrame) -> pl.DataFrame:
    """Reported lots with ``lot_key``: their id, or that of the proposed lot of the same date and cost."""
    same = ("order_id", "acquired_date", "unit_cost_usd")
    keys = proposed.select(*same, found="lot_id").unique(same, keep="first", maintain_order=True)
    joined = reported.join(keys, on=same, how="left", nulls_equal=True)
    return joined.with_columns(
        lot_key=pl.coalesce("lot_id", "found", pl.format("{} {}", "acquired_date", "unit_cost_usd"))
    )


def _with_tax(lots: pl.DataFrame, sells: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``unit_tax`` per share and ``tax``, usd."""
    joined = lots.select("order_id", "lot_key", "acquired_date", "quantity", "unit_cost_usd").join(sells, on="order_id")
    is_long = pl.col("last_trade_date") >= long_term_from(pl.col("acquired_date"))
    rate = (
        pl.when(pl.col("acquired_date").is_null())
        .then(0.0)
        .when(is_long)
        .then(pl.col("marginal_long_rate"))
        .otherwise(pl.col("marginal_short_rate"))
    )
    gain = (pl.col("average_price_usd") - pl.col("unit_cost_usd")).cast(pl.Float64) * pl.col("price_factor").fill_null(
        1
    ).cast(pl.Float64)
    taxed = joined.with_columns(unit_tax=(gain * rate).fill_null(0.0))
    return taxed.with_columns(tax=pl.col("unit_tax") * pl.col("quantity").cast(pl.Float64))


def _first(lots: pl.DataFrame) -> pl.DataFrame:
    """Of each order's lots as many shares as were filled, those with the least tax first."""
    ordered = lots.sort("order_id", "unit_tax", "lot_key")
    before = pl.col("quantity").cum_sum().over("order_id") - pl.col("quantity")
    left = (pl.col("filled_quantity") - before).clip(0)
    taken = pl.min_horizontal(pl.col("quantity"), left)
    return (
        ordered.with_columns(quantity=taken)
        .with_columns(tax=pl.col("unit_tax") * pl.col("quantity").cast(pl.Float64))
        .filter(pl.col("quantity") > 0)
    )
