"""Every rule that couples an account's trades, in some mix: against Clarabel, in whole units, alone and among others."""

from functools import cache

import numpy as np
import pytest

from tasks.core.solver.arrays import NO_ORDER_LIMIT, Book, Limits, no_limits
from tasks.core.solver.entry import rebalance
from tasks.core.solver.orders import CASH_CUSHION
from tasks.core.solver.solution import CANNOT_RAISE_CASH, STAYS, TRADED, Answer
from tests.support.books import pick, random_book, random_limits
from tests.support.referees import apart_optimum, clarabel_optimum
from tests.support.trades import (
    account_of_classes,
    bought_usd,
    cash_after,
    class_of_lots,
    class_trades,
    nothing_of,
    objectives,
    of_accounts,
    one,
    order_counts,
    order_values,
    sold_shares,
    sold_usd,
)

REFEREED = 2_500
BOOKS = pytest.mark.parametrize("seed", [1, 2, 3])
"""Of many accounts each: what these rules are about happens in one account of some thousands."""
MANY = 8_000


def limited_book(seed: int, accounts: int) -> tuple[Book, Limits]:
    """Accounts with every rule in some mix, lots that may be sold in part, and whole units of 1, 1/2 or 1/100."""
    rng = np.random.default_rng(seed)
    book, limits = random_limits(rng, random_book(rng, accounts, step=float(rng.choice([1, 0.5, 0.01]))))
    book = book._replace(
        lot_cap=book.lot_cap * rng.choice([1, 1, 0.5, 0.37], len(book.lot_cap)),
        min_trade=rng.choice([0.0, 0, 100, 1000], accounts),
    )
    return book, limits._replace(
        class_min=rng.choice([0, 0, 0.002, 0.02], len(book.buy_cap)) * book.nav[account_of_classes(book)],
        max_orders=rng.choice([1, 2, 3, 5, NO_ORDER_LIMIT], accounts),
        slack=rng.choice([0, 0, 1e-4, 1e-3], accounts) * book.nav,
    )


@cache
def solved(seed: int) -> tuple[Book, Limits, Answer]:
    """Many accounts and their answer."""
    book, limits = limited_book(seed, MANY)
    return book, limits, rebalance(book, limits)


@cache
def refereed() -> tuple[Book, Limits, Answer, np.ndarray]:
    """Accounts with netting, budgets, turnover limits and prices of location; their answer and Clarabel's optima (NaN: none)."""
    rng = np.random.default_rng(5)
    book, limits = random_limits(rng, random_book(rng, REFEREED))
    optima = [apart_optimum(*pick(book, limits, np.array([account]))) for account in range(REFEREED)]
    return book, limits, rebalance(book, limits), np.array([np.nan if found is None else found for found in optima])


def test_optimum_under_every_rule_equals_clarabels() -> None:
    book, _, answer, wanted = refereed()
    is_feasible = ~np.isnan(wanted)
    assert is_feasible.sum() > 0.9 * REFEREED
    off = (wanted - answer.lower_bound)[is_feasible] / book.nav[is_feasible]
    assert off.max() <= 1e-6


ROUND_TRIPS = 300


def round_trip_book(seed: int) -> tuple[Book, Limits]:
    """Accounts whose losses make room in a tight budget for gains: inner answers sell them and buy their class back."""
    rng = np.random.default_rng(seed)
    book, limits = random_limits(rng, random_book(rng, ROUND_TRIPS))
    return book, limits._replace(
        gain=rng.uniform(0.0, 0.01, ROUND_TRIPS) * book.nav, loss_room=np.full(len(book.buy_cap), np.inf)
    )


@BOOKS
def test_round_trips_that_make_room_for_gains_are_solved_one_way_to_the_optimum(seed: int) -> None:
    book, limits = round_trip_book(seed)
    answer = rebalance(book, limits)
    every = [pick(book, limits, np.array([account])) for account in range(ROUND_TRIPS)]
    wanted = np.array([np.nan if (found := apart_optimum(*each)) is None else found for each in every])
    free = np.array([np.nan if (found := clarabel_optimum(*each)) is None else found for each in every])
    is_solved = ~np.isnan(wanted)
    assert ((wanted - free)[is_solved] > 1e-6 * book.nav[is_solved]).sum() > 5, "there are such accounts"
    off = (wanted - answer.lower_bound)[is_solved] / book.nav[is_solved]
    assert off.min() >= -1e-9
    assert off.max() <= 1e-6


def test_cash_that_clarabel_cannot_raise_within_the_limits_is_a_shortfall() -> None:
    _, _, answer, wanted = refereed()
    assert np.isnan(wanted).sum() > 50
    assert (answer.status[np.isnan(wanted)] == CANNOT_RAISE_CASH).all()
    assert (answer.shortfall[np.isnan(wanted)] > 0).all()


def test_lower_bound_is_never_above_clarabels_optimum() -> None:
    book, _, answer, wanted = refereed()
    is_feasible = ~np.isnan(wanted)
    assert (answer.lower_bound <= wanted + 1e-9 * book.nav)[is_feasible].all()


