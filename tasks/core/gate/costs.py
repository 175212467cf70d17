"""Lots whose unit cost and price cannot both be right: what all of a lot cost, delivered as the cost of one share, must not harvest.

Only taxable accounts are looked at: nowhere else does a basis decide anything. A cost of 0 is a real zero, a price of 0 says nothing,
and a cost that was accepted on an earlier night stands: a person let it pass, or the price has moved since.
"""

from typing import Final

import polars as pl

from schemas.enums import TaxStatus
from tasks.core.gate.history import COST_PLAUSIBLE, History, plain, share
from tasks.core.gate.rows import BROKEN

_ROUNDING: Final = 0.001
"""Of a cost on shares that a split changed."""
_LOT = ("account_id", "security_id", "lot_id")


def implausible_costs(
    lots: pl.DataFrame, accounts: pl.DataFrame, prices: pl.DataFrame, history: History | None, *, limit: float
) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of lots whose unit cost is more than ``limit`` times the price, or the price that many times the cost.

    Parameters
    ----------
    lots, accounts
        Landed rows of the accounts.
    prices
        ``security_id, price_usd`` that the gate accepted.
    history
        The night before; null on the first night.
    limit
        Above 1; touching it is within it.
    """
    taxable = accounts.filter(pl.col("tax_status") == TaxStatus.TAXABLE).select("account_id").unique()
    cost, price = pl.col("unit_cost_usd"), pl.col("price_usd")
    is_off = (cost > share(limit, price)) | (share(limit, cost) < price)
    found = (
        lots.filter(pl.col("quantity") > 0, cost > 0)
        .join(prices.select("security_id", "price_usd").filter(price > 0), on="security_id")
        .filter(is_off)
        .join(taxable, on="account_id", how="semi")
    )
    if history is not None:
        accepted = history.lots.join(history.accepted, on="account_id", how="semi")
        stood = found.join(accepted.select(*_LOT, then="unit_cost_usd"), on=_LOT)
        stood = stood.filter((cost - pl.col("then")).abs() <= share(_ROUNDING, pl.col("then")))
        found = found.join(stood, on="row_number", how="anti", maintain_order="left")
    sentence = pl.format(
        "unit_cost_usd is {} where the price is {}; needed a cost between one part in {} of the price and as many times the price.",
        plain("unit_cost_usd"),
        plain("price_usd"),
        pl.lit(f"{limit:g}"),
    )
    return found.select("row_number", rule=pl.lit(COST_PLAUSIBLE), sentence=sentence).cast(BROKEN)  # type: ignore[arg-type]
