"""What an account's destinations leave of each class to buy, and to sell at a loss; compiled, for a night's accounts and the lab's.

Of a household that is managed together values, cash and purchases are those of all its accounts.

1. *Past its destination* no class is bought with cash that others cannot take: where a class wants more than may be bought of it and what
   is left over would go to the others. Where orders may be dropped, by their number or by how little they improve, one unit may go past.
2. *Nothing is sold for the tax alone*: what may be sold of a class at a loss is what it has above its destination and what cash lacks of its own.
"""

from typing import Any, Final

import numpy as np
import polars as pl

from tasks.core.rules.book_arrays import starts
from tasks.core.solver import NO_ORDER_LIMIT, compile_entrance, compile_inner

FLOOD_OF_NAV: Final = 1e-6
"""Share of NAV: cash that is left over by less is rounding noise."""


def with_class_limits(classes: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Classes with ``shared_cap_usd`` (the household's; inf: none), ``buy_cap_usd`` no greater, and ``loss_room_usd``.

    Parameters
    ----------
    classes
        Whole accounts in the order of ``account_row``, with ``destination_usd``, ``start_value_usd``, ``buy_cap_usd``, ``buy_unit_usd`` and
        ``buy_step`` (null: nothing to buy). Accounts of a household have the same classes in the same order.
    accounts
        In the order of ``account_row``, with ``start_cash_usd``, ``cash_target_usd``, ``governed_nav_usd``, ``max_orders`` and ``improvement``.
    """
    unit = (pl.col("buy_unit_usd") * pl.col("buy_step").cast(pl.Float64)).fill_null(1.0)
    columns = [
        classes.select(expr.cast(pl.Float64)).to_series().to_numpy()
        for expr in (pl.col("start_value_usd"), pl.col("destination_usd"), pl.col("buy_cap_usd"), unit)
    ]
    own = [
        accounts.select(pl.col(name).cast(pl.Float64)).to_series().to_numpy()
        for name in ("start_cash_usd", "cash_target_usd", "governed_nav_usd")
    ]
    is_loose = accounts.select((pl.col("max_orders") < NO_ORDER_LIMIT) | (pl.col("improvement") > 0)).to_series()
    group = accounts.select(pl.coalesce("managed_household_id", "account_id").rle_id()).to_series().to_numpy()
    group_start = np.append(np.flatnonzero(np.diff(group, prepend=-1)), len(group)).astype(np.int64)
    shared, room = np.zeros(len(classes)), np.zeros(len(classes))
    value, destination, cap, step_usd, cash, cash_target, nav = (
        np.require(each, np.float64, ["C", "W"]) for each in (*columns, *own)
    )
    class_start = starts(accounts["account_row"], classes["account_row"])
    loose = np.require(is_loose.to_numpy(), np.bool_, ["C", "W"])
    _limit_groups(
        *(group_start, class_start, value, destination, cap, step_usd), *(cash, cash_target, nav, loose, shared, room)
    )
    return classes.with_columns(
        shared_cap_usd=pl.Series(shared, dtype=pl.Float64), loss_room_usd=pl.Series(room, dtype=pl.Float64)
    ).with_columns(buy_cap_usd=pl.min_horizontal("buy_cap_usd", "shared_cap_usd"))


@compile_inner
def limit_group(
    first: int,
    last: int,
    class_start: Any,
    value: Any,
    destination: Any,
    cap: Any,
    unit: Any,
    cash: Any,
    cash_target: Any,
    nav: Any,
    is_loose: Any,
    shared_cap: Any,
    loss_room: Any,
) -> None:
    """Fill ``shared_cap`` and ``loss_room``, usd, of the classes of accounts ``first`` to ``last``, which are solved together.

    Class j of account a stands at ``class_start[a] + j``. ``cap``, usd, what else allows to be bought of each; ``unit``, usd.
    """
    base = class_start[first]
    count = class_start[first + 1] - base
    over, own_cash = -cash_target[first], 0.0
    for account in range(first, last):
        over += cash[account]
        own_cash += cash[account]
    lacking = max(cash_target[first] - own_cash, 0.0)
    above, fits, is_short = 0.0, 0.0, False
    for j in range(count):
        held, room = 0.0, 0.0
        for account in range(first, last):
            held += value[class_start[account] + j]
            room += cap[class_start[account] + j]
        gap = destination[base + j] - held
        wanted = max(gap, 0.0)
        above += max(-gap, 0.0)
        fits += min(wanted, room)
        is_short = is_short or wanted > room
        for account in range(first, last):
            shared_cap[class_start[account] + j] = wanted
            loss_room[class_start[account] + j] = max(held - destination[base + j], 0.0) + lacking
    if is_short and over + above > fits + FLOOD_OF_NAV * nav[first]:
        return
    for account in range(first, last):
        for c in range(class_start[account], class_start[account + 1]):
            units = np.ceil(shared_cap[c] / unit[c] - FLOOD_OF_NAV)
            shared_cap[c] = units * unit[c] if is_loose[account] else np.inf


@compile_entrance
def _limit_groups(
    group_start: Any,
    class_start: Any,
    value: Any,
    destination: Any,
    cap: Any,
    unit: Any,
    cash: Any,
    cash_target: Any,
    nav: Any,
    is_loose: Any,
    shared_cap: Any,
    loss_room: Any,
) -> None:
    for group in range(len(group_start) - 1):
        limit_group(
            *(group_start[group], group_start[group + 1], class_start, value, destination, cap, unit),
            *(cash, cash_target, nav, is_loose, shared_cap, loss_room),
        )
