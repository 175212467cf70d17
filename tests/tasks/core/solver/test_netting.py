"""Tax on net gains: against every whole-share trade of small accounts, against HiGHS, and known answers."""

import numpy as np
import pytest

from tasks.core.solver.arrays import Book, Limits, no_limits
from tasks.core.solver.entry import rebalance
from tasks.core.solver.solution import STAYS
from tests.support.books import random_limits, small_book
from tests.support.referees import tax
from tests.support.trades import one, sold_usd, tax_added
from tests.support.whole_shares import enumerated_optimum, highs_bounds


def small_netting(rng: np.random.Generator) -> tuple[Book, Limits]:
    """An account of some fifty shares with gains of either sign and term behind it, and no other limit."""
    book, limits = random_limits(rng, small_book(rng), taxed=1.0)
    return book, limits._replace(turnover=np.full(1, np.inf), gain=np.full(1, np.inf))


def test_whole_shares_lie_between_the_bound_and_the_best_that_enumeration_finds() -> None:
    rng, excess = np.random.default_rng(21), []
    for _ in range(400):
        book, limits = small_netting(rng)
        answer, best = rebalance(book, limits), enumerated_optimum(book, limits)
        assert answer.lower_bound[0] <= best + 1e-9 * book.nav[0]
        assert answer.objective[0] >= best - 1e-9 * book.nav[0]
        excess.append(1e4 * (answer.objective[0] - best) / book.nav[0])
    assert np.mean(np.array(excess) < 1e-6) > 0.7, "most accounts of fifty shares get the very best whole-share trades"
    assert np.mean(excess) < 6, "bp of NAV; a share is some 200"


def test_whole_shares_within_budgets_and_limits_lie_between_the_same() -> None:
    rng = np.random.default_rng(22)
    for _ in range(200):
        book, limits = random_limits(rng, small_book(rng))
        answer, best = rebalance(book, limits), enumerated_optimum(book, limits)
        assert answer.lower_bound[0] <= best + 1e-9 * book.nav[0]
        assert answer.objective[0] >= best - 1e-9 * book.nav[0]


def test_whole_shares_against_highs() -> None:
    rng = np.random.default_rng(23)
    for _ in range(6):
        book, limits = small_netting(rng)
        low, high = highs_bounds(book, limits)
        best = enumerated_optimum(book, limits)
        assert low - 1e-6 * book.nav[0] <= best <= high + 1e-6 * book.nav[0], "the two referees agree"
        answer = rebalance(book, limits)
        assert answer.lower_bound[0] <= high + 1e-6 * book.nav[0]
        assert answer.objective[0] >= low - 1e-6 * book.nav[0]


def test_the_part_of_the_plane_does_not_matter_where_two_meet() -> None:
    assert tax(0, 100, 0.4, 0.2) == tax(-0.0, 100, 0.4, 0.2) == pytest.approx(20)
    assert tax(100, -100, 0.4, 0.2) == tax(-100, 100, 0.4, 0.2) == 0
    assert tax(100, -40, 0.4, 0.2) == pytest.approx(24)
    assert tax(-40, 100, 0.4, 0.2) == pytest.approx(12)


def overweight(gain: float, *, short_before: float = 0.0, long_before: float = 0.0) -> tuple[Book, Limits]:
    """50,000 too much of a class, every dollar of it with ``gain`` of long-term gain, taxed at 20 % (short-term 40 %)."""
    book = one(
        class_value=[100_000, 0],
        class_target=[50_000, 50_000],
        lot_start=[0, 1, 1],
        lot_quantity=[100_000],
    )
    return book, no_limits(book)._replace(
        short_before=np.array([short_before]),
        long_before=np.array([long_before]),
        short_rate=np.array([0.4]),
        long_rate=np.array([0.2]),
        lot_gain=np.array([gain]),
    )


@pytest.mark.parametrize(
    ("short_before", "long_before", "sold", "rate"),
    [
        (0, 0, 47_500, 0.2),  # 2 / 100,000 * 2 * 2,500 of deviation is worth a tax of 20 % on half
        (-30_000, 0, 50_000, 0.0),  # a net short-term loss is not used up: sold as if there were no tax
        (-24_500, 0, 49_000, None),  # used up on the way: the sale stops there
        (-10_000, 0, 47_500, 0.2),  # used up early: what follows is taxed
        (0, -30_000, 50_000, 0.0),
        (-10_000, 10_000, 47_500, 0.2),
        (20_000, -30_000, 45_000, 0.4),  # the loss already shelters short-term gains: each dollar gives that up
    ],
)
def test_a_long_gain_costs_what_it_adds_to_the_years_tax(
    short_before: float, long_before: float, sold: float, rate: float | None
) -> None:
    book, limits = overweight(0.5, short_before=short_before, long_before=long_before)
    answer = rebalance(book, limits)
    assert sold_usd(book, answer)[0] == pytest.approx(sold, abs=2)
    if rate is None:
        assert 0 < answer.long_rate[0] < 0.2
    else:
        assert answer.long_rate[0] == pytest.approx(rate, abs=1e-6)


def test_tax_saved_by_a_loss_never_pays_for_more_than_there_is_to_save() -> None:
    book, limits = overweight(-0.5, long_before=1_000)
    book = book._replace(class_target=np.array([100_000.0, 0.0]), buy_cap=np.zeros(2))
    answer = rebalance(book, limits)
    assert tax_added(book, limits, answer)[0] >= -200 - 1e-9


def test_without_rates_gains_do_not_matter() -> None:
    book, limits = overweight(0.0, short_before=-5_000, long_before=7_000)
    limits = limits._replace(short_rate=np.zeros(1), long_rate=np.zeros(1), lot_gain=np.array([0.9]))
    assert sold_usd(book, rebalance(book, limits)).tolist() == [50_000]


def test_a_gain_that_costs_more_than_it_corrects_stays() -> None:
    book, limits = overweight(1.0, short_before=100_000)
    book = book._replace(class_target=np.array([98_000.0, 2_000.0]))
    assert rebalance(book, limits).status[0] == STAYS
