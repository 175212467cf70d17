"""What the solver answers: arrays as in ``arrays.Book``, and the codes in them."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.core.solver.arrays import Book, Floats
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.workspace import Workspace

Codes = npt.NDArray[np.int8]

TRADED: Final = 0
STAYS: Final = 1
CANNOT_RAISE_CASH: Final = 2

BELOW_MINIMUM: Final = 1
BELOW_IMPROVEMENT: Final = 2
ORDER_LIMIT: Final = 3
FEWER_TRADES: Final = 4
"""Why an order was dropped; 0: it was not."""


class Answer(NamedTuple):
    """Trades of many accounts, and what they count for. Of a household solved together, objective, optimum and bound stand on each of its accounts."""

    status: Codes
    """``TRADED``, ``STAYS`` (nothing is worth doing) or ``CANNOT_RAISE_CASH``."""
    shadow_price: Floats
    """mu: what one more dollar of cash would lower the objective by, usd."""
    objective: Floats
    tax: Floats
    """Tax, usd, that the trades add."""
    lower_bound: Floats
    """No whole-unit answer has a lower objective, usd: a value of the dual."""
    cash: Floats
    """Final cash beyond the reserve after costs, usd."""
    shortfall: Floats
    """Cash owed that cannot be raised, usd."""
    short_rate: Floats
    """What one more dollar of short-term gain would cost in tax."""
    long_rate: Floats
    gain_price: Floats
    """What one more dollar of gain budget would be worth, usd; 0: it does not bind."""
    turnover_price: Floats
    """What one more dollar of turnover would be worth, usd; 0: the limit does not bind."""
    sold: npt.NDArray[np.int64]
    """Millionths of a unit sold of each lot."""
    bought: npt.NDArray[np.int64]
    """Steps bought of each class."""
    counted: Floats
    """Gain that counts for tax of what is sold of each lot, usd: without what the wash-sale rule disallows."""
    lot_dropped: Codes
    """Why the lot's order was dropped; 0: it was not."""
    buy_dropped: Codes


@compile_inner
def store(work: Workspace, answer: Answer, book: Book, first: int, last: int) -> None:
    """Copy the answers of the accounts in the workspace to where they stand in the book."""
    for target in range(first, last):
        account_row = work.accounts[target - first]
        answer.status[target], answer.shadow_price[target] = account_row.status, account_row.shadow_price
        answer.objective[target] = account_row.objective
        answer.tax[target] = account_row.tax_now
        answer.lower_bound[target], answer.cash[target] = account_row.lower_bound, account_row.cash_after
        answer.shortfall[target] = account_row.shortfall
        answer.short_rate[target], answer.long_rate[target] = account_row.short_at, account_row.long_at
        answer.gain_price[target], answer.turnover_price[target] = account_row.gain_price, account_row.turnover_price
        for c in range(account_row.first, account_row.last):
            at = book.class_start[first] + c
            answer.bought[at], answer.buy_dropped[at] = work.classes[c].bought, work.classes[c].dropped
            for lot in range(work.classes[c].first, work.classes[c].last):
                home = work.lots[lot].home
                answer.sold[home], answer.lot_dropped[home] = work.lots[lot].sold, work.lots[lot].dropped
                answer.counted[home] = work.lots[lot].counted


def blank_answer(book: Book) -> Answer:
    """Room for the answers of ``book``."""
    n, m, lots = len(book.nav), len(book.buy_cap), len(book.lot_cap)
    sizes: dict[str, tuple[int, type[np.generic]]] = {
        "sold": (lots, np.int64),
        "bought": (m, np.int64),
        "counted": (lots, np.float64),
        "lot_dropped": (lots, np.int8),
        "buy_dropped": (m, np.int8),
        "status": (n, np.int8),
    }
    columns: list[Any] = [np.zeros(*sizes.get(name, (n, np.float64))) for name in Answer._fields]
    return Answer(*columns)
