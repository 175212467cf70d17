"""Splits that nobody told of: every ratio that holders and price agree on is found, and none that they do not."""

from fractions import Fraction
from math import gcd

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.core.gate import infer_splits
from tasks.core.gate.splits import is_price_late, looks_split, simplest_between

SCHEMA = {
    "security_id": pl.String,
    "quantity": pl.Float64,
    "quantity_then": pl.Float64,
    "bought": pl.Float64,
    "sold": pl.Float64,
}


def inferred(holders: list[tuple[float, float]], price: float, then: float) -> list[tuple[int, int]]:
    """``new, old`` inferred where the holders had (then, now)."""
    rows = [("S", now, before, 0.0, 0.0) for before, now in holders]
    held = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    prices = pl.DataFrame({"security_id": ["S"], "price_usd": [price], "price_then_usd": [then]})
    return infer_splits(held, prices).select("new_shares", "old_shares").rows()


@given(
    lesser=st.integers(1, 21),
    greater=st.integers(1, 1000),
    is_reverse=st.booleans(),
    held=st.lists(st.integers(100_000, 1_000_000), min_size=1, max_size=5),
    market=st.floats(-0.2, 0.2),
)
def test_any_ratio_of_small_numbers_is_found_though_markets_moved(
    *, lesser: int, greater: int, is_reverse: bool, held: list[int], market: float
) -> None:
    assume(gcd(lesser, greater) == 1 and greater >= 2 * lesser)
    new, old = (lesser, greater) if is_reverse else (greater, lesser)
    holders = [(float(amount), float(amount * new // old)) for amount in held]
    # Fractions are paid out in cash, so that few new shares of a holder tell less of the ratio.
    assume(all(now >= 100 for _, now in holders))
    (found,) = inferred(holders, 100 * (1 + market) * old / new, 100)
    assert all(abs(before * found[0] / found[1] - now) <= 1 for before, now in holders)
    assert len(str(max(found)).rstrip("0")) <= 4


@pytest.mark.parametrize(
    ("holders", "price", "then", "found"),
    [
        ([(40, 280)], 101, 700, [(7, 1)]),
        ([(20_000, 200)], 5, 0.05, [(1, 100)]),
        ([(250, 2), (1_000, 10)], 790, 8, [(1, 100)]),
        ([(100, 133), (7, 9), (1, 1)], 75, 100, [(4, 3)]),
        ([(100, 110)], 90, 100, [(11, 10)]),
        ([(1, 2)], 50, 100, [(2, 1)]),
        ([(100.5, 201)], 50, 100, [(2, 1)]),
        ([(100, 200), (100, 100)], 50, 100, []),
        ([(100, 200), (100, 300)], 50, 100, []),
        ([(100, 100)], 50, 100, []),
        ([(100, 200)], 100, 100, []),
        ([(100, 200)], 80, 100, []),
        ([(100, 200)], 20, 100, []),
        ([(100, 200)], 0, 100, []),
        ([(10_000, 12_345)], 81, 100, []),
    ],
)
def test_what_holders_and_price_say_together(
    holders: list[tuple[float, float]], price: float, then: float, found: list[tuple[int, int]]
) -> None:
    assert inferred(holders, price, then) == found


@given(st.fractions(min_value=Fraction(1, 1000), max_value=1000), st.fractions(min_value=0, max_value=Fraction(1, 10)))
def test_no_simpler_fraction_lies_between(low: Fraction, width: Fraction) -> None:
    high = low + width
    found = simplest_between(low, high)
    assert low <= found <= high
    others = range(1, min(found.denominator, 2000))
    assert not any(low * other <= (low * other).__ceil__() <= high * other for other in others)


def test_a_price_that_moved_as_after_a_split() -> None:
    prices = pl.DataFrame({"then": [100.0] * 9, "now": [50, 199, 66, 71, 140, 33, 27, 1, 0.0]}, strict=False)
    found = prices.select(looks_split(pl.col("now"), pl.col("then"))).to_series().to_list()
    assert found == [True, True, True, False, False, True, True, True, False]


@pytest.mark.parametrize(
    ("ratio", "price", "is_late"),
    [
        (2, 100, True),
        (2, 51, False),
        (1.3, 100, True),
        (1.3, 92, True),
        (1.3, 82, False),
        (0.8, 100, True),
        (0.8, 124, False),
        (1.1, 100, False),
    ],
)
def test_a_price_that_stays_where_a_split_was_told_is_late(ratio: float, price: float, *, is_late: bool) -> None:
    row = pl.DataFrame({"price": [float(price)], "then": [100 / ratio], "unsplit": [100.0]})
    assert row.select(is_price_late(pl.col("price"), pl.col("then"), pl.col("unsplit"))).item() is is_late
