"""What mends cash that is short, or a limit that rounding broke: the moves that cost least for what they mend."""

from typing import Final

import numpy as np

from tasks.core.solver.class_moves import steps_from
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.moves import (
    OPENED,
    ROUNDING_USD,
    broken_now,
    describe_purchase,
    describe_sale,
    make,
    missing_usd,
    orders_left,
    weigh,
)
from tasks.core.solver.positions import UNIT_TOLERANCE, holding, is_first_of_holding, nearest_units
from tasks.core.solver.search import nothing_beside
from tasks.core.solver.workspace import Workspace

MOST_MENDS: Final = 400


@compile_inner
def mending_moves(work: Workspace, account: int, missing: float) -> int:
    """Moves as large as may mend limits that are broken by ``missing`` usd; how many there are."""
    account_row = work.accounts[account]
    count = 0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        if class_row.bought > 0:
            least = max(account_row.min_trade, class_row.least)
            steps = class_row.bought - int(np.ceil(min(missing / class_row.buy_unit, 1e15)))
            steps = 0 if steps * class_row.buy_unit < least <= class_row.bought_usd else steps
            count += describe_purchase(work, account, c, max(steps, 0), work.moves[count])
            continue
        for lot in range(class_row.first, class_row.last):
            if not is_first_of_holding(work, c, lot):
                continue
            security = work.lots[lot].security
            sold, most, held, step, usd = holding(work, c, security)
            steps = int(np.ceil(min(missing / (usd * (1 - work.lots[lot].spread)), 1e12)))
            least = int(np.ceil(account_row.min_trade / usd - UNIT_TOLERANCE)) * step
            more = nearest_units(max(sold // step * step + steps * step, least), most, held, step)
            if steps * step >= most - sold:
                more = nearest_units(most, most, held, step)
            fewer = steps_from(sold, -steps, most, held, step)
            fewer = 0 if fewer < least <= sold else fewer
            count += describe_sale(work, account, c, security, more, work.moves[count])
            count += describe_sale(work, account, c, security, fewer, work.moves[count])
    return count


@compile_inner
def mend(work: Workspace, account: int, floor: float) -> float:
    """Until cash is at the floor and every limit is kept: the move that costs least for what it mends. What is left broken, usd."""
    for _ in range(MOST_MENDS):
        missing = broken_now(work, account, floor)
        if missing <= 0:
            return 0.0
        count = mending_moves(work, account, missing_usd(work, account, floor))
        room, nothing = orders_left(work, account), nothing_beside(work)
        best, at = np.inf, -1
        for i in range(count):
            if work.moves[i, OPENED] > room:
                continue
            change, left = weigh(work, account, work.moves[i], nothing, floor)
            mended = missing - left
            if mended > ROUNDING_USD and change / mended < best:
                best, at = change / mended, i
        if at < 0:
            break
        make(work, account, work.moves[at])
    return missing_usd(work, account, floor)
