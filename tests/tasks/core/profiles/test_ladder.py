"""The rung of a risk aversion, capacity for loss, and glide paths."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.profiles.capacity import safe_rung, tolerable_loss
from tasks.core.profiles.glide import annuity, glide_share, leverage, merton_share, path_rung, path_share
from tasks.core.profiles.ladder import Ladder, best_rung, rung_within


def ladder(*rungs: tuple[float, float]) -> Ladder:
    """A ladder of expected returns and volatilities, its rungs numbered 10, 20, 30."""
    mu, sigma = np.array(rungs).T
    return Ladder(tuple(f"M{n}" for n in range(len(rungs))), np.arange(1, len(rungs) + 1) * 10, mu, sigma)


LADDER = ladder((0.03, 0.02), (0.045, 0.06), (0.06, 0.11), (0.07, 0.16))


@pytest.mark.parametrize(("aversion", "place"), [(0.5, 3), (1.0, 3), (2.0, 2), (4.0, 1), (20.0, 0)])
def test_the_rung_is_that_of_the_greatest_certain_growth(aversion: float, place: int) -> None:
    worth = [mu - aversion * sigma**2 / 2 for mu, sigma in zip(LADDER.expected_return, LADDER.volatility, strict=True)]
    assert best_rung(LADDER, aversion) == place == worth.index(max(worth))


@given(st.floats(0.1, 30), st.floats(1, 3))
def test_the_more_averse_never_stand_higher(aversion: float, more: float) -> None:
    assert best_rung(LADDER, aversion * more) <= best_rung(LADDER, aversion)


def test_of_rungs_that_are_worth_the_same_it_is_the_safest() -> None:
    assert best_rung(ladder((0.05, 0.1), (0.05, 0.1)), 3) == 0


def test_on_a_ladder_of_mixes_the_best_rung_is_mertons_share() -> None:
    """Shares of one asset of 5 % excess and 20 % volatility: g = 2.5 holds a half."""
    shares = np.linspace(0, 1, 101)
    mixes = Ladder(tuple(map(str, shares)), np.arange(101), 0.02 + 0.05 * shares, 0.2 * shares)
    assert shares[best_rung(mixes, 2.5)] == pytest.approx(merton_share(0.05, 0.2, 2.5)) == pytest.approx(0.5)


def test_what_ascends_is_a_ladder() -> None:
    assert LADDER.is_rising()
    assert not ladder((0.03, 0.05), (0.04, 0.04)).is_rising()
    assert not Ladder(("a", "b"), np.array([2, 2]), np.array([0.1, 0.2]), np.array([0.1, 0.2])).is_rising()
    assert LADDER.place_of("M2") == 2
    assert LADDER.place_of("other") == -1


def test_the_boldest_within_a_volatility() -> None:
    assert [rung_within(LADDER, each) for each in (0.01, 0.02, 0.1, 0.11, 1.0)] == [0, 0, 1, 2, 3]


# --- capacity


def test_a_loss_that_can_be_borne_is_a_third_of_other_wealth_and_what_is_paid_in() -> None:
    assert tolerable_loss(100, wealth=100, yearly_flow=0, years=10) == 0
    assert tolerable_loss(100, wealth=160, yearly_flow=0, years=10) == pytest.approx(0.2)
    assert tolerable_loss(100, wealth=0, yearly_flow=2, years=10) == pytest.approx(0.2)
    assert tolerable_loss(100, wealth=160, yearly_flow=-1, years=10) == pytest.approx(0.1)
    assert tolerable_loss(100, wealth=160, yearly_flow=-20, years=10) == 0
    assert tolerable_loss(100, wealth=1_000, yearly_flow=0, years=1) == 1


@given(loss=st.floats(0, 0.99), years=st.floats(0.05, 40))
def test_the_safe_rung_is_safe_and_the_next_is_not(loss: float, years: float) -> None:
    """The referee asks the lognormal distribution for the chance itself, rung by rung."""
    place = safe_rung(LADDER, loss=loss, years=years)

    def chance_of_more(at: int) -> float:
        mu, sigma = LADDER.expected_return[at], LADDER.volatility[at]
        growth = NormalDist(float((mu - sigma**2 / 2) * years), float(sigma * np.sqrt(years)))
        return growth.cdf(float(np.log1p(-loss)))

    assert place == 0 or chance_of_more(place) <= 0.05 + 1e-9
    assert all(chance_of_more(at) > 0.05 - 1e-9 for at in range(place + 1, 4))


@given(years=st.floats(0.05, 40), longer=st.floats(1, 5))
def test_who_may_lose_nothing_stands_higher_the_longer_they_have(years: float, longer: float) -> None:
    assert safe_rung(LADDER, loss=0, years=years) <= safe_rung(LADDER, loss=0, years=years * longer)


def test_where_nothing_may_be_lost_bold_rungs_take_decades_and_where_all_may_none_is_too_bold() -> None:
    assert [safe_rung(LADDER, loss=0, years=years) for years in (0.5, 5, 6, 11, 12, 21, 22)] == [0, 0, 1, 1, 2, 2, 3]
    assert safe_rung(LADDER, loss=1, years=0.1) == 3


# --- glide


def test_savings_to_come_raise_the_share_of_what_is_saved() -> None:
    assert glide_share(0.4, beta=0.0, human_capital=50, wealth=100) == pytest.approx(0.6)
    assert glide_share(0.4, beta=1.0, human_capital=50, wealth=100) == pytest.approx(0.4)
    assert glide_share(0.4, beta=0.0, human_capital=500, wealth=100) == 1
    assert glide_share(-0.4, beta=0.0, human_capital=0, wealth=100) == 0
    assert leverage(beta=0.25, human_capital=100, wealth=50) == pytest.approx(2.5)


@given(yearly=st.floats(1, 1e6), years=st.floats(0.1, 50), rate=st.floats(-0.05, 0.2))
def test_an_annuity_is_the_sum_of_its_discounted_payments(yearly: float, years: float, rate: float) -> None:
    times = (np.arange(20_000) + 0.5) * years / 20_000
    assert annuity(yearly, years=years, rate=rate) == pytest.approx(
        float((yearly * years / 20_000 * np.exp(-rate * times)).sum()), rel=1e-6
    )


def test_what_is_drawn_is_no_savings() -> None:
    assert annuity(-5, years=10, rate=0.02) == annuity(5, years=0, rate=0.02) == 0
    assert annuity(5, years=10, rate=0) == 50


def test_a_table_is_read_between_its_rows_and_its_rungs_by_the_row_below() -> None:
    years, shares, rungs = np.array([0.0, 10.0, 30.0]), np.array([0.2, 0.6, 0.9]), np.array([1, 4, 7])
    assert [path_share(years, shares, at) for at in (-1, 0, 5, 20, 40)] == pytest.approx([0.2, 0.2, 0.4, 0.75, 0.9])
    assert [path_rung(years, rungs, at) for at in (-1, 0, 9.9, 10, 29, 40)] == [1, 1, 1, 4, 4, 7]
