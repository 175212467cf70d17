"""What the solver is given: many accounts as flat arrays, their bounds and prices (``Book``) and what couples their trades (``Limits``)."""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar, get_type_hints

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DTYPES: Final[Mapping[object, type[np.generic]]] = {Floats: np.float64, Ints: np.int64, Flags: np.bool_}
"""What each annotation stands for: to ask ``NDArray[x]`` for its ``x`` works in some versions of NumPy only."""

NO_ORDER_LIMIT: Final = 2**31 - 1
MILLIONTHS: Final = 10**6
"""Quantities are whole numbers of millionths of a unit while an account is at work."""


class Book(NamedTuple):
    """Many accounts as flat arrays: n accounts, m classes of accounts, L lots. Dollars, shares, fractions of a dollar.

    ``class_start`` (n + 1) and ``lot_start`` (m + 1) say where an account's classes and a class's lots begin.
    """

    nav: Floats
    tracking_penalty: Floats
    cash: Floats
    """Settled + pending - reserve; negative is owed."""
    cash_target: Floats
    min_trade: Floats
    class_start: Ints
    class_value: Floats
    class_target: Floats
    buy_cap: Floats
    """Most that may be bought of the class's security, usd; inf = no limit, 0 = nothing to buy."""
    buy_cost: Floats
    """Half spread plus what holding the class here costs, fraction of a dollar bought."""
    buy_spread: Floats
    """Half spread, fraction of a dollar bought: what is paid from cash."""
    buy_price: Floats
    buy_step: Floats
    lot_start: Ints
    lot_quantity: Floats
    lot_price: Floats
    lot_step: Floats
    lot_spread: Floats
    """Half spread, fraction of a dollar sold: what is paid from cash."""
    lot_cost: Floats
    """Half spread less what holding the class here costs, fraction of a dollar sold. Tax is not in it."""
    lot_cap: Floats
    """Most that may be sold of the lot, usd: its value, part of it, or 0."""
    lot_security: Ints
    """Code of the lot's security; lots with the same code in a class make one order."""


class Limits(NamedTuple):
    """What couples an account's trades beyond its cash: netting of gains, a gain budget, limits on how much is traded.

    One entry an account, class or lot as in ``Book``. Dollars, fractions of a dollar.
    """

    turnover: Floats
    """Most of buys + sells, usd; inf = no limit."""
    gain: Floats
    """Most of the net gain that counts, usd; inf = no limit."""
    short_before: Floats
    """Net short-term gain before these trades, usd: the year's less losses carried forward."""
    long_before: Floats
    short_rate: Floats
    """Tax on short-term gains; 0 where none is paid."""
    long_rate: Floats
    max_orders: Ints
    slack: Floats
    """Objective, usd, that may be given up for fewer orders."""
    useful: Floats
    """Objective, usd, that an order must be worth."""
    class_min: Floats
    """Least that may be traded of a class, usd, where anything is; of a household's class the household's."""
    loss_room: Floats
    """Most that may be sold at a loss of a class, usd; of a household's class the household's."""
    lot_gain: Floats
    """Gain per dollar sold, negative for a loss."""
    lot_is_short: Flags
    lot_rank: Ints
    """Order in which an account's lots were acquired."""
    lot_outside: Floats
    """Shares bought in the wash-sale window that are not among the holding's lots and replace what is sold of it at a loss."""
    lot_inside: Floats
    """Shares of the lot that were bought in the window and replace what is sold of the holding's other lots at a loss."""
    lot_outright: Floats
    """Shares of the lot that are sold before (not among ``lot_quantity``): they use up what replaces losses."""


Columns = TypeVar("Columns", Book, Limits)


def require_types(columns: Columns) -> Columns:
    """Convert the arrays to the types annotated above, each contiguous and writable.

    Any other type would compile the solver anew, which takes a minute: whole numbers where fractions belong are enough.
    """
    dtypes = [DTYPES[hint] for hint in get_type_hints(type(columns)).values()]
    return type(columns)._make(
        np.require(column, dtype, ["C", "W"]) for column, dtype in zip(columns, dtypes, strict=True)
    )


def no_limits(book: Book) -> Limits:
    """Nothing but cash couples the trades, and nothing is taxed."""
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
        useful=np.zeros(n),
        class_min=np.zeros(m),
        loss_room=np.full(m, np.inf),
        lot_gain=np.zeros(lots),
        lot_is_short=np.zeros(lots, np.bool_),
        lot_rank=np.arange(lots, dtype=np.int64),
        lot_outside=np.zeros(lots),
        lot_inside=np.zeros(lots),
        lot_outright=np.zeros(lots),
    )
