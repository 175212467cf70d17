"""Fills that brokers reported, and orders nobody has a final word on, that an account's holdings do not show: it waits until they do.

Drift measured on lots from before a fill is drift that was traded away already, and would be traded away once more. Landed
trades say nothing here: books may show a trade before they show its lots.

An order was made on the holdings of its run. Since then everything filled of the account's orders in that security, of that
run or a later one, should have moved the holding: ``expected_change``. The fill is shown where the holding moved at least
that far, or exactly as landed trades say that hold all of it: what was bought here may have been sold elsewhere.

An order that left and has no final word (silence, an acknowledgement, part of it filled) is looked for in the same way as if all of
it were filled: it may have been. Of one in dollars the quantity is an estimate, and ``USD_SHARE`` of it will do. Where a broker took a fill back, no holding shows it: the shares may be those of that fill.

Known limits: a split that comes between an order and its lots may hide that they do not show it. Shares that came or went in another
way, as many as an open order was for, are taken for it.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import polars as pl

from schemas.enums import Side
from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from tasks.core.gate import plain

HOLDING: Final = ("account_id", "security_id")
MOVED: Final = "moved"
MISSING: Final[dict[str, pl.DataType]] = {
    "account_id": pl.String(),
    "security_id": pl.String(),
    "quantity": pl.Decimal(38, 6),
    "value_usd": pl.Decimal(38, 6),
}
"""Grain: holding. What the holding does not show yet, bought above and sold below 0, and what that does to the account's cash."""
USD_SHARE: Final = Decimal("0.9")
"""How far a price may move between an order in dollars and its fill: so much fewer shares come of it, or more by the inverse."""
NAMED: Final = 3
"""How many open orders of an account its reason names; the others are counted."""
_WIDE: Final = pl.Decimal(38, 6)
_NONE: Final = pl.lit(0, _WIDE)


def to_show(
    orders: pl.DataFrame, then: pl.DataFrame, sought: pl.Series, *, least: pl.Expr | None = None
) -> pl.DataFrame:
    """Rows of the table ``fills_to_show``: filled orders that holdings have to show; sorted by order.

    Parameters
    ----------
    orders
        Orders that left with ``run_id``, ``as_of_date`` and what is known of them: ``filled_quantity``, ``average_price_usd``.
    then
        Holdings that they were made on: ``run_id, account_id, security_id, quantity``; one that is not there was none.
    sought
        Orders to be looked for; the others are known to be shown.
    least
        How much of each a holding is to show; null: all that is filled.
    """
    filled = orders.filter(pl.col("filled_quantity") > 0)
    held = then.group_by("run_id", *HOLDING).agg(then_quantity=pl.col("quantity").sum())
    return (
        filled.join(_expected_changes(filled, least), on=(*HOLDING, "as_of_date"))
        .filter(pl.col("order_id").is_in(sought.implode()))
        .join(held, on=("run_id", *HOLDING), how="left")
        .with_columns(pl.col("then_quantity").fill_null(0), is_in_usd=pl.col("amount_usd").is_not_null())
        .rename({"as_of_date": "proposed_date"})
        .with_columns(session_count=pl.lit(None, pl.Int64))
        .select(INTERNAL["fills_to_show"].keys())
        .cast(INTERNAL["fills_to_show"])  # type: ignore[arg-type]
        .sort("order_id")
    )


def open_to_show(orders: pl.DataFrame, then: pl.DataFrame, sought: pl.Series) -> pl.DataFrame:
    """Rows of the table ``orders_to_show``: orders that left and have no final word, as if all of each were filled; sorted by order.

    Parameters as of ``to_show``; ``orders`` also with ``quantity``, ``amount_usd``, ``is_sent``, ``is_closed`` and ``is_retracted``.
    """
    left = orders.filter(is_open())
    assumed = pl.when(is_open()).then("quantity").otherwise("filled_quantity")
    open_ids = left.filter(pl.col("order_id").is_in(sought.implode()))["order_id"]
    is_estimate = is_open() & pl.col("amount_usd").is_not_null()
    least = pl.when(is_estimate).then(pl.col("filled_quantity").cast(_WIDE) * USD_SHARE).otherwise("filled_quantity")
    rows = to_show(orders.with_columns(filled_quantity=assumed), then, open_ids, least=least)
    retracted = pl.col("order_id").is_in(left.filter("is_retracted")["order_id"].implode())
    return rows.with_columns(then_quantity=pl.when(~retracted).then("then_quantity"))


