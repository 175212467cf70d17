"""Households managed together: against Clarabel, in whole units, each account's cash its own, alone and among others."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from tasks.core.solver.arrays import NO_ORDER_LIMIT, Book, Ints, Limits, no_limits
from tasks.core.solver.entry import rebalance
from tasks.core.solver.orders import CASH_CUSHION
from tasks.core.solver.solution import CANNOT_RAISE_CASH, STAYS, TRADED, Answer
from tests.support.books import pick, random_book, random_households, random_limits
from tests.support.referees import can_raise, clarabel_optimum
from tests.support.trades import (
    account_of_classes,
    bought_usd,
    cash_after,
    class_trades,
    nothing_of,
    objectives,
    of_accounts,
    one,
    order_counts,
    sold_shares,
    sold_usd,
)

REFEREED = 600
BOOKS = pytest.mark.parametrize("seed", [1, 2, 3])
"""Of many households each: what these rules are about happens in one household of some hundreds."""
MANY = 600


def limited_households(seed: int, households: int) -> tuple[Book, Limits, Ints]:
    """Households with every rule in some mix."""
    rng = np.random.default_rng(seed)
    book, limits, starts = random_households(rng, households, step=float(rng.choice([1, 0.5])))
    members = np.diff(starts)
    slack = np.repeat(rng.choice([0, 0, 1e-4, 1e-3], households), members)
    least = np.repeat(rng.choice([0, 0, 0.002], households), members)[account_of_classes(book)]
    book = book._replace(min_trade=rng.choice([0.0, 0, 100, 1000], len(book.nav)))
    return (
        book,
        limits._replace(
            class_min=least * book.nav[account_of_classes(book)],
            max_orders=rng.choice([1, 2, 5, NO_ORDER_LIMIT, NO_ORDER_LIMIT], len(book.nav)),
            slack=slack * book.nav,
        ),
        starts,
    )


@cache
def solved(seed: int) -> tuple[Book, Limits, Ints, Answer]:
    """Many households and their answer."""
    book, limits, starts = limited_households(seed, MANY)
    return book, limits, starts, rebalance(book, limits, starts)


@cache
def refereed() -> tuple[Book, Limits, Ints, Answer]:
    """Households of 2 to 10 accounts with location, netting, budgets and turnover limits, and their answer."""
    book, limits, starts = random_households(np.random.default_rng(3), REFEREED)
    return book, limits, starts, rebalance(book, limits, starts)


@cache
def wanted() -> np.ndarray:
    """Clarabel's optima; accounts that cannot raise the cash they owe stay out, in debt."""
    book, limits, starts, answer = refereed()
    out = answer.status == CANNOT_RAISE_CASH
    groups = [np.arange(*edge) for edge in pairwise(starts)]
    found = [clarabel_optimum(*pick(book, limits, group), out[group]) for group in groups]
    return np.array([np.nan if value is None else value for value in found])


def test_lower_bound_is_never_above_clarabels_optimum_and_meets_it_where_sides_do_not_matter() -> None:
    book, _, starts, answer = refereed()
    off = (wanted() - answer.lower_bound[starts[:-1]]) / book.nav[starts[:-1]]
    assert (off >= -1e-9).all()
    assert np.percentile(off, 90) <= 1e-7


def test_an_account_that_cannot_raise_its_cash_stays_out_and_the_others_trade() -> None:
    book, limits, starts, answer = refereed()
    is_out = answer.status == CANNOT_RAISE_CASH
    number = np.repeat(np.arange(REFEREED), np.diff(starts))
    some = np.bincount(number, is_out) > 0
    assert (some & (np.bincount(number, answer.status == TRADED) > 0)).sum() > 20
    assert (answer.shortfall[is_out] > 0).all()
    could = np.array([can_raise(*pick(book, limits, np.array([i]))) for i in range(len(book.nav))])
    assert is_out[~could].all()
    assert (is_out & could).sum() < 5, "in fractions of a unit, or had the others left it room for losses"
    assert (of_accounts(book, lots=sold_usd(book, answer), classes=bought_usd(book, answer))[is_out] == 0).all()
    assert answer.objective - objectives(book, limits, answer, starts)[number] == pytest.approx(0, abs=1e-3)


