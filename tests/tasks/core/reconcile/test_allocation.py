from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.reconcile.allocation import OrderPart, cents, pro_rata, shares


def parts(*ordered: int, **fixed: int) -> list[OrderPart]:
    return [OrderPart((f"a{n}", f"o{n}"), units, fixed.get(f"a{n}")) for n, units in enumerate(ordered)]


def test_a_block_filled_whole_fills_every_order_whole() -> None:
    assert shares(parts(5, 7, 1), 13) == [5, 7, 1]


def test_a_part_is_shared_in_proportion_and_what_is_left_goes_to_the_largest_remainders() -> None:
    assert shares(parts(50, 30, 20), 10) == [5, 3, 2]
    assert shares(parts(50, 30, 20), 11) == [6, 3, 2]  # 5.5, 3.3, 2.2
    assert shares(parts(1, 1, 1), 2) == [1, 1, 0]


def test_ties_go_to_the_first_by_name_whatever_the_order_given() -> None:
    backwards = list(reversed(parts(1, 1, 1)))
    assert shares(backwards, 2) == [0, 1, 1]


def test_more_than_was_ordered_is_given_to_nobody() -> None:
    assert shares(parts(5, 7), 20) == [5, 7]


def test_the_smallest_orders_step_back_where_a_share_would_be_below_the_least() -> None:
    assert shares(parts(100, 100, 10), 21, min_units=5) == [11, 10, 0]
    assert shares(parts(100, 100, 100), 9, min_units=5) == [9, 0, 0]


def test_an_order_of_less_than_the_least_is_filled_whole_or_not_at_all() -> None:
    assert shares(parts(100, 3), 103, min_units=5) == [100, 3]
    assert shares(parts(100, 3), 50, min_units=5) == [50, 0]


def test_what_the_large_cannot_take_is_not_lost_though_it_is_less_than_the_least() -> None:
    assert sum(shares(parts(100, 5), 102, min_units=10)) == 102


def test_what_a_person_fixed_stands_and_the_others_share_the_rest() -> None:
    assert shares(parts(50, 50, 50, a1=0), 60) == [30, 0, 30]
    assert shares(parts(50, 50, 50, a0=50), 60) == [50, 5, 5]


@pytest.mark.parametrize("fixed", [{"a0": 51}, {"a0": -1}, {"a0": 40, "a1": 21}])
def test_more_than_ordered_or_filled_cannot_be_fixed(fixed: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="are fixed"):
        shares(parts(50, 50, **fixed), 60)


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=12), st.data())
def test_shares_sum_to_the_fill_stay_within_orders_and_within_a_unit_of_proportion(
    ordered: list[int], data: st.DataObject
) -> None:
    filled = data.draw(st.integers(0, sum(ordered)))
    found = shares(parts(*ordered), filled)
    assert sum(found) == filled
    assert all(0 <= share <= units for share, units in zip(found, ordered, strict=True))
    exact = [Fraction(units * filled, sum(ordered)) for units in ordered]
    assert all(abs(share - due) < 1 for share, due in zip(found, exact, strict=True))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(1, 30), st.data())
def test_nobody_gets_less_than_the_least_unless_the_others_are_full(
    ordered: list[int], least: int, data: st.DataObject
) -> None:
    filled = data.draw(st.integers(0, sum(ordered)))
    found = shares(parts(*ordered), filled, min_units=least)
    assert sum(found) == filled
    assert all(0 <= share <= units for share, units in zip(found, ordered, strict=True))
    sharing = [(share, units) for share, units in zip(found, ordered, strict=True) if share]
    too_small = [share for share, units in sharing if share < min(least, units)]
    if too_small and len(sharing) > 1:
        largest = sorted(ordered, reverse=True)
        assert any(sum(largest[:k]) < filled < sum(largest[: k + 1]) for k in range(1, len(largest)))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=12), st.integers(0, 10**12))
def test_every_cent_is_placed(weights: list[int], amount: int) -> None:
    assert sum(pro_rata(weights, amount)) == amount


def test_half_cents_go_to_the_even_cent() -> None:
    assert [cents(Decimal(text)) for text in ("0.005", "0.015", "-1.005", "2.0051")] == [0, 2, -100, 201]
