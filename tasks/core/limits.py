"""What couples an account's trades beyond its cash: the netting of gains, a gain budget, and limits on how much is traded.

Arrays beside those of ``kernel.Book``, one entry an account, class or lot as there.
"""

from typing import Final, NamedTuple

import numpy as np

from tasks.core.kernel import Book, Flags, Floats, Ints

NO_ORDER_LIMIT: Final = 2**31 - 1


class Limits(NamedTuple):
    """Dollars, fractions of a dollar."""

    turnover: Floats
    """Most of buys + sells, usd; inf = no limit."""
    gain: Floats
    """Most of ``sum lot_gain * sold``, usd; inf = no limit."""
    short_before: Floats
    """Net short-term gain before these trades, usd: the year's less losses carried forward."""
    long_before: Floats
    short_rate: Floats
    """Tax on short-term gains; 0 where none is paid."""
    long_rate: Floats
    max_orders: Ints
    slack: Floats
    """Objective, usd, that may be given up for fewer orders."""
    class_min: Floats
    """Least that may be traded of a class, usd, where anything is."""
    lot_gain: Floats
    """Gain per dollar sold that counts in the netting and in the gain budget."""
    lot_is_short: Flags


def no_limits(book: Book) -> Limits:
    """Nothing but cash couples the trades: no tax beyond what ``lot_cost`` says."""
    n, m, lots = len(book.nav), len(book.buy_cap), len(book.lot_cap)
    return Limits(
        turnover=np.full(n, np.inf),
        gain=np.full(n, np.inf),
        short_before=np.zeros(n),
        long_before=np.zeros(n),
        short_rate=np.zeros(n),
        long_rate=np.zeros(n),
        max_orders=np.full(n, NO_ORDER_LIMIT, np.int64),
        slack=np.zeros(n),
        class_min=np.zeros(m),
        lot_gain=np.zeros(lots),
        lot_is_short=np.zeros(lots, np.bool_),
    )