@BOOKS
def test_no_limit_is_ever_exceeded(seed: int) -> None:
    book, limits, answer = solved(seed)
    sold, bought = sold_usd(book, answer), bought_usd(book, answer)
    assert (of_accounts(book, lots=sold * limits.lot_gain) <= limits.gain + 1e-8 * book.nav).all()
    lost = np.bincount(class_of_lots(book), sold * (limits.lot_gain < 0), len(book.buy_cap))
    assert (lost <= limits.loss_room + 1e-2).all()
    assert (of_accounts(book, lots=sold, classes=bought) <= limits.turnover + 1e-8 * book.nav).all()
    assert (order_counts(book, answer) <= limits.max_orders).all()


@BOOKS
def test_nothing_is_sold_or_bought_past_its_bound(seed: int) -> None:
    book, _, answer = solved(seed)
    assert (sold_usd(book, answer) <= book.lot_cap + 1e-6 * book.lot_price).all()
    assert (sold_shares(answer) <= book.lot_quantity).all()
    assert (bought_usd(book, answer) <= book.buy_cap * (1 + 1e-9)).all()
    sold, bought = class_trades(book, answer)
    assert (np.minimum(sold, bought) == 0).all(), "no class buys and sells"


@BOOKS
def test_an_order_is_whole_steps_or_closes_the_position(seed: int) -> None:
    book, _, answer = solved(seed)
    holding = class_of_lots(book) * (book.lot_security.max() + 1) + book.lot_security
    _, number = np.unique(holding, return_inverse=True)
    sold, held = np.bincount(number, answer.sold), np.bincount(number, np.round(book.lot_quantity * 1e6))
    step = np.round(np.bincount(number, book.lot_step * 1e6) / np.bincount(number))
    assert ((sold % step == 0) | (sold == held)).all()


@BOOKS
def test_answer_says_what_its_trades_come_to(seed: int) -> None:
    book, limits, answer = solved(seed)
    assert answer.cash == pytest.approx(cash_after(book, answer), abs=1e-6)
    assert (np.abs(answer.objective - objectives(book, limits, answer)) <= 1e-12 * book.nav).all()
    least = np.minimum(np.maximum(book.cash, 0), CASH_CUSHION)
    assert (answer.cash >= least - 1e-9)[answer.status == TRADED].all()


@BOOKS
def test_objective_lies_between_the_bound_and_doing_nothing(seed: int) -> None:
    book, limits, answer = solved(seed)
    is_solved, tiny = answer.status != CANNOT_RAISE_CASH, 1e-9 * book.nav
    assert (answer.objective >= answer.lower_bound - tiny)[is_solved].all()
    idle = objectives(book, limits, nothing_of(answer))
    assert (answer.objective <= idle + tiny)[is_solved & (book.cash >= 0)].all()


@BOOKS
def test_prices_are_those_of_the_optimum_without_the_orders_left_out(seed: int) -> None:
    book, limits, answer = solved(seed)
    no_buys, no_sales = (answer.buy_dropped != 0) & (answer.bought == 0), (answer.lot_dropped != 0) & (answer.sold == 0)
    book = book._replace(
        buy_cap=np.where(no_buys, 0.0, book.buy_cap),
        lot_cap=np.where(no_sales, 0.0, book.lot_cap),
        min_trade=np.zeros(len(book.nav)),
    )
    limits = limits._replace(
        class_min=np.zeros(len(book.buy_cap)),
        max_orders=np.full(len(book.nav), NO_ORDER_LIMIT),
        slack=np.zeros(len(book.nav)),
        useful=np.zeros(len(book.nav)),
    )
    again = rebalance(book, limits)
    is_traded = (answer.status == TRADED) & (again.status != CANNOT_RAISE_CASH)
    assert (is_traded & (np.bincount(account_of_classes(book), answer.buy_dropped) > 0)).sum() > 100
    for price in ("shadow_price", "short_rate", "long_rate", "gain_price", "turnover_price"):
        found, wanted = getattr(answer, price)[is_traded], getattr(again, price)[is_traded]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5, err_msg=price)


def test_an_account_that_cannot_raise_its_cash_has_no_prices() -> None:
    _, _, answer = solved(1)
    is_stuck = answer.status == CANNOT_RAISE_CASH
    assert is_stuck.sum() > 20
    for price in ("shadow_price", "short_rate", "long_rate", "gain_price", "turnover_price"):
        assert (getattr(answer, price)[is_stuck] == 0).all(), price


@BOOKS
def test_a_class_trades_nothing_or_what_improves_enough_and_no_order_is_small_unless_cash_is_owed(seed: int) -> None:
    book, limits, answer = solved(seed)
    sold, bought = class_trades(book, answer)
    is_open = (sold + bought > 0) & (book.cash[account_of_classes(book)] >= 0)
    assert (sold + bought >= limits.class_min * (1 - 1e-9))[is_open].all()
    orders = order_values(book, answer).items()
    assert all(value >= book.min_trade[key[0]] * (1 - 1e-9) for key, value in orders if book.cash[key[0]] >= 0)


