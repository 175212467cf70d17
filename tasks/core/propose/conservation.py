"""What must be the same before and after, checked in production after each step. Each check returns the offenders; null is broken."""

import polars as pl

from schemas.enums import Side


def _sum(numbers: pl.Expr) -> pl.Expr:
    """Sum, null where any number is."""
    return pl.when(numbers.null_count() == 0).then(numbers.sum())


def outcome_gaps(account_ids: pl.Series, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Accounts pulled that do not have exactly one outcome, or outcomes of accounts not pulled: ``account_id, rows``."""
    pulled = account_ids.unique().to_frame("account_id").with_columns(is_pulled=pl.lit(value=True))
    counted = outcomes.group_by("account_id").agg(rows=pl.len())
    return (
        pulled.join(counted, on="account_id", how="full", coalesce=True)
        .filter((pl.col("rows").fill_null(0) != 1) | pl.col("is_pulled").is_null())
        .select("account_id", "rows")
        .sort("account_id")
    )


def relief_gaps(orders: pl.DataFrame, relief: pl.DataFrame) -> pl.DataFrame:
    """Sell orders whose lots do not sum to their quantity: ``order_id, quantity, relieved``."""
    sums = relief.group_by("order_id").agg(relieved=_sum(pl.col("quantity")))
    sells = orders.filter(pl.col("side") == Side.SELL).select("order_id", "quantity")
    both = sells.join(sums, on="order_id", how="full", coalesce=True)
    return both.filter((pl.col("quantity") - pl.col("relieved")).fill_null(1) != 0).sort("order_id")


def oversold(relief: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """Lots of which more is sold than is held, so that shares after would be negative: the lot, ``sold`` and ``held``."""
    key = ["account_id", "security_id", "lot_id"]
    sold = relief.group_by(key).agg(sold=_sum(pl.col("quantity")))
    both = sold.join(lots.select(*key, held="quantity"), on=key, how="left")
    return both.filter((pl.col("held") - pl.col("sold")).fill_null(-1) < 0).sort(key)


def cash_gaps(proposals: pl.DataFrame, orders: pl.DataFrame, *, tolerance_usd: float = 0.01) -> pl.DataFrame:
    """Proposals whose cash does not follow from their orders (or orders without a proposal), differs from the solver's, or falls below the reserve.

    ``cash_after`` is the solver's own figure, found by another way (Float64, in units and steps); ``cash_floor_usd`` is the least allowed.
    """
    is_buy = pl.col("side") == Side.BUY
    flow = pl.when(is_buy).then(-pl.col("value_usd")).otherwise("value_usd") - pl.col("est_cost_usd")
    flows = orders.group_by("proposal_id").agg(flow_usd=_sum(flow))
    both = proposals.join(flows, on="proposal_id", how="full", coalesce=True)
    gap = pl.col("cash_before_usd") + pl.col("flow_usd") - pl.col("cash_after_usd")
    apart = (pl.col("cash_after_usd").cast(pl.Float64) - pl.col("cash_after")).abs()
    is_broken = (
        (gap.fill_null(1) != 0)
        | (apart.fill_null(1.0) > tolerance_usd)
        | (pl.col("cash_after_usd") < pl.col("cash_floor_usd"))
    )
    return (
        both.filter(is_broken)
        .select("proposal_id", "cash_before_usd", "flow_usd", "cash_after_usd", "cash_after")
        .sort("proposal_id")
    )
