"""What a dollar of each lot costs at the solver's prices: what its order was chosen by."""

import polars as pl


def with_costs_at(lots: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``tax_at``, the tax on a dollar sold at the rates that one more dollar of gain is taxed at, and ``cost_at``.

    ``cost_at``: half the spread less the cost of location, that tax, and what the prices of the gain budget and of turnover put on it;
    as if every loss counted.

    Parameters
    ----------
    lots
        As ``rules`` priced them: ``spread``, ``location``, ``gain``, ``is_short``.
    accounts
        With ``short_rate_at``, ``long_rate_at``, ``gain_price`` and ``turnover_price``.
    """
    prices = accounts.select("account_id", "short_rate_at", "long_rate_at", "gain_price", "turnover_price")
    rate = pl.when("is_short").then("short_rate_at").otherwise("long_rate_at")
    base = pl.col("spread") - pl.col("location") + pl.col("turnover_price")
    return (
        lots.join(prices, on="account_id", how="left", maintain_order="left")
        .with_columns(tax_at=rate * pl.col("gain"))
        .with_columns(cost_at=base + pl.col("tax_at") + pl.col("gain_price") * pl.col("gain"))
        .drop(prices.columns[1:])
    )
