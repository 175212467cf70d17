"""What became of orders: filled quantities, average prices and states, out of the orders that left and the messages about them.

1. ``net_fills`` says what the market did.
2. A fill that names an order is the order's own. One that names a block is shared out among the block's orders (``allocation``) by
   what each still wants of it (``with_wanted``), at the block's average price.
3. An order's gross is the sum of quantity times price of its fills, rounded half-even to cents once.
4. Reports of more than six digits were rounded, fill by fill: an order that is filled but for so little is filled (``is_filled``).
5. An order in dollars has an estimate for a quantity: it is filled, too, when as much was paid as was ordered, to one unit, and filled
   beyond what was ordered only where both quantity and dollars are (``is_complete``, ``is_overfilled``).
6. Its state follows from what is filled and from what was said: see ``_state``.

Everything is a function of the set of messages, so that files may come in any order and more than once.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import polars as pl

from schemas.enums import ExecutionKind, OrderState
from schemas.executions import ORDER_STATES
from tasks.core.reconcile.allocation import OrderPart, cents, pro_rata, shares
from tasks.core.reconcile.fill_netting import ID, crossed_messages, net_fills

UNIT: Final = Decimal("0.000001")
WIDE: Final = pl.Decimal(38, 12)
"""Six digits of quantity times six of price: a product is exact."""
FINEST: Final = Decimal("1e-12")
MOST_ROUNDED: Final = Decimal("0.00001")
"""What the fills of an order lack or have too much, at most, because they were rounded; and a millionth of what was ordered."""
UNIT_OF_FUNDS: Final = Decimal("0.001")
"""Funds count shares to three digits; what is bought for dollars is off by one of them, or of the security's step, and a cent."""
PARTS: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "filled_quantity": ORDER_STATES["filled_quantity"],
    "gross_usd": pl.Decimal(38, 12),
    "exact_usd": pl.Decimal(38, 12),
    "fees_usd": ORDER_STATES["fees_usd"],
    "first_trade_date": pl.Date(),
    "last_trade_date": pl.Date(),
}

"""What an order has of its own fills, or of its block's. ``gross_usd`` of a block's is in cents that sum to the block's, ``exact_usd`` is at its average price."""


def order_states(
    orders: pl.DataFrame, messages: pl.DataFrame, fixed: pl.DataFrame, *, min_units: int = 1
) -> pl.DataFrame:
    """Table ``ORDER_STATES``: a row for each of the orders, by name.

    Parameters
    ----------
    orders
        Table ``SENT_ORDERS``: with an order, every order of its block.
    messages
        Table ``MESSAGES``: all that was ever said about these orders and blocks, and the fills that any of it leads to.
    fixed
        ``block_id``, ``order_id`` and ``quantity`` of what a person allots to an order of a block, whatever its share is; void for
        a block that is not filled with so much.
    min_units
        Least share of an order in a block, in units of the security's step, where it did not order less.
    """
    messages = about_these(orders, messages)
    fills = net_fills(messages)
    own = _sums(fills.filter(pl.col("order_id").is_not_null()), "order_id", orders)
    wanting = with_wanted(orders, messages, fills)
    allotted = _allot_fills(
        wanting, _sums(fills.filter(pl.col("block_id").is_not_null()), "block_id", orders), fixed, min_units
    )
    filled = _add_up(pl.concat([own, allotted]))
    said = _statements(orders, messages)
    both = orders.join(filled, on="order_id", how="left").join(said, on="order_id", how="left")
    nothing = pl.col("filled_quantity", "gross_usd", "fees_usd").fill_null(0)
    return (
        both.with_columns(nothing)
        .with_columns(average_price_usd=_average())
        .with_columns(state=_state(), is_closed=_is_closed())
        .with_columns(pl.col("gross_usd").round(2, mode="half_to_even").cast(ORDER_STATES["gross_usd"]))
        .select(ORDER_STATES.keys())
        .cast(ORDER_STATES)  # type: ignore[arg-type]
        .sort("order_id")
    )


