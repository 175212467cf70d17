"""Breaks: where what came back differs from what left, each with the amount that is at stake.

Grain: an order and a code; a block's own breaks (a fill beyond all its orders) stand under the block's name without an
account. Amounts are at the order's reference price, those of orders in dollars what is paid too much or too little.
"""

from typing import Final

import polars as pl

from schemas.enums import Break, ExecutionKind, OrderState
from schemas.executions import BREAKS
from tasks.core.reconcile.fill_netting import FILLS, crossed_messages, net_fills, with_roots
from tasks.core.reconcile.order_progress import about_these, is_complete, is_filled, is_overfilled, with_wanted

ALARMS: Final = frozenset(
    {
        Break.OVERFILLED,
        Break.WRONG_SIDE,
        Break.WRONG_SECURITY,
        Break.WRONG_ACCOUNT,
        Break.CONFLICTING,
        Break.EXCEPTION_VOID,
        Break.UNREAD,
        Break.UNKNOWN_ORDER,
    }
)
"""Breaks that a person must look at now: the market did what was not ordered, two reports contradict each other, or a row that may be a fill was not read.

Of an unknown order only fills are (``unasked_fills``).
"""
PRODUCT: Final = pl.Decimal(38, 12)


def breaks(orders: pl.DataFrame, states: pl.DataFrame, messages: pl.DataFrame, fixed: pl.DataFrame) -> pl.DataFrame:
    """Table ``BREAKS``: by order and code. What is filled as ordered has no row.

    Parameters
    ----------
    orders, states, messages, fixed
        As ``order_states`` takes and gives them.
    """
    strays = crossed_messages(messages)
    messages = about_these(orders, messages)
    fills = net_fills(messages)
    wanting = with_wanted(orders, messages, fills)
    both = wanting.join(states, on="order_id").rename({"quantity": "ordered_quantity"})
    ended = messages.filter(pl.col("kind") == ExecutionKind.REJECTED)
    is_rejected = pl.col("order_id").is_in(ended["order_id"].drop_nulls().implode()) | pl.col("block_id").is_in(
        ended["block_id"].drop_nulls().implode()
    )
    short = ~is_complete("ordered_quantity")
    was_rejected = is_rejected.fill_null(value=False)
    code = (
        pl.when(is_overfilled("ordered_quantity"))
        .then(pl.lit(Break.OVERFILLED))
        .when(was_rejected & (pl.col("filled_quantity") > 0))
        .then(pl.lit(Break.CONFLICTING))
        .when(short & pl.col("is_closed") & was_rejected)
        .then(pl.lit(Break.REJECTED))
        .when(short & pl.col("is_closed"))
        .then(pl.lit(Break.CANCELLED))
        .when(pl.col("state") == OrderState.EXPORTED)
        .then(pl.lit(Break.NOT_ACKNOWLEDGED))
        .when(short)
        .then(pl.lit(Break.NOT_FILLED))
    )
    parts = [
        _rows(both.with_columns(code=code)),
        _overfilled_blocks(wanting, fills),
        _void(both, fixed),
        _orders_and_blocks_of(both, strays, Break.CONFLICTING),
        _orders_and_blocks_of(both, _without_fill(messages), Break.UNKNOWN_FILL),
    ]
    found = pl.concat(parts).unique(("order_id", "code"), keep="first", maintain_order=True)
    return found.sort("order_id", "code")


def unasked_fills(aside: pl.DataFrame) -> pl.DataFrame:
    """Fills and corrections of orders that never left: somebody trades in our name, or a file is another firm's.

    Parameters
    ----------
    aside
        Executions set aside: ``code``, and ``quantity``, which an acknowledgement, a rejection or a bust does without.
    """
    return aside.filter((pl.col("code") == Break.UNKNOWN_ORDER) & pl.col("quantity").is_not_null())


