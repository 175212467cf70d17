"""A security in a run: who holds it, what is proposed in it, and what restricts it."""

from typing import Final

import polars as pl

from schemas.errors import WrongUsage
from schemas.tables import USD
from tasks.core.explain import Page
from tasks.core.facts import usd
from tasks.review.find import newest_runs
from tasks.review.household import AccountStores
from tasks.review.quarantine import find_run

MOST_HOLDERS: Final = 100
DESCRIBED: Final = (
    *("symbol", "name", "asset_class", "security_type", "quantity_step", "half_spread_bps", "is_tradable"),
    *("price_factor", "exchange", "cusip", "isin", "order_in"),
)


def security_page(at: AccountStores, security_id: str, *, run_id: str | None = None) -> Page:
    """What a run knows of a security, as its source delivered it; the newest night where none is named.

    ``holders``: the largest first, ``MOST_HOLDERS`` of ``holder_count``. ``orders``: by side, how many, and what they come to.

    Raises
    ------
    WrongUsage
        There is no such run, or it does not have the security.
    """
    newest = newest_runs(at.runs)
    run = find_run(at.runs, run_id) if run_id or not newest else newest[0]
    wanted = pl.Series([security_id])

    def rows(table: str, *columns: str) -> pl.DataFrame:
        return at.lake.rows_of_securities(table, run.run_id, wanted, columns)

    described = rows("landed_securities", *DESCRIBED)
    if described.is_empty():
        raise WrongUsage(
            f"run {run.run_id} has no security {security_id}\n\nHint: the search box knows symbols and names too."
        )
    security = described.row(0, named=True)
    prices = rows("landed_prices", "price_usd", "price_date")
    price = prices.row(0, named=True) if prices.height == 1 else {"price_usd": None, "price_date": None}
    factor = pl.lit(security["price_factor"] or 1)
    held = (
        rows("landed_lots", "account_id", "quantity")
        .group_by("account_id")
        .agg(pl.col("quantity").sum())
        .filter(pl.col("quantity") > 0)
        .with_columns(value_usd=usd(pl.col("quantity"), pl.lit(price["price_usd"], USD), factor))
        .sort("quantity", "account_id", descending=[True, False])
    )
    orders = (
        rows("orders", "side", "quantity", "value_usd")
        .group_by("side")
        .agg(count=pl.len(), quantity=pl.col("quantity").sum(), value_usd=pl.col("value_usd").sum())
    )
    restrictions = (
        rows("landed_restrictions", "account_id", "rule", "until_date")
        .group_by("rule", "until_date", is_everyones=pl.col("account_id").is_null())
        .agg(accounts=pl.col("account_id").n_unique())
    )
    return {
        "security": {"security_id": security_id, **security, **price},
        "run": {"run_id": run.run_id, "as_of_date": run.as_of_date, "state": str(run.state)},
        "held": {"holder_count": held.height, "quantity": held["quantity"].sum(), "value_usd": held["value_usd"].sum()},
        "holders": held.head(MOST_HOLDERS).to_dicts(),
        "orders": orders.sort("side", descending=True).to_dicts(),
        "restrictions": restrictions.sort("is_everyones", "rule", "until_date", nulls_last=True).to_dicts(),
    }
