"""Every policy on every path, from cash on the first date to wealth on the last."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from schemas.enums import Calendar, ShortTermGains, TradeMode
from tasks.core.lab.account import holders_of
from tasks.core.lab.advance import advance
from tasks.core.lab.arrays import LOOKS, Holders, LabPolicy, Market, Measured, Terms
from tasks.core.lab.booking import make_trades
from tasks.core.lab.review import count_routes
from tasks.core.lab.standing import Course, Grid, Standing, course_of, grid_of, lots_at_first, new_state, with_room
from tasks.core.lab.trade import find_trades
from tasks.core.solver import Ints, processors

FIRST_LOTS: Final = 16
"""Room for lots of an account at first; where one may need more, all get twice as much."""
ACCOUNTS_AT_ONCE: Final = 50_000
"""Accounts whose trades are solved in one go: the book of them stays in memory."""


def unsupported(policy: LabPolicy) -> str | None:
    """What of a policy the lab cannot try yet, in a sentence; null: nothing."""
    own = policy.policy
    said = {
        f"look is {policy.look}, which is none of {', '.join(LOOKS)}": policy.look not in LOOKS,
        f"trade_mode is {own.trade_mode}: the lab tries full": own.trade_mode is not TradeMode.FULL,
        f"calendar is {own.calendar}: say by `look` how often it looks, with absolute_band 0 to trade on every look": (
            own.calendar is not Calendar.NONE
        ),
        f"short_term_gains is {own.short_term_gains}: the lab tries allow": own.short_term_gains
        is not ShortTermGains.ALLOW,
        "is_threshold_triggered is false: nothing would ever trade": not own.is_threshold_triggered,
    }
    return next((sentence for sentence, is_so in said.items() if is_so), None)


def simulate(
    market: Market, policies: Sequence[LabPolicy], terms: Terms | Holders, *, is_routed: bool = False
) -> Measured:
    """What every policy comes to on every path, each trade by the night's solver; of several accounts path p is account p % K on course p // K.

    An account's answer depends on its path and its policy alone. ``is_routed``: proposals are counted by their route, which takes time.

    Raises
    ------
    ValueError
        A policy that ``unsupported`` names, or arrays whose shapes do not fit one another.
    """
    for policy in policies:
        if said := unsupported(policy):
            raise ValueError(said)
    courses, steps, classes = market.growth.shape
    holders = holders_of(market, terms)
    targets = holders.target.shape[1] - 1
    if len(market.dates) != steps + 1 or len(market.classes) != classes or targets != classes:
        message = f"{len(market.dates)} dates, {len(market.classes)} classes and {targets} targets for growth of {steps} x {classes}"
        raise ValueError(message)
    course, grid, paths = course_of(market, holders), grid_of(policies, market, holders), courses * len(holders.names)
    lots = max(FIRST_LOTS, 2 * classes, lots_at_first(holders) + classes)
    state = _run(course, grid, new_state(market, holders, len(policies), lots), paths, is_routed=is_routed)
    shape = (len(policies), paths)
    return Measured(
        state.values.reshape(*shape, -1), state.weights.reshape(*shape, -1), state.years.reshape(*shape, -1, 4)
    )


def _run(course: Course, grid: Grid, state: Standing, paths: int, *, is_routed: bool) -> Standing:
    """The accounts on the last date."""
    every = np.arange(len(state.at), dtype=np.int64)
    workers, classes = processors(), state.weights.shape[1]
    with ThreadPoolExecutor(workers) as pool:
        moving = every[state.is_due == 0]  # those that hold something on the first date wait for their first look

        def move(state: Standing, which: Ints) -> None:
            parts: list[Ints] = np.array_split(which, workers)
            for done in [pool.submit(advance, course, grid, state, paths, part) for part in parts]:
                done.result()

        move(state, moving)
        due = every[state.is_due > 0]
        while len(due):
            if state.lot_count[due].max() + classes > state.lot_units.shape[1]:
                state = with_room(state)
            for first in range(0, len(due), ACCOUNTS_AT_ONCE):
                some = due[first : first + ACCOUNTS_AT_ONCE]
                found = find_trades(course, grid, state, paths, some)
                if is_routed:
                    count_routes(grid, state, paths, some, found)
                make_trades(course, state, paths, some, found)
            move(state, due)
            due = due[state.is_due[due] > 0]
    return state
