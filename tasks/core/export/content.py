"""What an approval is about: the orders of a proposal as they would leave, as one hash.

It is made when they are proposed, or changed by a person, and made again of the orders that leave: one that was changed in the lake
since, by whatever hand, is not what was approved.
"""

import hashlib

import polars as pl

from tasks.core.facts import cents


def content_hashes(orders: pl.DataFrame) -> pl.DataFrame:
    """``proposal_id, content_hash``: SHA-256 over a proposal's orders as they would leave; what an approval refers to."""
    shares = pl.concat_str("order_id", "account_id", "side", "security_id", "quantity", "price_usd", separator=",")
    dollars = pl.concat_str(shares, pl.lit("usd"), cents("amount_usd").cast(pl.String), separator=",")
    lines = (
        orders.sort("proposal_id", "order_id")
        .select("proposal_id", line=pl.coalesce(dollars, shares))
        .group_by("proposal_id", maintain_order=True)
        .agg(pl.col("line").str.join("\n"))
    )
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in lines["line"]]
    return lines.select("proposal_id", content_hash=pl.Series(digests, dtype=pl.String))
