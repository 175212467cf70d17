"""Which losses are worth a harvest, and which of them have something to be bought in their place; compiled, for a night's households and the lab's accounts."""

from typing import Any

import numpy as np
from numba import njit

from tasks.core.solver import Flags, Floats, Ints, compile_entrance, compile_inner


@compile_inner
def is_worth_harvest(loss: float, fraction: float, least: float, least_fraction: float) -> bool:
    """Whether a lot's loss, usd, is past both limits of its policy; ``fraction``: of what the lot cost."""
    return loss > 0 and loss >= least and fraction >= least_fraction


@compile_inner
def first_kept(first: int, last: int, choice_security: Any, is_harvested: Any) -> int:
    """The best of the choices ``first`` to ``last`` that is not harvested; -1: there is none."""
    for choice in range(first, last):
        if not is_harvested[choice_security[choice]]:
            return int(choice_security[choice])
    return -1


@compile_inner
def pick_harvests(
    first: int,
    last: int,
    first_lot: int,
    last_lot: int,
    lot_class: Any,
    lot_security: Any,
    choice_start: Any,
    choice_security: Any,
    is_harvested: Any,
    is_spared: Any,
    is_picked: Any,
    alternate: Any,
) -> None:
    """Take the mark ``is_picked`` off lots of one household that are not to be harvested, and say what each class buys instead, -1: nothing.

    1. A class with no open choice harvests nothing.
    2. Where all open choices of a class would be harvested, the best of them is spared: no account of the household harvests it.

    Parameters
    ----------
    first, last
        The household's classes: each of one of its accounts.
    first_lot, last_lot
        Its lots that are worth a harvest, all marked.
    lot_class, lot_security
        Of each lot; securities are numbers.
    choice_start, choice_security
        The securities that each class may buy, best first; class c has those from ``choice_start[c]`` to ``choice_start[c + 1]``.
    is_harvested, is_spared
        A place for each security, all false; they are so again afterwards.
    """
    for lot in range(first_lot, last_lot):
        c = lot_class[lot]
        is_picked[lot] = is_picked[lot] and choice_start[c + 1] > choice_start[c]
        if is_picked[lot]:
            is_harvested[lot_security[lot]] = True
    for c in range(first, last):
        start, end = choice_start[c], choice_start[c + 1]
        if end > start and first_kept(start, end, choice_security, is_harvested) < 0:
            is_spared[choice_security[start]] = True
    for lot in range(first_lot, last_lot):
        if is_spared[lot_security[lot]]:
            is_harvested[lot_security[lot]] = False
            is_picked[lot] = False
    for c in range(first, last):
        alternate[c] = first_kept(choice_start[c], choice_start[c + 1], choice_security, is_harvested)
    for lot in range(first_lot, last_lot):
        is_harvested[lot_security[lot]] = False
    for c in range(first, last):
        for choice in range(choice_start[c], choice_start[c + 1]):
            is_spared[choice_security[choice]] = False


@compile_inner
def lower_to_steps(first: int, last: int, units: Any, held: int, step: int) -> None:
    """Lower what is sold outright of a holding's lots ``first`` to ``last``, the first of them first, until it is whole steps; all that is held goes as it is. Millionths."""
    total = 0
    for lot in range(first, last):
        total += units[lot]
    excess = total % step if total != held else 0
    for lot in range(first, last):
        kept = min(excess, units[lot])
        units[lot] -= kept
        excess -= kept


@njit(cache=True, nogil=True)
def lower_all(start: Ints, units: Ints, held: Ints, step: Ints) -> None:
    """``lower_to_steps`` of every holding h, whose lots are from ``start[h]`` to ``start[h + 1]``; ``held`` and ``step`` of each lot's holding."""
    for holding in range(len(start) - 1):
        first = start[holding]
        lower_to_steps(first, start[holding + 1], units, held[first], step[first])


@njit(cache=True, nogil=True)
def worth_harvest(loss: Floats, fraction: Floats, least: Floats, least_fraction: Floats) -> Flags:
    """``is_worth_harvest`` of every lot."""
    is_worth = np.zeros(len(loss), np.bool_)
    for lot in range(len(loss)):
        is_worth[lot] = is_worth_harvest(loss[lot], fraction[lot], least[lot], least_fraction[lot])
    return is_worth


@compile_entrance
def pick_all(
    class_start: Ints,
    lot_start: Ints,
    lot_class: Ints,
    lot_security: Ints,
    choice_start: Ints,
    choice_security: Ints,
    flags: Flags,
    is_picked: Flags,
    alternate: Ints,
) -> None:
    """``pick_harvests`` of every household h, whose classes are from ``class_start[h]`` to ``class_start[h + 1]``, its lots likewise; ``flags`` (2, securities)."""
    for household in range(len(class_start) - 1):
        pick_harvests(
            *(class_start[household], class_start[household + 1], lot_start[household], lot_start[household + 1]),
            *(lot_class, lot_security, choice_start, choice_security, flags[0], flags[1], is_picked, alternate),
        )
