"""Losses that purchases in the wash-sale window replace: share by share, and against every trade of a small account."""

from itertools import product

import numpy as np
import pytest

from tasks.core.solver.arrays import Book, Floats, Ints, Limits, no_limits
from tasks.core.solver.entry import rebalance
from tasks.core.solver.orders import CASH_CUSHION
from tasks.core.solver.solution import CANNOT_RAISE_CASH
from tasks.core.solver.wash import counted_gains
from tests.support.referees import tax
from tests.support.trades import one, sold_shares

MILLION = 10**6


def counted(sold: list[float], gain: list[float], inside: list[float], outside: float) -> list[float]:
    """Gain that counts of one holding's lots, in order of acquisition; ``gain`` in usd a share."""
    arrays = [np.round(np.array(row) * MILLION).astype(np.int64) for row in (sold, inside, [outside] * len(sold))]
    found = counted_gains(np.array([0, len(sold)]), arrays[0], np.array(gain) / MILLION, arrays[1], arrays[2])
    return list(found)


@pytest.mark.parametrize(
    ("sold", "inside", "outside", "wanted"),
    [
        ((100, 0), (0, 0), 0, (-10_000, 0)),  # nothing was bought
        ((100, 0), (0, 0), 30, (-7_000, 0)),  # others bought 30 shares: their loss is gone
        ((100, 0), (0, 0), 300, (0, 0)),
        ((100, 0), (0, 100), 0, (0, 0)),  # the other lot was bought in the window and is kept
        ((100, 100), (0, 100), 0, (-10_000, -9_000)),  # it is sold too: the loss that moved to it counts with it
        ((99, 100), (0, 100), 0, (-9_900, -9_000)),
        ((100, 50), (0, 100), 0, (-5_000, -4_500)),
        ((100, 100), (0, 100), 20, (-8_000, -9_000)),
        ((0, 100), (0, 100), 0, (0, -9_000)),  # a lot does not replace itself
    ],
)
def test_what_counts_of_a_loss(
    sold: tuple[int, int], inside: tuple[int, int], outside: int, wanted: tuple[int, int]
) -> None:
    assert counted(list(sold), [-100, -90], list(inside), outside) == pytest.approx(list(wanted))


def by_share(sold: Ints, gain: Ints, inside: Ints, outside: int) -> float:
    """The same, share by share: every share sold at a loss takes a share bought that is not of its own lot."""
    bought: list[int | None] = [None] * outside + [lot for lot, count in enumerate(inside) for _ in range(count)]
    total = float(sum(s * g for s, g in zip(sold, gain, strict=True)))
    for lot, count in enumerate(sold):
        for _ in range(count if gain[lot] < 0 else 0):
            at = next((i for i, owner in enumerate(bought) if owner != lot), None)
            if at is None:
                break
            owner = bought.pop(at)
            moved = 0.0 if owner is None else min(1.0, sold[owner] / inside[owner])
            total -= gain[lot] * (1 - moved)
    return total


def test_shares_taken_one_by_one_count_the_same() -> None:
    rng = np.random.default_rng(3)
    for _ in range(2_000):
        lots = int(rng.integers(1, 5))
        held = rng.integers(1, 8, lots)
        inside, sold = rng.integers(0, held + 1) * (rng.random(lots) < 0.5), rng.integers(0, held + 1)
        gain, outside = rng.integers(-50, 30, lots), int(rng.choice([0, 0, 2, 9]))
        found = sum(counted(sold.tolist(), gain.tolist(), inside.tolist(), outside))
        assert found == pytest.approx(by_share(sold, gain, inside, outside), abs=1e-6)