@BOOKS
def test_fewer_orders_cost_no_more_than_policy_gives_up(seed: int) -> None:
    book, limits, fewer = solved(seed)
    most = rebalance(book, limits._replace(slack=0 * limits.slack))
    assert ((fewer.status == CANNOT_RAISE_CASH) == (most.status == CANNOT_RAISE_CASH)).all()
    assert (fewer.objective <= most.objective + limits.slack + 1e-9 * book.nav).all()
    assert (order_counts(book, fewer) <= order_counts(book, most)).all()


def test_an_account_with_limits_gets_the_same_bits_alone_and_among_thousands() -> None:
    book, limits = limited_book(8, 3_000)
    together = rebalance(book, limits)
    for account in range(0, 3_000, 50):
        alone = rebalance(*pick(book, limits, np.array([account])))
        classes = slice(*book.class_start[account : account + 2])
        lots = slice(book.lot_start[classes.start], book.lot_start[classes.stop])
        for name, rows in together._asdict().items():
            here = (
                lots
                if name in {"sold", "counted", "lot_dropped"}
                else classes
                if name in {"bought", "buy_dropped"}
                else account
            )
            assert getattr(alone, name).tobytes() == rows[here].tobytes(), name


def test_accounts_in_another_order_get_the_same_bits() -> None:
    book, limits = limited_book(9, 2_000)
    order = np.random.default_rng(9).permutation(2_000)
    before, after = rebalance(book, limits), rebalance(*pick(book, limits, order))
    for name in (
        "objective",
        "lower_bound",
        "tax",
        "cash",
        "shadow_price",
        "gain_price",
        "turnover_price",
        "status",
    ):
        assert getattr(before, name)[order].tobytes() == getattr(after, name).tobytes(), name


def overweight() -> Book:
    """60 in one class and 40 in another, 50 wanted of each; half of the first stands at a gain."""
    return one(
        class_value=[60_000, 40_000],
        class_target=[50_000, 50_000],
        lot_start=[0, 2, 3],
        lot_quantity=[4_000, 56_000, 40_000],
    )


def test_a_gain_budget_of_nothing_sells_only_what_is_no_gain() -> None:
    book = overweight()
    limits = no_limits(book)._replace(gain=np.zeros(1), lot_gain=np.array([0.0, 0.4, 0.0]))
    answer = rebalance(book, limits)
    assert sold_shares(answer).tolist() == [4_000, 0, 0]
    assert answer.bought.tolist() == [0, 4_000]
    assert answer.gain_price[0] > 0


def test_a_turnover_limit_of_nothing_trades_nothing() -> None:
    book = overweight()
    answer = rebalance(book, no_limits(book)._replace(turnover=np.zeros(1)))
    assert answer.status[0] == STAYS
    assert not answer.sold.any()


def test_a_turnover_limit_is_shared_by_what_is_sold_and_what_is_bought() -> None:
    book = overweight()
    answer = rebalance(book, no_limits(book)._replace(turnover=np.array([6_000.0])))
    assert sold_usd(book, answer).sum() == pytest.approx(3_000, abs=1)
    assert answer.bought[1] == pytest.approx(3_000, abs=1)
    assert answer.turnover_price[0] > 0


def test_one_order_at_most_makes_one_order() -> None:
    book = one(class_value=[48_000, 42_000], class_target=[50_000, 50_000], cash=[10_000])
    assert order_counts(book, rebalance(book)).tolist() == [2]
    answer = rebalance(book, no_limits(book)._replace(max_orders=np.array([1])))
    assert answer.bought.tolist() == [0, 9_000]


def test_an_order_that_is_worth_less_than_policy_gives_up_is_left_out() -> None:
    book = one(
        class_value=[60_000, 39_900, 100],
        class_target=[50_000, 49_950, 50],
        lot_start=[0, 1, 2, 3],
        lot_quantity=[60_000, 39_900, 100],
    )
    assert order_counts(book, rebalance(book)).tolist() == [3]
    answer = rebalance(book, no_limits(book)._replace(slack=np.array([1.0])))
    assert order_counts(book, answer).tolist() == [2]


def test_a_round_trip_that_costs_nothing_is_not_made() -> None:
    book = one(
        class_value=[60_000, 40_000],
        class_target=[50_000, 50_000],
        buy_cost=[0.001, 0.001],
        lot_start=[0, 1, 2],
        lot_quantity=[60_000, 40_000],
        lot_spread=[0.001, 0.001],
        lot_cost=[-0.001, -0.001],
    )
    answer = rebalance(book, no_limits(book)._replace(turnover=np.array([50_000.0])))
    sold, bought = class_trades(book, answer)
    assert (np.minimum(sold, bought) == 0).all()


def test_a_sale_topped_up_to_the_minimum_stops_at_what_may_be_sold() -> None:
    book = one(
        nav=[1_000],
        class_value=[349.75],
        class_target=[349.75],
        cash=[-96.86],
        min_trade=[1_000],
        buy_cap=[0],
        lot_start=[0, 1],
        lot_quantity=[5],
        lot_price=[69.95],
        lot_step=[0.5],
        lot_cap=[129.4075],
    )
    assert sold_shares(rebalance(book)).tolist() == [1.5]
