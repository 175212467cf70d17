"""What an account of the lab holds where it stands, in dollars; compiled."""

import numpy as np

from tasks.core.lab.standing import PRICE_SCALE, Course, Standing
from tasks.core.solver import MILLIONTHS, compile_inner


@compile_inner
def price_at(course: Course, path: int, at: int, s: int) -> float:
    """Usd of a unit of a path's security, of whole millionths."""
    holders = len(course.class_of)
    k = path % holders
    own = course.level[path // holders, at, course.class_of[k, s]] * course.base[k, s]
    return float(np.rint(own * PRICE_SCALE) / PRICE_SCALE)


@compile_inner
def value_of(course: Course, state: Standing, a: int, path: int, s: int) -> float:
    """What an account holds of a security where it stands, usd."""
    value: float = 0.0
    if state.units[a, s] > 0:
        value = state.units[a, s] / MILLIONTHS * price_at(course, path, state.at[a], s)
    return value


@compile_inner
def nav_of(course: Course, state: Standing, a: int, path: int) -> float:
    """Cash and what is held, usd."""
    nav: float = state.cash[a]
    for s in range(state.units.shape[1]):
        nav += value_of(course, state, a, path, s)
    return nav


@compile_inner
def class_value(course: Course, state: Standing, a: int, path: int, c: int) -> float:
    """What an account holds of a class where it stands, usd."""
    held, k = 0.0, path % len(course.class_of)
    for s in range(state.units.shape[1]):
        if course.class_of[k, s] == c:
            held += value_of(course, state, a, path, s)
    return held
