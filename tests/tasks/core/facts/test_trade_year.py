"""Orders of the last night of a year trade in the next: its gains are none yet, and what is left of the old year's losses is carried."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.tax import gains_before
from tests.support.facts_table import facts_of, solved_of, traded

GAINS = ("short_before_usd", "long_before_usd")


def at_year_end(facts: Facts, trade_date: date = date(2027, 1, 4)) -> Facts:
    return replace(facts, as_of=date(2026, 12, 31), trade_date=trade_date)


def gains(facts: Facts) -> tuple[float, ...]:
    return gains_before(account_parameters(facts)).select(GAINS).row(0)


def year(short: str, long: str, short_loss: str = "0", long_loss: str = "0") -> Facts:
    drawn = f"""
        account_id | ytd_short_gain_usd | ytd_long_gain_usd | loss_carryforward_short_usd | loss_carryforward_long_usd
        a          | {short}            | {long}            | {short_loss}                | {long_loss}
    """
    return facts_of(accounts=drawn)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("500", "900"), (0, 0)),
        (("-500", "0"), (-500, 0)),
        (("0", "-0.25"), (0, -0.25)),
        (("-500", "200"), (-300, 0)),
        (("-500", "800"), (0, 0)),
        (("300", "-1000"), (0, -700)),
        (("-500", "-200"), (-500, -200)),
        (("100", "0", "400"), (-300, 0)),
        (("0", "50", "0", "75"), (0, -25)),
    ],
)
def test_gains_do_not_count_in_the_next_year_and_losses_left_are_carried(
    old: tuple[str, ...], new: tuple[float, float]
) -> None:
    assert gains(at_year_end(year(*old))) == new


@pytest.mark.parametrize("trade_date", [date(2026, 12, 31), date(2026, 12, 30)])
def test_the_same_year_keeps_its_gains(trade_date: date) -> None:
    assert gains(at_year_end(year("300", "-1000", "40"), trade_date)) == (260, -1000)


@given(
    st.tuples(*(st.integers(-5_000, 5_000) for _ in range(2)), *(st.integers(0, 5_000) for _ in range(2))),
)
def test_no_loss_is_carried_twice_and_none_is_lost(numbers: tuple[int, int, int, int]) -> None:
    short, long, short_loss, long_loss = numbers
    carried = gains(at_year_end(year(*(str(number) for number in numbers))))
    assert all(part <= 0 for part in carried)
    assert sum(carried) == min(short - short_loss + long - long_loss, 0)
    assert carried[0] >= min(short - short_loss, 0)
    assert carried[1] >= min(long - long_loss, 0)


def test_the_gains_of_a_year_that_is_over_cost_the_next_nothing() -> None:
    """A loss of 1,000 offsets what is realized in its year alone."""
    facts = facts_of(
        {"tracking_penalty": 2.0},
        accounts="account_id | short_term_rate | long_term_rate | ytd_long_gain_usd\n a | 0.4 | 0.2 | -2000",
        lots="security_id | quantity | unit_cost_usd\n S | 90 | 20\n B | 10 | 100",
        cash="account_id | settled_usd\n a | 0",
    )
    gone = replace(
        facts, accounts=facts.accounts.with_columns(ytd_long_gain_usd=pl.lit(Decimal(5_000)).cast(pl.Decimal(18, 6)))
    )
    assert traded(solved_of(at_year_end(facts))) == traded(solved_of(facts))
    fresh = replace(
        facts, accounts=facts.accounts.with_columns(ytd_long_gain_usd=pl.lit(Decimal(0)).cast(pl.Decimal(18, 6)))
    )
    assert traded(solved_of(at_year_end(gone))) == traded(solved_of(fresh))
