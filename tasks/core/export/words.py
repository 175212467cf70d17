"""What the formats have in common: how an order is refused."""

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Final

import polars as pl

from tasks.core.facts import number_cell

REFUSALS: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "account_id": pl.String(),
    "reason": pl.String(),
}


NOT_TOLD_APART: Final = "{symbol} is the symbol of several securities, and here nothing tells {security_id} apart"
"""Why a format refuses an order of a security that it would name by a symbol that others have, too."""


def has_label() -> pl.Expr:
    """Whether an order's security has a CUSIP or an ISIN that may go along; no other security has it."""
    return pl.col("cusip").is_not_null() | pl.col("isin").is_not_null()


def no_refusals() -> pl.DataFrame:
    """The empty table of refusals."""
    return pl.DataFrame(schema=REFUSALS)


def first_faults(orders: pl.DataFrame, faults: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Orders with a fault, each with its first one, in the orders' order.

    Parameters
    ----------
    orders
        Orders as they leave.
    faults
        Sentence: whether it is true of an order. A sentence may name columns in braces; null counts as true, what is not known to fit is
        refused.
    """
    parts = [
        orders.with_row_index("place")
        .filter((is_faulty | pl.col("order_id").is_null()).fill_null(value=True))
        .select("place", "order_id", "account_id", reason=_sentence(sentence, orders.schema))
        for sentence, is_faulty in faults.items()
    ]
    found = pl.concat(parts).unique("order_id", keep="first", maintain_order=True).sort("place")
    return found.select(list(REFUSALS))


def _sentence(sentence: str, schema: pl.Schema) -> pl.Expr:
    """The sentence with its names in braces replaced by an order's values; numbers without needless digits."""
    parts = re.split(r"\{(\w+)\}", sentence)
    texts = [pl.lit(text) for text in parts[::2]]
    values = [_value_text(name, schema[name]) for name in parts[1::2]]
    return pl.concat_str([each for pair in zip_longest(texts, values) for each in pair if each is not None])


def _value_text(name: str, dtype: pl.DataType) -> pl.Expr:
    text = number_cell(name) if isinstance(dtype, pl.Decimal) else pl.col(name).cast(pl.String)
    return pl.when(pl.col(name).is_null()).then(pl.lit("nothing")).otherwise(text)