@BOOKS
def test_value_never_moves_between_accounts(seed: int) -> None:
    book, _, _, answer = solved(seed)
    assert answer.cash == pytest.approx(cash_after(book, answer), abs=1e-6)
    least = np.minimum(np.maximum(book.cash, 0), CASH_CUSHION)
    assert (answer.cash >= least - 1e-9)[answer.status != CANNOT_RAISE_CASH].all()
    sold, bought = class_trades(book, answer)
    assert (np.minimum(sold, bought) == 0).all(), "no class of an account buys and sells"


@BOOKS
def test_no_limit_of_an_account_is_ever_exceeded(seed: int) -> None:
    book, limits, _, answer = solved(seed)
    sold, bought = sold_usd(book, answer), bought_usd(book, answer)
    assert (of_accounts(book, lots=sold * limits.lot_gain) <= limits.gain + 1e-8 * book.nav).all()
    assert (of_accounts(book, lots=sold, classes=bought) <= limits.turnover + 1e-8 * book.nav).all()
    assert (order_counts(book, answer) <= limits.max_orders).all()


@BOOKS
def test_objective_of_a_household_lies_between_the_bound_and_doing_nothing(seed: int) -> None:
    book, limits, starts, answer = solved(seed)
    nav, first = book.nav[starts[:-1]], starts[:-1]
    assert (np.abs(answer.objective[first] - objectives(book, limits, answer, starts)) <= 1e-12 * nav).all()
    assert (answer.objective >= answer.lower_bound - 1e-9 * book.nav).all()
    idle = objectives(book, limits, nothing_of(answer), starts)
    owes = np.minimum.reduceat(book.cash, first) < 0
    assert (answer.objective[first] <= idle + 1e-9 * nav)[~owes].all()


@BOOKS
def test_fewer_orders_of_a_household_cost_no_more_than_policy_gives_up(seed: int) -> None:
    book, limits, starts, fewer = solved(seed)
    most = rebalance(book, limits._replace(slack=0 * limits.slack), starts)
    assert (fewer.objective <= most.objective + limits.slack + 1e-9 * book.nav).all()
    orders = order_counts(book, fewer) - order_counts(book, most)
    assert (np.add.reduceat(orders, starts[:-1]) <= 0).all()


def test_a_household_gets_the_same_bits_alone_and_among_many() -> None:
    book, limits, starts = limited_households(8, 400)
    together = rebalance(book, limits, starts)
    for number in range(0, 400, 10):
        group = np.arange(starts[number], starts[number + 1])
        alone = rebalance(*pick(book, limits, group), np.array([0, len(group)]))
        classes = slice(book.class_start[group[0]], book.class_start[group[-1] + 1])
        lots = slice(book.lot_start[classes.start], book.lot_start[classes.stop])
        for name, rows in together._asdict().items():
            here = (
                lots
                if name in {"sold", "counted", "lot_dropped"}
                else classes
                if name in {"bought", "buy_dropped"}
                else group
            )
            assert getattr(alone, name).tobytes() == rows[here].tobytes(), name


def test_a_household_of_one_is_the_account_alone() -> None:
    rng = np.random.default_rng(4)
    book, limits = random_limits(rng, random_book(rng, 500))
    apart, together = rebalance(book, limits), rebalance(book, limits, np.arange(501))
    for name, rows in apart._asdict().items():
        assert rows.tobytes() == getattr(together, name).tobytes(), name


