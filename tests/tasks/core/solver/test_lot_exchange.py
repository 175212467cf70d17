"""Which lots of a holding are sold: by hand, and no exchange of one for another saves anything."""

from itertools import permutations

import numpy as np
import pytest

from tasks.core.solver.arrays import MILLIONTHS, Book, Floats, Limits, no_limits
from tasks.core.solver.entry import rebalance
from tasks.core.solver.solution import TRADED, Answer
from tests.support.books import pick, random_book, random_limits
from tests.support.trades import class_of_lots, objectives, one, sold_shares, sold_usd

ACCOUNTS = 1_500


def two_lots() -> Book:
    """A class 12,000 USD above its target, which is one holding of a short-term and a long-term lot."""
    return one(
        class_value=[30_000.0],
        class_target=[18_000.0],
        cash_target=[12_000.0],
        nav=[30_000.0],
        tracking_penalty=[1e4],
        lot_start=[0, 2],
        lot_quantity=[10_000.0, 20_000.0],
        lot_cap=[10_000.0, 20_000.0],
        lot_security=[0, 0],
    )


def test_a_short_term_loss_is_used_up_by_a_short_term_lot_and_the_rest_is_sold_long() -> None:
    book = two_lots()
    limits = no_limits(book)._replace(
        short_before=np.array([-1_000.0]),
        long_before=np.array([50_000.0]),
        short_rate=np.array([0.4]),
        long_rate=np.array([0.2]),
        lot_gain=np.array([0.5, 0.6]),
        lot_is_short=np.array([True, False]),
    )
    answer = rebalance(book, limits)
    assert sold_shares(answer) == pytest.approx([2_000, 10_000], abs=2), (
        "10 cents a dollar, 12 cents, and 20 beyond the loss"
    )
    assert answer.objective[0] - answer.lower_bound[0] <= 0.02


def realistic(seed: int) -> tuple[Book, Limits]:
    """Accounts whose lots of one holding cost the same to sell and differ in gain and term; no wash sales."""
    rng = np.random.default_rng(seed)
    book, limits = random_limits(rng, random_book(rng, ACCOUNTS), taxed=1.0)
    same = {name: getattr(book, name).copy() for name in ("lot_spread", "lot_cost")}
    code = class_of_lots(book) * 1_000_000 + book.lot_security
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    for column in same.values():
        column[:] = book.lot_spread[first][which]
    none = np.zeros(len(book.lot_cap))
    return book._replace(**same), limits._replace(lot_inside=none, lot_outside=none)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_exchange_of_two_lots_of_a_holding_is_better(seed: int) -> None:
    book, limits = realistic(seed)
    answer = rebalance(book, limits)
    tried = 0
    for account in np.flatnonzero(answer.status == TRADED):
        own, terms = pick(book, limits, np.array([account]))
        found = rebalance(own, terms)
        best = objectives(own, terms, found)[0]
        for two in permutations(range(len(own.lot_cap)), 2):
            for part in (1.0, 0.5, 0.01):
                other = exchanged(own, terms, found, two, part)
                if other is not None:
                    tried += 1
                    assert objectives(own, terms, other)[0] >= best - 2e-9 * own.nav[0] - 1e-6, (account, two, part)
    assert tried > 1_000


def exchanged(book: Book, limits: Limits, answer: Answer, two: tuple[int, int], part: float) -> Answer | None:
    """The answer with ``part`` of what the one lot could take over of the other's sale, in whole steps; None where a rule forbids it."""
    less, more = two
    of_class = class_of_lots(book)
    if of_class[less] != of_class[more] or book.lot_security[less] != book.lot_security[more]:
        return None
    room = np.round(book.lot_cap[more] / book.lot_price[more] * MILLIONTHS) - answer.sold[more]
    units = part * min(answer.sold[less], room)
    step = np.round(book.lot_step[less] * MILLIONTHS)
    units = units if part == 1 else np.floor(units / step) * step
    if units <= 0:
        return None
    sold = answer.sold.copy()
    sold[less] -= int(units)
    sold[more] += int(units)
    changed = answer._replace(sold=sold, counted=limits.lot_gain * sold / MILLIONTHS * book.lot_price)
    return changed if is_within(book, limits, changed) else None


def is_within(book: Book, limits: Limits, answer: Answer) -> bool:
    """Whether the gain budget and the room for losses of each class hold."""
    usd = sold_usd(book, answer)
    losses: Floats = np.bincount(class_of_lots(book), usd * (limits.lot_gain < 0), len(book.buy_cap))
    return bool(answer.counted.sum() <= limits.gain[0] and (losses <= limits.loss_room).all())