def washed_account(rng: np.random.Generator) -> tuple[Book, Limits]:
    """One account of two classes; the first has up to three lots of one security, of which some were bought in the window."""
    lots = int(rng.integers(1, 4))
    held, price = rng.integers(1, 9, lots), 100.0
    value = float(held.sum() * price)
    cash, other = float(rng.integers(0, 500)), float(rng.integers(0, 1500))
    nav = value + other + cash
    share = rng.uniform(0.1, 0.9)
    target = [share * nav, (1 - share) * nav * 0.95]
    book = one(
        nav=[nav],
        tracking_penalty=[float(rng.choice([2, 10]))],
        cash=[cash],
        cash_target=[nav - sum(target)],
        class_value=[value, other],
        class_target=target,
        buy_cost=[0.0005, 0.0005],
        buy_price=[100.0, 70.0],
        lot_start=[0, lots, lots],
        lot_quantity=held,
        lot_price=[price] * lots,
        lot_spread=[0.0005] * lots,
        lot_cost=[0.0005] * lots,
        lot_cap=held * price,
        lot_security=[0] * lots,
    )
    short = max(nav - sum(target) - cash, 0.0)
    limits = no_limits(book)._replace(
        short_before=np.array([float(rng.choice([0, 300, -100]))]),
        long_before=np.array([float(rng.choice([0, 200, -200]))]),
        short_rate=np.array([0.37]),
        long_rate=np.array([0.2]),
        lot_gain=np.round(rng.uniform(-0.9, 0.4, lots), 2),
        lot_is_short=rng.random(lots) < 0.5,
        lot_outside=np.full(lots, float(rng.choice([0, 1, 3, 20]))),
        lot_inside=(rng.integers(0, held + 1) * (rng.random(lots) < 0.5)).astype(float),
        loss_room=np.array([max(value - target[0], 0) + short, max(other - target[1], 0) + short]),
    )
    return book, limits


def value_of(book: Book, limits: Limits, sold: Ints | Floats, bought: tuple[int, int]) -> float:
    """The objective, usd, of shares sold of each lot and bought of each class; inf where a rule forbids them."""
    usd = sold * 100.0
    purchases = np.array(bought) * book.buy_price
    cash = book.cash[0] + usd.sum() * (1 - 0.0005) - purchases.sum() * 1.0005
    lost = float(usd[limits.lot_gain < 0].sum())
    if cash < CASH_CUSHION or lost > limits.loss_room[0] + 1e-3 or (sold.any() and bought[0]):
        return np.inf
    per_share = limits.lot_gain * 100
    gains = counted(sold.tolist(), per_share.tolist(), limits.lot_inside.tolist(), float(limits.lot_outside[0]))
    short = limits.short_before[0] + sum(g for g, s in zip(gains, limits.lot_is_short, strict=True) if s)
    long = limits.long_before[0] + sum(g for g, s in zip(gains, limits.lot_is_short, strict=True) if not s)
    added = tax(short, long, 0.37, 0.2) - tax(limits.short_before[0], limits.long_before[0], 0.37, 0.2)
    off = np.array([usd.sum(), 0.0])
    over = book.class_value - off + purchases - book.class_target
    squares = float(over @ over) + (cash - book.cash_target[0]) ** 2
    return 0.5 * book.tracking_penalty[0] / book.nav[0] * squares + 0.0005 * (usd.sum() + purchases.sum()) + added


def test_no_trade_of_a_small_account_is_below_its_bound_and_few_are_better_than_its_answer() -> None:
    rng = np.random.default_rng(11)
    best_found, tried = 0, 0
    for _ in range(150):
        book, limits = washed_account(rng)
        answer = rebalance(book, limits)
        assert answer.status[0] != CANNOT_RAISE_CASH
        most = [range(int(book.nav[0] / price) + 1) for price in book.buy_price]
        every = product(*(range(int(q) + 1) for q in book.lot_quantity))
        values = [
            value_of(book, limits, np.array(sold), (first, second))
            for sold in every
            for first in (most[0] if not any(sold) else (0,))
            for second in most[1]
        ]
        best = min(values)
        steps = tuple(int(x) for x in answer.bought)
        reached = value_of(book, limits, sold_shares(answer), (steps[0], steps[1]))
        assert answer.objective[0] == pytest.approx(reached, abs=1e-9 * book.nav[0])
        assert answer.lower_bound[0] <= best + 1e-9 * book.nav[0]
        tried += 1
        best_found += answer.objective[0] <= best + 1e-9 * book.nav[0]
    assert best_found >= 0.85 * tried
