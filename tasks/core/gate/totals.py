"""What a custodian says an account comes to, beside what came: a file that was cut shows here before anything is traded on it.

The number of lots must be the same, with those of a quantity of 0 or without. The value, lots at tonight's prices and settled cash,
may differ by ``LEAST_DIFFERENCE_USD`` or a share of it: prices of two sources differ.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from schemas.units import EXACT
from tasks.core.gate.history import LOT_COUNT, TOTAL_VALUE, plain, share
from tasks.core.gate.rows import Checked

LEAST_DIFFERENCE_USD: Final = 1
_USD: Final = pl.Decimal(38, 6)


def with_totals(checked: Mapping[str, Checked], prices: pl.DataFrame, max_difference: float) -> Checked:
    """The table ``account_totals`` with the rules broken by accounts whose lots and cash do not come to them.

    Parameters
    ----------
    checked
        ``account_totals``, ``lots`` and ``cash``.
    prices
        ``security_id, price_usd, price_factor`` that the gate accepted. An account with a lot that has none is not judged by its value.
    max_difference
        Share of the custodian's value by which ours may differ.
    """
    totals, lots = checked["account_totals"], checked["lots"].rows
    held = (
        lots.join(prices, on="security_id", how="left")
        .group_by("account_id")
        .agg(
            found_count=pl.len().cast(pl.Int64),
            empty_count=(pl.col("quantity") == 0).sum().cast(pl.Int64),
            is_priced=pl.col("price_usd").is_not_null().all(),
            held_usd=(pl.col("quantity").cast(_USD) * pl.col("price_usd") * pl.col("price_factor")).sum(),
        )
    )
    cash = checked["cash"].good.select("account_id", "settled_usd").unique("account_id", keep="none")
    rows = (
        totals.good.join(held, on="account_id", how="left")
        .join(cash, on="account_id")
        .with_columns(
            pl.col("found_count", "empty_count").fill_null(0),
            pl.col("is_priced").fill_null(value=True),
            found_usd=pl.col("held_usd").fill_null(0) + pl.col("settled_usd"),
        )
    )
    limit = pl.max_horizontal(
        pl.lit(LEAST_DIFFERENCE_USD).cast(EXACT), share(max_difference, pl.col("value_usd").abs())
    )
    is_off = pl.col("is_priced") & ((pl.col("found_usd") - pl.col("value_usd")).abs() > limit)
    said = pl.col("lot_count")
    is_wrong = (said != pl.col("found_count")) & (said != pl.col("found_count") - pl.col("empty_count"))
    counts = rows.filter(is_wrong).select(
        "row_number",
        rule=pl.lit(LOT_COUNT),
        sentence=pl.format(
            "lot_count is {}; needed the number of lots that were delivered, {}.", "lot_count", "found_count"
        ),
    )
    values = (
        rows.with_columns(limit=limit)
        .filter(is_off)
        .select(
            "row_number",
            rule=pl.lit(TOTAL_VALUE),
            sentence=pl.format(
                "value_usd is {}; needed what lots and settled cash come to, {}, within {}.",
                plain("value_usd"),
                plain("found_usd"),
                plain("limit"),
            ),
        )
    )
    return totals.with_broken(counts, values)


def without_values(totals: pl.DataFrame) -> pl.DataFrame:
    """Totals that say how many lots there are and not what they are worth: for a run at other prices than the custodian had."""
    return totals.with_columns(value_usd=pl.lit(None, totals.schema["value_usd"]))


def valued_accounts(checked: Mapping[str, Checked]) -> pl.DataFrame:
    """``account_id`` of the accounts that are worth what their custodian says."""
    if "account_totals" not in checked:
        return pl.DataFrame(schema={"account_id": pl.String})
    return checked["account_totals"].good.drop_nulls("value_usd").select("account_id").unique()


def counted_accounts(checked: Mapping[str, Checked]) -> pl.DataFrame:
    """``account_id`` of the accounts that come to what their custodian says."""
    if "account_totals" not in checked:
        return pl.DataFrame(schema={"account_id": pl.String})
    said = pl.any_horizontal(pl.col("value_usd", "lot_count").is_not_null())
    return checked["account_totals"].good.filter(said).select("account_id").unique()