def _rows(both: pl.DataFrame) -> pl.DataFrame:
    """Orders with a code, as ``BREAKS``; what is in dollars lacks dollars."""
    gap = (pl.col("ordered_quantity") - pl.col("filled_quantity")).abs()
    factor = pl.col("price_factor").fill_null(1).cast(PRODUCT)
    worth = (gap.cast(PRODUCT) * pl.col("price_usd").cast(PRODUCT) * factor).round(2, mode="half_to_even")
    amount = pl.coalesce((pl.col("amount_usd") - pl.col("gross_usd")).abs().cast(PRODUCT), worth)
    found = both.filter(pl.col("code").is_not_null()).with_columns(amount_usd=amount)
    return found.select(BREAKS.keys()).cast(BREAKS)  # type: ignore[arg-type]


def _overfilled_blocks(wanting: pl.DataFrame, fills: pl.DataFrame) -> pl.DataFrame:
    """Blocks that were filled beyond what their orders may get of them: the rest belongs to no order."""
    of_blocks = fills.filter(pl.col("block_id").is_not_null())
    filled = of_blocks.group_by("block_id").agg(filled_quantity=pl.col("quantity").sum())
    ordered = wanting.group_by("block_id").agg(
        ordered_quantity=pl.col("wanted_quantity").sum(),
        price_usd=pl.col("price_usd").max(),
        price_factor=pl.col("price_factor").max(),
    )
    is_beyond = ~is_filled(pl.col("ordered_quantity"), pl.col("filled_quantity"))
    both = filled.join(ordered, on="block_id").filter(is_beyond)
    named = both.with_columns(
        order_id="block_id", account_id=pl.lit(None, pl.String), code=pl.lit(Break.OVERFILLED, pl.String)
    )
    return _rows(named.with_columns(pl.lit(None, PRODUCT).alias(name) for name in ("amount_usd", "gross_usd")))


def _void(both: pl.DataFrame, fixed: pl.DataFrame) -> pl.DataFrame:
    """Orders of filled blocks that did not get what a person fixed."""
    wanted = fixed.select("order_id", "block_id", fixed_quantity="quantity")
    joined = both.join(wanted, on=("order_id", "block_id"))
    share = pl.col("filled_quantity") - pl.col("own_quantity")
    is_void = (share != pl.col("fixed_quantity")) & (pl.col("state") != OrderState.EXPORTED)
    return _rows(joined.filter(is_void).with_columns(code=pl.lit(Break.EXCEPTION_VOID, pl.String)))


def _without_fill(messages: pl.DataFrame) -> pl.DataFrame:
    """Busts and corrections that lead to no reported fill."""
    rooted = with_roots(messages.filter(pl.col("kind").is_in(FILLS)))
    reported = rooted.filter(pl.col("kind") == ExecutionKind.FILL).select("source", root_id="execution_id")
    return rooted.join(reported, on=("source", "root_id"), how="anti")


def _orders_and_blocks_of(both: pl.DataFrame, odd: pl.DataFrame, code: Break) -> pl.DataFrame:
    """Orders, and blocks, that odd messages are about; nothing is at stake yet."""
    of_orders = both.join(odd.select("order_id").drop_nulls().unique(), on="order_id", how="semi")
    blocks = both.join(odd.select("block_id").drop_nulls().unique(), on="block_id", how="semi")
    of_blocks = blocks.group_by("block_id").agg(pl.col("ordered_quantity", "filled_quantity").sum())
    named = of_blocks.select(
        "ordered_quantity", "filled_quantity", order_id="block_id", account_id=pl.lit(None, pl.String)
    )
    found = pl.concat([of_orders.select(named.columns), named], how="vertical_relaxed")
    told_as = found.with_columns(code=pl.lit(code, pl.String), amount_usd=pl.lit(0).cast(BREAKS["amount_usd"]))
    return told_as.select(BREAKS.keys()).cast(BREAKS)  # type: ignore[arg-type]
