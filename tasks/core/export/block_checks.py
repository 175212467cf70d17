"""What people should know of an export's orders before they are traded as blocks.

* ``agency_cross``: a security is bought for some accounts and sold for others at one custodian. Nothing is crossed here;
  an adviser who trades both sides for clients needs their consent (Investment Advisers Act of 1940, section 206(3), rule 206(3)-2).
* ``wash_sale``: one account of a household sells a security at a loss that another one buys, so that the loss may be
  disallowed (26 U.S.C. 1091). The engine proposes none; versions that people made can hold some.

Grain: an agency cross is (custodian, security), a wash sale (household, security). Quantities are shares.
"""

from typing import Final

import polars as pl

from schemas.enums import Side
from tasks.core.export.package import ExportPackage
from tasks.core.facts import number_cell

WARNINGS: Final[dict[str, pl.DataType]] = {
    "code": pl.String(),
    "custodian": pl.String(),
    "security_id": pl.String(),
    "symbol": pl.String(),
    "account_ids": pl.String(),
    "sold_quantity": pl.String(),
    "bought_quantity": pl.String(),
    "message": pl.String(),
}


def block_warnings(release: ExportPackage) -> pl.DataFrame:
    """Table ``WARNINGS``: crosses first, by custodian and symbol, then wash sales."""
    return pl.concat([_crosses(release.blocks), _wash_sales(release)])


def _crosses(blocks: pl.DataFrame) -> pl.DataFrame:
    sold, bought = (blocks.filter(pl.col("side") == side) for side in (Side.SELL, Side.BUY))
    both = sold.join(bought, on=("custodian", "security_id"), suffix="_bought")
    text = "{} is sold for {} of the accounts at {} and bought for {}; nothing is crossed between them here"
    return both.sort("custodian", "symbol", "security_id").select(
        pl.lit("agency_cross").alias("code"),
        "custodian",
        "security_id",
        "symbol",
        pl.lit("").alias("account_ids"),
        number_cell("quantity").alias("sold_quantity"),
        number_cell("quantity_bought").alias("bought_quantity"),
        pl.format(text, "symbol", "account_count", "custodian", "account_count_bought").alias("message"),
    )


def _wash_sales(release: ExportPackage) -> pl.DataFrame:
    losing = release.lots.filter(pl.col("gain_usd") < 0)["order_id"]
    orders = release.orders.with_columns(household=pl.coalesce("household_id", "account_id"))
    sold = orders.filter(pl.col("order_id").is_in(losing.implode()))
    bought = orders.filter(pl.col("side") == Side.BUY)
    pairs = sold.join(bought, on=("household", "security_id"), suffix="_bought").sort(
        "household", "symbol", "security_id", "account_id", "account_id_bought"
    )
    text = "account {} sells {} at a loss that account {} of its household buys: the loss may be disallowed"
    return pairs.select(
        pl.lit("wash_sale").alias("code"),
        "custodian",
        "security_id",
        "symbol",
        pl.format("{}|{}", "account_id", "account_id_bought").alias("account_ids"),
        number_cell("quantity").alias("sold_quantity"),
        number_cell("quantity_bought").alias("bought_quantity"),
        pl.format(text, "account_id", "symbol", "account_id_bought").alias("message"),
    )