def two_accounts(first: dict[str, object], second: dict[str, object]) -> Book:
    """A household of two accounts of two classes, 100,000 in all, half wanted in each."""
    parts = [one(class_target=[50_000, 50_000], **part) for part in (first, second)]
    rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Book._fields}
    for name in ("class_start", "lot_start"):
        ends = [getattr(part, name) for part in parts]
        rows[name] = np.concatenate([ends[0], ends[0][-1] + ends[1][1:]])
    return Book(**rows)


def test_what_one_account_has_too_much_of_another_may_hold() -> None:
    book = two_accounts(
        {"class_value": [50_000, 0], "lot_start": [0, 1, 1], "lot_quantity": [50_000]},
        {"class_value": [0, 50_000], "lot_start": [0, 0, 1], "lot_quantity": [50_000]},
    )
    answer = rebalance(book, no_limits(book), np.array([0, 2]))
    assert answer.status.tolist() == [STAYS, STAYS]
    assert (rebalance(book).status == TRADED).all(), "alone, each would trade towards the household's destination"


def test_a_household_sells_where_it_costs_no_tax() -> None:
    lots = {"class_value": [40_000, 10_000], "lot_start": [0, 1, 2], "lot_quantity": [40_000, 10_000]}
    book = two_accounts({**lots, "lot_cost": [0.1, 0.1]}, {**lots, "lot_cost": [0.0, 0.0]})
    answer = rebalance(book, no_limits(book), np.array([0, 2]))
    assert sold_shares(answer).tolist() == [0, 0, 30_000, 0]
    assert answer.bought.tolist() == [0, 0, 0, pytest.approx(30_000, abs=1)]


def test_a_household_buys_where_holding_the_class_costs_least() -> None:
    book = two_accounts(
        {"class_value": [25_000, 0], "cash": [25_000], "lot_start": [0, 1, 1], "lot_quantity": [25_000]},
        {"class_value": [25_000, 0], "cash": [25_000], "lot_start": [0, 1, 1], "lot_quantity": [25_000]},
    )
    book = book._replace(buy_cost=np.array([0.0, 0.002, 0.0, 0.0]), cash_target=np.full(2, 10_000.0))
    answer = rebalance(book, no_limits(book), np.array([0, 2]))
    assert answer.bought[1] == 0
    assert answer.bought[3] > 25_000, "more than the account's cash: what it sells for that, the other buys"
    assert answer.bought[0] > 0


def test_an_account_that_cannot_be_rounded_does_not_keep_its_household_from_trading() -> None:
    """The second account owes 50; a part of one of its units would raise it, but a unit is more than it may turn over."""
    book = two_accounts(
        {"class_value": [60_000, 0], "cash": [20_000], "lot_start": [0, 1, 1], "lot_quantity": [60_000]},
        {"class_value": [0, 20_000], "cash": [-50], "lot_start": [0, 0, 1], "lot_quantity": [20], "lot_price": [1_000]},
    )
    limits = no_limits(book)._replace(turnover=np.array([np.inf, 100.0]))
    answer = rebalance(book, limits, np.array([0, 2]))
    assert answer.status.tolist() == [TRADED, CANNOT_RAISE_CASH]
    assert answer.shortfall[0] == 0
    assert answer.shortfall[1] > 0
    assert answer.objective[0] >= answer.lower_bound[0] - 1e-9 * book.nav[0]
    assert answer.bought[1] == pytest.approx(30_000, rel=1e-3), "half of the household's 100,000 is wanted in each"


@BOOKS
def test_a_household_trades_nothing_only_where_its_bound_says_that_little_is_to_be_gained(seed: int) -> None:
    book, limits, starts = random_households(np.random.default_rng(seed), MANY)
    answer = rebalance(book, limits, starts)
    number, first = np.repeat(np.arange(MANY), np.diff(starts)), starts[:-1]
    stays = np.bincount(number, answer.status == TRADED) == 0
    off = (answer.objective - answer.lower_bound)[first] / book.nav[first]
    assert (off[stays] < 1e-3).all()
