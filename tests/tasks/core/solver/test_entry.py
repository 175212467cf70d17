"""The exact solver against independent referees: Clarabel, HiGHS, enumeration, and the account alone."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.solver import entry as solver
from tasks.core.solver.arrays import no_limits
from tasks.core.solver.entry import rebalance
from tasks.core.solver.orders import CASH_CUSHION
from tasks.core.solver.solution import CANNOT_RAISE_CASH, STAYS, TRADED
from tests.support.books import pick, random_book, small_book, take
from tests.support.examples import at_most
from tests.support.referees import apart_optimum
from tests.support.trades import account_of_lots, one, sold_shares
from tests.support.whole_shares import enumerated_optimum, highs_bounds

SEEDS = st.integers(0, 2**32 - 1)
SIXTY = settings(max_examples=at_most(60))


@SIXTY
@given(SEEDS)
def test_optimum_equals_clarabels(seed: int) -> None:
    book = random_book(np.random.default_rng(seed), 5)
    answer = rebalance(book)
    for account in range(5):
        wanted = apart_optimum(*pick(book, no_limits(book), np.array([account])))
        if wanted is None:
            assert answer.status[account] == CANNOT_RAISE_CASH
            assert answer.shortfall[account] > 0
        else:
            assert abs(answer.lower_bound[account] - wanted) <= 1e-7 * book.nav[account]


@SIXTY
@given(SEEDS)
def test_certificate_holds_and_no_account_is_worse_off_than_doing_nothing(seed: int) -> None:
    book = random_book(np.random.default_rng(seed), 40)
    answer = rebalance(book)
    solved = answer.status != CANNOT_RAISE_CASH
    assert (answer.objective[solved] >= answer.lower_bound[solved] - 1e-9 * book.nav[solved]).all()
    idle = rebalance(book._replace(buy_cap=0 * book.buy_cost, lot_cap=0 * book.lot_cap))
    free = solved & (book.cash >= 0)
    assert (answer.objective[free] <= idle.objective[free] + 1e-9).all()


@SIXTY
@given(SEEDS)
def test_whole_units_never_overdraw_or_oversell(seed: int) -> None:
    book = random_book(np.random.default_rng(seed), 40, step=0.5)
    answer = rebalance(book)
    assert (sold_shares(answer) <= book.lot_quantity).all()
    assert (answer.sold[book.lot_cap == 0] == 0).all()
    assert (answer.bought * book.buy_step * book.buy_price <= book.buy_cap).all()
    traded = answer.status == TRADED
    assert (answer.cash[traded] >= np.minimum(np.maximum(book.cash[traded], 0), CASH_CUSHION) - 1e-9).all()


@SIXTY
@given(SEEDS)
def test_no_class_buys_and_sells(seed: int) -> None:
    book = random_book(np.random.default_rng(seed), 40)
    answer = rebalance(book)
    sold = np.add.reduceat(np.append(answer.sold != 0, False), book.lot_start[:-1]) * (np.diff(book.lot_start) > 0)
    assert not ((answer.bought > 0) & (sold > 0)).any()


@SIXTY
@given(SEEDS)
def test_an_account_alone_gets_the_same_answer_to_the_bit(seed: int) -> None:
    book = random_book(np.random.default_rng(seed), 12)
    together = rebalance(book)
    for account in range(12):
        alone = rebalance(take(book, account))
        c0, c1 = book.class_start[account : account + 2]
        assert alone.objective[0] == together.objective[account]
        assert alone.lower_bound[0] == together.lower_bound[account]
        assert (alone.bought == together.bought[c0:c1]).all()
        assert (alone.sold == together.sold[book.lot_start[c0] : book.lot_start[c1]]).all()


@SIXTY
@given(SEEDS, st.floats(50, 5_000))
def test_no_order_is_below_the_minimum_unless_cash_is_owed(seed: int, least: float) -> None:
    book = random_book(np.random.default_rng(seed), 30)
    book = book._replace(min_trade=np.full(30, least))
    answer = rebalance(book)
    values = answer.bought * book.buy_step * book.buy_price
    assert (values[values > 0] >= least * (1 - 1e-9)).all()
    account, sold = account_of_lots(book), sold_shares(answer) * book.lot_price
    orders: dict[tuple[int, int], float] = {}
    classes = np.repeat(np.arange(len(book.buy_cap)), np.diff(book.lot_start))
    for lot in np.flatnonzero(sold > 0):
        if book.cash[account[lot]] >= 0:
            key = (int(classes[lot]), int(book.lot_security[lot]))
            orders[key] = orders.get(key, 0.0) + sold[lot]
    assert all(value >= least * (1 - 1e-9) for value in orders.values())


def test_whole_shares_lie_between_the_bound_and_the_best_that_enumeration_finds() -> None:
    rng = np.random.default_rng(11)
    excess = []
    for _ in range(150):
        book = small_book(rng)
        answer, best = rebalance(book), enumerated_optimum(book)
        assert answer.lower_bound[0] <= best + 1e-9 * book.nav[0]
        assert answer.objective[0] >= best - 1e-9 * book.nav[0]
        excess.append(1e4 * (answer.objective[0] - best) / book.nav[0])
    assert np.mean(np.array(excess) < 1e-6) > 0.7, "most accounts of fifty shares get the very best whole-share trades"


def test_whole_shares_against_highs() -> None:
    rng = np.random.default_rng(12)
    for _ in range(12):
        book = small_book(rng)
        low, high = highs_bounds(book)
        answer = rebalance(book)
        assert answer.lower_bound[0] <= high + 1e-6 * book.nav[0]
        assert answer.objective[0] >= low - 1e-6 * book.nav[0]


def test_overweight_class_pays_for_the_underweight_one() -> None:
    book = one(
        class_value=[60_000, 40_000],
        class_target=[50_000, 50_000],
        lot_start=[0, 1, 2],
        lot_quantity=[60_000, 40_000],
    )
    answer = rebalance(book)
    assert answer.status[0] == TRADED
    assert sold_shares(answer).tolist() == [10_000, 0]
    assert answer.bought.tolist() == [0, 10_000]


def test_the_dearest_basis_goes_first_and_the_marginal_lot_only_in_part() -> None:
    book = one(
        class_value=[100_000, 0],
        class_target=[70_000, 30_000],
        lot_start=[0, 2, 2],
        lot_quantity=[20_000, 80_000],
        lot_cost=[0.0, 0.001],
    )
    answer = rebalance(book)
    sold = sold_shares(answer)
    assert sold[0] == 20_000
    assert 0 < sold[1] < 10_000


def test_a_lot_sold_whole_stays_whole_though_it_is_no_multiple_of_the_step() -> None:
    book = one(
        class_value=[10.5, 99_989.5],
        class_target=[0, 99_989.5],
        lot_start=[0, 1, 1],
        lot_quantity=[10.5],
        cash_target=[10.5],
    )
    assert sold_shares(rebalance(book)).tolist() == [10.5]


def test_tax_beyond_the_benefit_stops_the_sale() -> None:
    book = one(
        class_value=[52_000, 48_000],
        class_target=[50_000, 50_000],
        lot_start=[0, 1, 1],
        lot_quantity=[52_000],
        lot_cost=[0.2],
    )
    answer = rebalance(book)
    assert answer.status[0] == STAYS
    assert not answer.sold.any()
    assert answer.objective[0] == pytest.approx(2 / 200_000 * (2_000**2 + 2_000**2))


def test_cash_owed_is_raised_from_the_cheapest_lot_whatever_the_drift() -> None:
    book = one(
        class_value=[50_000, 50_000],
        class_target=[50_000, 49_000],
        cash=[-1_000],
        nav=[99_000],
        lot_start=[0, 1, 2],
        lot_quantity=[50_000, 50_000],
        lot_cost=[0.3, 0.0],
    )
    answer = rebalance(book)
    assert answer.sold[0] == 0
    assert sold_shares(answer)[1] >= 1_000
    assert answer.cash[0] >= 0


def test_cash_owed_beyond_what_may_be_sold_is_a_shortfall_and_nothing_is_traded() -> None:
    book = one(
        class_value=[50_000],
        class_target=[50_000],
        cash=[-2_000],
        lot_start=[0, 1],
        lot_quantity=[50_000],
        lot_cap=[500],
    )
    answer = rebalance(book)
    assert answer.status[0] == CANNOT_RAISE_CASH
    assert answer.shortfall[0] == pytest.approx(1_500)
    assert not answer.sold.any()


def test_cash_owed_below_the_minimum_trade_is_raised_by_an_order_of_the_minimum() -> None:
    book = one(
        class_value=[50_000],
        class_target=[50_000],
        cash=[-40],
        min_trade=[100],
        lot_start=[0, 1],
        lot_quantity=[50_000],
    )
    assert sold_shares(rebalance(book)).tolist() == [100]


def test_spread_is_paid_from_cash_and_never_overdraws() -> None:
    book = one(class_value=[0], class_target=[100_000], cash=[100_000], buy_cost=[0.001])
    answer = rebalance(book)
    assert answer.bought[0] == 99_900
    assert answer.cash[0] == pytest.approx(0.1)


def test_half_spreads_are_paid_from_cash_that_is_unwanted() -> None:
    book = one(
        class_value=[90_000, 0],
        class_target=[20_000, 80_000],
        cash=[10_000],
        buy_cap=[0, 0],
        lot_start=[0, 1, 1],
        lot_quantity=[90_000],
        lot_spread=[0.002],
        lot_cost=[0.002],
    )
    answer = rebalance(book)
    assert answer.shadow_price[0] < 0
    assert answer.lower_bound[0] <= answer.objective[0] <= answer.lower_bound[0] + 1e-8 * book.nav[0]


def test_the_compiled_code_is_kept_under_the_text_of_every_module_it_is_made_of() -> None:
    folder = Path(solver.__file__).parent
    compiled = {path.stem for path in folder.glob("*.py") if "\n@compiled\n" in path.read_text(encoding="utf-8")}
    named = {module.__name__.rpartition(".")[2] for module in solver._COMPILED}
    assert compiled - named == set()


def test_whole_numbers_are_taken_for_fractions_and_nothing_is_compiled_for_them() -> None:
    book = one(class_value=[100_000, 0], class_target=[50_000, 50_000], lot_start=[0, 1, 1], lot_quantity=[100_000])
    wanted = rebalance(book)
    answer = rebalance(book._replace(nav=np.array([100_000]), class_target=np.array([50_000, 50_000])))
    assert answer.sold.tolist() == wanted.sold.tolist()
    assert len(cast("Any", solver._rebalance_range).signatures) == 1
