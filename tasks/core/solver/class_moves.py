"""The single moves of a class: a step more or less of each order, the least order, all that may go, and none."""

from typing import Any

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.moves import CLASS, SECURITY, STEP_USD, UNITS, describe_purchase, describe_sale
from tasks.core.solver.positions import BUY, UNIT_TOLERANCE, holding, is_first_of_holding, nearest_units
from tasks.core.solver.workspace import MOVES_EACH, Workspace


@compile_inner
def steps_from(units: int, steps: int, most: int, held: int, step: int) -> int:
    """Units of a holding sold after so many steps more, or less; what closes the position counts as a step."""
    if steps > 0:
        return nearest_units((units // step + steps) * step, most, held, step)
    whole = (units + step - 1) // step + steps
    return max(whole, 0) * step


@compile_inner
def asked_for(k: float, usd: float, change: float) -> int:
    """Steps at which the parabola through one step's change has its lowest point."""
    if usd == 0:
        return 0
    best = 0.5 - change / (2 * k * usd * usd)
    return int(min(max(np.round(best), 0.0), 1e9))


@compile_inner
def add_purchase(work: Workspace, account: int, c: int, steps: int, usd: float) -> None:
    """Add the move that buys ``steps`` of a class in all, where it may, to the class's; ``usd``: of a step that may be repeated."""
    class_row = work.classes[c]
    row = first_move(class_row, c) + class_row.moves
    if describe_purchase(work, account, c, steps, work.moves[row]):
        work.moves[row, STEP_USD] = usd
        class_row.moves += 1


@compile_inner
def add_sale(work: Workspace, account: int, c: int, security: int, units: int, usd: float) -> None:
    """Add the move that sells ``units`` of a holding in all: as ``add_purchase``."""
    class_row = work.classes[c]
    row = first_move(class_row, c) + class_row.moves
    if describe_sale(work, account, c, security, units, work.moves[row]):
        work.moves[row, STEP_USD] = usd
        class_row.moves += 1


@compile_inner
def first_move(class_row: Any, c: int) -> int:
    """Where a class's moves begin."""
    return int(MOVES_EACH * (c + class_row.first))


@compile_inner
def add_purchases(work: Workspace, account: int, c: int) -> None:
    """Moves of a class's purchase: a step more or less, the least order, none."""
    class_row, account_row = work.classes[c], work.accounts[account]
    is_wanted = class_row.bought > 0 or class_row.value < class_row.target
    if class_row.sold_usd > 0 or class_row.open_cap <= 0 or not is_wanted:
        return
    bought = class_row.bought
    least = int(np.ceil(max(account_row.min_trade, class_row.least) / class_row.buy_unit - UNIT_TOLERANCE))
    add_purchase(work, account, c, max(bought + 1, least), class_row.buy_unit)
    if bought > 0:
        fewer = bought - 1 if bought > least else 0
        add_purchase(work, account, c, fewer, class_row.buy_unit)
        if fewer > 0:
            add_purchase(work, account, c, 0, 0.0)


@compile_inner
def add_sales(work: Workspace, account: int, c: int, lot: int) -> None:
    """Moves of the sale of the holding that ``lot`` is the first of: as ``add_purchases``, and all that may go."""
    class_row, account_row = work.classes[c], work.accounts[account]
    security = work.lots[lot].security
    sold, most, held, step, usd = holding(work, c, security)
    is_spare = class_row.sold_usd > 0 or class_row.value > class_row.target
    if class_row.bought > 0 or most == 0 or not is_spare:
        return
    least = nearest_units(int(np.ceil(account_row.min_trade / usd - UNIT_TOLERANCE)) * step, most, held, step)
    more = steps_from(sold, 1, most, held, step)
    if sold == 0:
        more = max(more, least)
        others = class_row.least - class_row.sold_usd
        if others > 0:
            more = max(more, nearest_units(int(np.ceil(others / usd)) * step, most, held, step))
    all_of_it = nearest_units(most, most, held, step)
    add_sale(work, account, c, security, more, usd)
    if all_of_it != more:
        add_sale(work, account, c, security, all_of_it, 0.0)
    if sold > 0:
        fewer = steps_from(sold, -1, most, held, step)
        fewer = 0 if fewer < least else fewer
        add_sale(work, account, c, security, fewer, usd)
        if fewer > 0:
            add_sale(work, account, c, security, 0, 0.0)


@compile_inner
def describe_class(work: Workspace, account: int, c: int) -> None:
    """Describe the single moves of a class."""
    work.classes[c].moves = 0
    add_purchases(work, account, c)
    for lot in range(work.classes[c].first, work.classes[c].last):
        if is_first_of_holding(work, c, lot):
            add_sales(work, account, c, lot)


@compile_inner
def describe_steps(work: Workspace, account: int, move: Any, steps: int, into: Any) -> bool:
    """Fill in ``into`` with the move that goes as far as ``steps`` times ``move`` does."""
    c, security, units = int(move[CLASS]), int(move[SECURITY]), int(move[UNITS])
    if security == BUY:
        bought = work.classes[c].bought
        return describe_purchase(work, account, c, max(bought + (units - bought) * steps, 0), into)
    sold, most, held, step, _ = holding(work, c, security)
    steps *= max(abs(units - sold) // step, 1)
    return describe_sale(
        work, account, c, security, steps_from(sold, steps if units > sold else -steps, most, held, step), into
    )
