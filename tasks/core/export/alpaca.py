"""Profile ``alpaca``: a file an account, a line an order, each line the body of one request that places it at Alpaca.

    {"symbol":"BRK.B","side":"sell","qty":"12","type":"market","time_in_force":"day","client_order_id":"9f2c41d07ab35e688123"}

An order in dollars has ``notional`` in the place of ``qty``: "either qty or notional is required", and both are for the day at the market.

JSON Lines rather than an array, because a request takes one order: the sender posts line by line to
``/v1/trading/accounts/{account_id}/orders`` (Broker API) or ``/v2/orders`` (Trading API). Sells come first.

Sources: "Create an Order for an Account" (https://docs.alpaca.markets/us/reference/createorderforaccount): numbers are text, fractions
only in market orders for the day; ``client_order_id`` has up to 128 characters (https://docs.alpaca.markets/reference/postorder); "up to 9 decimal point values" in ``qty``
(https://alpaca.markets/support/how-can-i-pass-a-fractional-order), of which ours have at most six. A bond's ``qty`` would be its face value, which a
quantity here need not be, and there is no mutual fund among Alpaca's asset classes: both are refused. A symbol with a
slash is a pair of currencies there; share classes stand after a point (``BRK.B``).

Known limits: the path names Alpaca's own account, a UUID; files are named by ours. Whether an asset is ``fractionable`` Alpaca alone
knows, and it names a dollar as the least value of a fractional order. Sells do not add to buying power until they are filled. A client order id serves once.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.enums import SecurityType
from schemas.exports import Profile
from tasks.core.export.package import ExportPackage, refuse_any
from tasks.core.export.words import NOT_TOLD_APART, first_faults
from tasks.core.facts import money_cell, number_cell

TRADED: Final = (SecurityType.ETF, SecurityType.EQUITY)
"""Alpaca's asset class ``us_equity``."""
LONGEST_ID: Final = 128
FILES_PER_GROUP: Final = 1_000
_SYMBOL: Final = r"^[A-Z][A-Z0-9]*(\.[A-Z0-9]+)?$"


def refusals(release: ExportPackage, profile: Profile) -> pl.DataFrame:  # noqa: ARG001 - as every format
    """What is no US equity, or has a name that Alpaca does not take."""
    return first_faults(
        release.orders,
        {
            NOT_TOLD_APART: pl.col("shares_symbol"),
            "Alpaca trades shares, {symbol} is of type {security_type}": ~pl.col("security_type").is_in(TRADED),
            "the symbol {symbol} is not one that Alpaca writes: capitals and digits, and a share class after a point": ~pl.col(
                "symbol"
            ).str.contains(_SYMBOL),
            f"the order's id {{order_id}} is too long for Alpaca: at most {LONGEST_ID} characters": pl.col(
                "order_id"
            ).str.len_chars()
            > LONGEST_ID,
        },
    )


def files(release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:
    """``<account_id>.jsonl``, in the order of the accounts' own files.

    Raises
    ------
    ConservationBroken
        An order cannot be written; ``refusals`` says so before.
    """
    refuse_any(refusals(release, profile), "order {order_id} cannot be written: {reason}")
    lines = release.orders.select(path=pl.format("{}.jsonl", "account_id"), line=_body())
    bodies = lines.group_by("path", maintain_order=True).agg(
        rows=pl.len().cast(pl.Int64), content=pl.col("line").str.join("\n") + "\n"
    )
    yield from bodies.iter_slices(FILES_PER_GROUP)


def _body() -> pl.Expr:
    """An order as JSON, its names in this order and without spaces."""
    in_dollars = _request(money_cell("amount_usd").alias("notional"))
    return (
        pl.when(pl.col("amount_usd").is_null())
        .then(_request(number_cell("quantity").alias("qty")))
        .otherwise(in_dollars)
    )


def _request(amount: pl.Expr) -> pl.Expr:
    return pl.struct(
        "symbol",
        "side",
        amount,
        type=pl.lit("market"),
        time_in_force=pl.lit("day"),
        client_order_id="order_id",
    ).struct.json_encode()