def about_these(orders: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """The messages that are about these orders or their blocks, without busts and corrections of what is about others."""
    straight = messages.join(crossed_messages(messages).select(ID), on=ID, how="anti", maintain_order="left")
    is_own = pl.col("order_id").is_in(orders["order_id"].implode())
    is_of_block = pl.col("block_id").is_in(orders["block_id"].drop_nulls().implode())
    return straight.filter(is_own.fill_null(value=False) | is_of_block.fill_null(value=False))


def with_wanted(orders: pl.DataFrame, messages: pl.DataFrame, fills: pl.DataFrame) -> pl.DataFrame:
    """Orders with ``own_quantity``, filled under their own name, and ``wanted_quantity``: what each may get of its block's fills.

    That is what it ordered, less what it was filled with under its own name; nothing where it was turned down under its own
    name, or is in dollars and was filled under its own. One that was cancelled may have been filled before, with its block.

    Parameters
    ----------
    orders, messages
        As ``order_states`` takes them.
    fills
        ``net_fills`` of the messages.
    """
    own = fills.filter(pl.col("order_id").is_not_null()).group_by("order_id").agg(own_quantity=pl.col("quantity").sum())
    rejected = messages.filter(pl.col("kind") == ExecutionKind.REJECTED)["order_id"].drop_nulls()
    left = (pl.col("quantity") - pl.col("own_quantity")).clip(lower_bound=0)
    is_bought = pl.col("amount_usd").is_not_null() & (pl.col("own_quantity") > 0)
    wanted = pl.when(pl.col("order_id").is_in(rejected.implode()) | is_bought).then(0).otherwise(left)
    return (
        orders.join(own, on="order_id", how="left")
        .with_columns(pl.col("own_quantity").fill_null(0))
        .with_columns(wanted_quantity=wanted.cast(orders.schema["quantity"]))
    )


def _sums(fills: pl.DataFrame, name: str, orders: pl.DataFrame) -> pl.DataFrame:
    """What was filled of each order, or of each block under the name ``block_id``, exact."""
    factors = orders.drop_nulls(name).select(name, factor=pl.col("price_factor").fill_null(1)).unique(name)
    worth = (pl.col("quantity").cast(WIDE) * pl.col("price_usd").cast(WIDE) * pl.col("factor").cast(WIDE)).sum()
    return (
        fills.join(factors, on=name, how="left")
        .group_by(name)
        .agg(
            filled_quantity=pl.col("quantity").sum(),
            gross_usd=worth,
            exact_usd=worth,
            fees_usd=pl.col("fees_usd").fill_null(0).sum().cast(PARTS["fees_usd"]),
            first_trade_date=pl.col("trade_date").min(),
            last_trade_date=pl.col("trade_date").max(),
        )
    )


def _allot_fills(orders: pl.DataFrame, blocks: pl.DataFrame, fixed: pl.DataFrame, min_units: int) -> pl.DataFrame:
    """What each order has of its block's fills. An order of a block that was not filled has no row."""
    theirs = orders.join(blocks.select("block_id"), on="block_id", how="semi").join(
        fixed.select("block_id", "order_id", fixed_quantity="quantity"), on=("block_id", "order_id"), how="left"
    )
    members: dict[Any, pl.DataFrame] = dict(theirs.sort("account_id", "order_id").group_by("block_id"))
    rows = [
        row
        for block in blocks.sort("block_id").iter_rows(named=True)
        for row in _share_block(block, members[block["block_id"],], min_units)
    ]
    return pl.DataFrame(rows, schema=PARTS, orient="row")


def _share_block(block: dict[str, Any], members: pl.DataFrame, min_units: int) -> Iterable[tuple[Any, ...]]:
    """An order's rows of ``PARTS``; what the market filled beyond what all orders want belongs to no order."""
    step = _step(block, members)
    parts = [
        OrderPart(
            (row["account_id"], row["order_id"]),
            _units(row["wanted_quantity"], step),
            _units(row["fixed_quantity"], step),
        )
        for row in members.iter_rows(named=True)
    ]
    filled = _units(block["filled_quantity"], step)
    given = sum(part.fixed or 0 for part in parts)
    room = sum(part.ordered for part in parts if part.fixed is None)
    is_beyond = any(part.fixed is not None and part.fixed > part.ordered for part in parts)
    if is_beyond or given > filled or (filled - given > room and filled <= sum(part.ordered for part in parts)):
        # what a person fixed is not there any more, or would leave shares without an order
        parts = [OrderPart(part.key, part.ordered) for part in parts]
    units = shares(parts, filled, min_units=min_units)
    unplaced = filled - sum(units)
    gross = pro_rata([*units, unplaced], cents(block["gross_usd"]))
    fees = pro_rata([*units, unplaced], int(block["fees_usd"].scaleb(6)))
    for (_, name), share, paid, fee in zip((part.key for part in parts), units, gross, fees, strict=False):
        if share:
            exact = (block["gross_usd"] * share / filled).quantize(FINEST)
            dates = block["first_trade_date"], block["last_trade_date"]
            yield (name, share * step, Decimal(paid).scaleb(-2), exact, Decimal(fee).scaleb(-6), *dates)


def _step(block: dict[str, Any], members: pl.DataFrame) -> Decimal:
    """The security's step, or the smallest unit of all where something is no multiple of it."""
    step = members["quantity_step"].max()
    amounts = [block["filled_quantity"], *members["wanted_quantity"], *members["fixed_quantity"].drop_nulls()]
    is_whole = isinstance(step, Decimal) and step > 0 and not any(amount % step for amount in amounts)
    return step if is_whole and isinstance(step, Decimal) else UNIT


def _units(quantity: Any, step: Decimal) -> Any:
    return None if quantity is None else int(quantity / step)


def _add_up(parts: pl.DataFrame) -> pl.DataFrame:
    """An order's own fills and its shares together."""
    return parts.group_by("order_id").agg(
        pl.col("filled_quantity", "gross_usd", "exact_usd", "fees_usd").sum(),
        pl.col("first_trade_date").min(),
        pl.col("last_trade_date").max(),
    )


def _statements(orders: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """What else was said about each order, or about its block: whether it was taken, turned down, ended."""
    to_orders = messages.filter(pl.col("order_id").is_not_null()).select("order_id", "kind")
    of_blocks = messages.filter(pl.col("block_id").is_not_null()).select("block_id", "kind").unique()
    to_blocks = of_blocks.join(orders.select("block_id", one="order_id"), on="block_id")
    words = pl.concat([to_orders, to_blocks.select(order_id="one", kind="kind")])
    return words.group_by("order_id").agg(
        **{f"is_{kind}": (pl.col("kind") == kind).any() for kind in (ExecutionKind.REJECTED, ExecutionKind.CANCELLED)},
        is_acknowledged=pl.len() > 0,
    )


def _average() -> pl.Expr:
    units = pl.col("filled_quantity").cast(WIDE) * pl.col("price_factor").fill_null(1).cast(WIDE)
    filled = pl.when(pl.col("filled_quantity") > 0).then(units)
    return (pl.col("exact_usd") / filled).round(6, mode="half_to_even")


def _is_over() -> pl.Expr:
    """Whether somebody said that nothing more will come."""
    return (pl.col("is_rejected") | pl.col("is_cancelled")).fill_null(value=False)


def _state() -> pl.Expr:
    """By what is filled; where nothing is, by what was said."""
    is_known = pl.col("is_acknowledged").fill_null(value=False)
    return (
        pl.when(is_complete())
        .then(pl.lit(OrderState.FILLED))
        .when(pl.col("filled_quantity") > 0)
        .then(pl.lit(OrderState.PARTLY_FILLED))
        .when(_is_over())
        .then(pl.lit(OrderState.FAILED))
        .when(is_known)
        .then(pl.lit(OrderState.ACKNOWLEDGED))
        .otherwise(pl.lit(OrderState.EXPORTED))
    )


def _is_closed() -> pl.Expr:
    return _is_over() | is_complete()


def is_complete(ordered: str = "quantity") -> pl.Expr:
    """Whether an order is filled: with the quantity ordered, or with the dollars that it is in, fees counted in or not."""
    left = pl.col("amount_usd") - pl.col("gross_usd") - pl.col("fees_usd")
    is_paid = (pl.col("filled_quantity") > 0) & (left.cast(WIDE) <= _one_unit())
    return is_filled(pl.col("filled_quantity"), pl.col(ordered)) | is_paid.fill_null(value=False)


def is_overfilled(ordered: str = "quantity") -> pl.Expr:
    """Whether an order was filled beyond its quantity and, where it is in dollars, beyond these."""
    is_overpaid = (pl.col("gross_usd") - pl.col("amount_usd")).cast(WIDE) > _one_unit()
    return ~is_filled(pl.col(ordered), pl.col("filled_quantity")) & is_overpaid.fill_null(value=True)


def _one_unit() -> pl.Expr:
    """What the smallest unit of a security costs, and a cent."""
    unit = pl.max_horizontal("quantity_step", pl.lit(UNIT_OF_FUNDS)).cast(WIDE)
    return unit * pl.coalesce("average_price_usd", "price_usd").cast(WIDE) + pl.lit(Decimal("0.01")).cast(WIDE)


def is_filled(filled: pl.Expr, ordered: pl.Expr) -> pl.Expr:
    """Whether no more is missing than rounding of the fills may have taken."""
    missing = (ordered - filled).cast(WIDE)
    return (missing <= 0) | ((missing * pl.lit(10**6).cast(WIDE) <= ordered) & (missing <= pl.lit(MOST_ROUNDED)))


def proposal_states(orders: pl.DataFrame, states: pl.DataFrame) -> pl.DataFrame:
    """``proposal_id`` and ``state`` of each proposal, by name: what became of all its orders together.

    ``filled``: all are. ``failed``: all did. ``partly_filled``: something is filled. ``acknowledged``: somebody answered. Else ``exported``.

    Parameters
    ----------
    orders, states
        Tables ``SENT_ORDERS`` and ``ORDER_STATES``: every order of each proposal.
    """
    joined = orders.select("order_id", "proposal_id").join(states.select("order_id", "state"), on="order_id")
    is_ = {state: pl.col("state") == state for state in OrderState}
    some_filled = (is_[OrderState.FILLED] | is_[OrderState.PARTLY_FILLED]).any()
    state = (
        pl.when(is_[OrderState.FILLED].all())
        .then(pl.lit(OrderState.FILLED))
        .when(is_[OrderState.FAILED].all())
        .then(pl.lit(OrderState.FAILED))
        .when(some_filled)
        .then(pl.lit(OrderState.PARTLY_FILLED))
        .when(is_[OrderState.EXPORTED].all())
        .then(pl.lit(OrderState.EXPORTED))
        .otherwise(pl.lit(OrderState.ACKNOWLEDGED))
    )
    return joined.group_by("proposal_id").agg(state=state).sort("proposal_id")