def is_open() -> pl.Expr:
    """Whether an order of ``KNOWN_ORDERS`` left and has no final word."""
    return pl.col("is_sent") & ~pl.col("is_closed")


def with_session_counts(rows: pl.DataFrame, sessions: Sequence[date]) -> pl.DataFrame:
    """Rows with ``session_count``: how many of the trading days, which end tonight, are after ``proposed_date``."""
    days = pl.Series(sessions, dtype=pl.Date)
    until = days.search_sorted(rows["proposed_date"], side="right").cast(pl.Int64)
    return rows.with_columns(session_count=days.len() - until)


def _expected_changes(filled: pl.DataFrame, least: pl.Expr | None) -> pl.DataFrame:
    """``expected_change`` of a holding since each date of its orders."""
    key = (*HOLDING, "as_of_date")
    amount = pl.col("filled_quantity") if least is None else least
    by_date = filled.group_by(key).agg(change=_signed_quantity(amount).sum())
    since = by_date.sort(key).with_columns(
        expected_change=pl.col("change").cum_sum(reverse=True).over(HOLDING, order_by="as_of_date")
    )
    return since.select(*key, "expected_change")


def unshown(fills: pl.DataFrame, lots: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Fills that the holdings do not show, with how far these ``moved``; sorted by account, security and order.

    Parameters
    ----------
    fills
        Table ``fills_to_show``.
    lots
        ``account_id, security_id, quantity``: every lot that the accounts hold now.
    trades
        Landed trades of the accounts.
    """
    now = lots.group_by(HOLDING).agg(now_quantity=pl.col("quantity").sum())
    judged = (
        fills.join(now, on=HOLDING, how="left")
        .join(_traded_quantities(fills, trades), on="order_id", how="left")
        .with_columns(pl.col("now_quantity", "bought", "sold").fill_null(0))
        .with_columns(moved=pl.col("now_quantity").cast(_WIDE) - pl.col("then_quantity").cast(_WIDE))
    )
    is_far = _towards(pl.col(MOVED)) >= pl.col("expected_change").abs()
    same_way = pl.when(pl.col("expected_change") > 0).then("bought").otherwise("sold")
    is_offset = (pl.col(MOVED) == pl.col("bought") - pl.col("sold")) & (same_way >= pl.col("expected_change").abs())
    is_shown = (is_far | is_offset).fill_null(value=False)
    return judged.filter(~is_shown).select(*fills.columns, MOVED).sort(*HOLDING, "order_id")


def _towards(change: pl.Expr) -> pl.Expr:
    """The change counted in the direction that is expected; no change is expected of what was bought and sold again."""
    return change * pl.col("expected_change").sign()


def _signed_quantity(quantity: pl.Expr) -> pl.Expr:
    amount = quantity.cast(_WIDE)
    return pl.when(pl.col("side") == Side.BUY).then(amount).otherwise(-amount)


def _traded_quantities(fills: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """``order_id, bought, sold``: landed trades in the order's security since the date of its run."""
    since = fills.select("order_id", *HOLDING, "proposed_date").join(
        trades.select(*HOLDING, "trade_date", "quantity", landed_side="side"), on=HOLDING
    )
    later = since.filter(pl.col("trade_date") > pl.col("proposed_date"))
    of = {name: pl.col("landed_side") == side for name, side in (("bought", Side.BUY), ("sold", Side.SELL))}
    return later.group_by("order_id").agg(
        pl.col("quantity").filter(is_it).sum().cast(_WIDE).alias(name) for name, is_it in of.items()
    )


def presumed_fills(
    orders: pl.DataFrame, lots: pl.DataFrame, trades: pl.DataFrame, prices: pl.DataFrame, as_of: date
) -> pl.DataFrame:
    """Trades (columns of that landing table) by which open orders explain how holdings moved, beyond landed trades; sorted by order.

    What an order explains is at most its quantity (of one in dollars, what its dollars may buy), in its direction, at tonight's price. A person or a broker may say otherwise later.

    Parameters
    ----------
    orders
        Table ``orders_to_show``.
    lots, trades
        As for ``unshown``; of trades also the fills that brokers reported.
    prices
        ``security_id, price_usd``; a security without one explains nothing.
    as_of
        The night.
    """
    now = lots.group_by(HOLDING).agg(now_quantity=pl.col("quantity").sum())
    same_way = pl.when(pl.col("side") == Side.BUY).then("bought").otherwise("sold")
    moved = pl.col("now_quantity").cast(_WIDE) - pl.col("then_quantity")
    most = pl.col("filled_quantity").cast(_WIDE) / pl.when("is_in_usd").then(USD_SHARE).otherwise(1)
    shown = pl.min_horizontal(_towards(moved), most.cast(_WIDE)) - same_way
    rows = (
        orders.drop_nulls("then_quantity")
        .join(now, on=HOLDING, how="left")
        .join(_traded_quantities(orders, trades), on="order_id", how="left")
        .with_columns(pl.col("now_quantity", "bought", "sold").fill_null(0))
        .with_columns(quantity=shown)
        .filter(pl.col("quantity") > 0)
        .join(prices.select("security_id", "price_usd").drop_nulls(), on="security_id")
        .sort("order_id")
    )
    named = rows.with_columns(trade_date=pl.lit(as_of), realized_gain_usd=pl.lit(None))
    return named.select(dtypes("trades").keys()).cast(dtypes("trades"))  # type: ignore[arg-type]


def missing(found: pl.DataFrame) -> pl.DataFrame:
    """``MISSING``: what each holding of ``unshown`` lacks, and what that is worth at the average price of its fills; sorted."""
    worth = pl.col("filled_quantity").cast(_WIDE) * pl.col("average_price_usd").cast(_WIDE)
    lacks = pl.col("expected_change") - pl.col(MOVED)
    return (
        found.sort("proposed_date", "order_id")
        .group_by(HOLDING)
        .agg(
            pl.col("expected_change").first(),
            quantity=lacks.first(),
            price=(worth.sum() / pl.col("filled_quantity").cast(_WIDE).sum()),
        )
        .with_columns(quantity=_within("quantity"))
        .with_columns(value_usd=-(pl.col("quantity") * pl.col("price").cast(_WIDE)))
        .select(MISSING.keys())
        .cast(MISSING)  # type: ignore[arg-type]
        .sort(HOLDING)
    )


def _within(quantity: str) -> pl.Expr:
    """No more than is expected, and nothing the other way."""
    low, high = pl.min_horizontal("expected_change", _NONE), pl.max_horizontal("expected_change", _NONE)
    return pl.max_horizontal(pl.min_horizontal(quantity, high), low)


def waiting(found: pl.DataFrame) -> pl.DataFrame:
    """``account_id, waiting_reason, waiting_sessions``: why an account of ``unshown`` is left alone, by its first holding; since when, by its oldest fill."""
    first = pl.format(
        "fills_not_shown: {} moved by {} where {} was filled",
        pl.col("security_id").first(),
        plain(MOVED).first(),
        plain("expected_change").first(),
    )
    reason = first + _others(pl.col("security_id").n_unique().cast(pl.Int64) - 1)
    oldest = pl.col("session_count").max()
    return found.group_by("account_id").agg(waiting_reason=reason, waiting_sessions=oldest).sort("account_id")


def waiting_orders(found: pl.DataFrame) -> pl.DataFrame:
    """``account_id, open_orders, open_sessions``: the open orders of each account, the oldest first, and the trading days of the oldest.

    Parameters
    ----------
    found
        Table ``open_orders``.
    """
    one = pl.format(
        "{} {} {} of {}, order {}", "side", plain("filled_quantity"), "security_id", "proposed_date", "order_id"
    )
    named = one.head(NAMED).str.join("; ") + _others(pl.len().cast(pl.Int64) - NAMED)
    count = pl.col("session_count").first()
    since = pl.format(" ({} trading day{})", count, pl.when(count == 1).then(pl.lit("")).otherwise(pl.lit("s")))
    oldest = found.sort("proposed_date", "order_id").group_by("account_id", maintain_order=True)
    return oldest.agg(open_orders=named + since, open_sessions=count).sort("account_id")


def _others(more: pl.Expr) -> pl.Expr:
    return pl.when(more > 0).then(pl.format(", and {} more", more)).otherwise(pl.lit(""))
