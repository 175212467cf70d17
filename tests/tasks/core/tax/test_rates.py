from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.tax.rates import (
    gain_fraction,
    gains_before,
    is_basis_missing,
    long_term_from,
    netted_tax,
    tax_rate,
    term,
)
from tests.support.facts_table import table

dates = st.dates(date(1990, 1, 1), date(2060, 12, 31))
dollars = st.integers(-500, 500)


def first_long_term_date(acquired: date | None) -> date | None:
    frame = pl.DataFrame({"acquired": [acquired]}, schema={"acquired": pl.Date})
    found: date | None = frame.select(long_term_from(pl.col("acquired"))).item()
    return found


def term_of(acquired: date | None, as_of: date) -> str | None:
    frame = pl.DataFrame({"acquired": [acquired]}, schema={"acquired": pl.Date})
    found: str | None = frame.select(term(pl.col("acquired"), as_of)).item()
    return found


def rate_and_gain(cost: float | None, *, tax_status: str = "taxable", held: str = "long") -> tuple[float, float | None]:
    lot = {
        "unit_cost_usd": cost,
        "acquired_date": date(2015, 1, 5),
        "price_usd": 80.0,
        "tax_status": tax_status,
        "term": held,
        "short_term_rate": 0.4,
        "long_term_rate": 0.2,
    }
    frame = pl.DataFrame([lot], schema_overrides={"unit_cost_usd": pl.Float64})
    return frame.select(rate=tax_rate(), gain=gain_fraction()).row(0)


@pytest.mark.parametrize(
    ("acquired", "long_from"),
    [
        (date(2015, 2, 27), date(2016, 2, 28)),
        (date(2015, 2, 28), date(2016, 3, 1)),
        (date(2016, 2, 27), date(2017, 2, 28)),
        (date(2016, 2, 28), date(2017, 3, 1)),
        (date(2016, 2, 29), date(2017, 3, 1)),
        (date(2016, 3, 1), date(2017, 3, 2)),
        (date(2024, 12, 31), date(2026, 1, 1)),
        (date(2019, 6, 30), date(2020, 7, 1)),
    ],
)
def test_long_term_begins_a_year_after_the_day_after_acquisition(acquired: date, long_from: date) -> None:
    assert first_long_term_date(acquired) == long_from
    assert term_of(acquired, long_from - timedelta(days=1)) == "short"
    assert term_of(acquired, long_from) == "long"


def test_bought_on_28_february_2015_is_still_short_term_on_the_leap_day() -> None:
    assert term_of(date(2015, 2, 28), date(2016, 2, 29)) == "short"
    assert term_of(date(2015, 2, 28), date(2016, 3, 1)) == "long"


def test_a_term_is_unknown_where_the_date_is() -> None:
    assert term_of(None, date(2026, 1, 1)) is None
    assert first_long_term_date(None) is None


@given(acquired=dates)
def test_a_lot_is_long_term_after_366_or_367_days(acquired: date) -> None:
    long_from = first_long_term_date(acquired)
    assert long_from is not None
    assert (long_from - acquired).days in {366, 367}


@given(first=dates, second=dates)
def test_what_was_bought_earlier_is_not_long_term_later(first: date, second: date) -> None:
    early, late = (first_long_term_date(day) for day in sorted((first, second)))
    assert early is not None
    assert late is not None
    assert early <= late


@pytest.mark.parametrize(
    ("cost", "held", "rate", "gain"),
    [
        (40, "long", 0.2, 0.5),
        (40, "short", 0.4, 0.5),
        (100, "long", 0.2, -0.25),
        (80, "short", 0.4, 0.0),
        (0, "long", 0.2, 1.0),
    ],
)
def test_tax_per_dollar_is_rate_times_gain_over_price(cost: float, held: str, rate: float, gain: float) -> None:
    assert rate_and_gain(cost, held=held) == pytest.approx((rate, gain))


@pytest.mark.parametrize("tax_status", ["tax_deferred", "tax_exempt"])
def test_other_accounts_pay_no_tax(tax_status: str) -> None:
    assert rate_and_gain(40, tax_status=tax_status)[0] == 0


def test_an_unknown_cost_has_no_gain_and_no_rate() -> None:
    assert rate_and_gain(None) == (0, None)


def test_a_cost_of_zero_is_known_and_a_missing_date_is_not() -> None:
    lots = pl.DataFrame(
        {"unit_cost_usd": [0.0, None, 10.0], "acquired_date": [date(2020, 1, 1), date(2020, 1, 1), None]}
    )
    assert lots.select(is_basis_missing()).to_series().to_list() == [False, True, True]


def tax_of(short: float, long: float, short_rate: float = 0.4, long_rate: float = 0.2) -> float:
    year = pl.DataFrame({"s": [float(short)], "l": [float(long)], "rs": [short_rate], "rl": [long_rate]})
    tax: float = year.select(netted_tax(*(pl.col(name) for name in ("s", "l", "rs", "rl")))).item()
    return tax


def tax_dollar_by_dollar(short: int, long: int) -> float:
    """Each dollar of loss takes a dollar of the other term's gain away, one at a time; what is left pays."""
    while short * long < 0:
        short, long = (short - 1, long + 1) if short > 0 else (short + 1, long - 1)
    return 0.4 * max(short, 0) + 0.2 * max(long, 0)


@given(short=dollars, long=dollars)
def test_the_tax_of_a_year_is_that_of_its_losses_taken_from_its_gains_dollar_by_dollar(short: int, long: int) -> None:
    assert tax_of(short, long) == pytest.approx(tax_dollar_by_dollar(short, long))


@pytest.mark.parametrize(
    ("short", "long", "tax"),
    [
        (100, 100, 60),
        (-30, 100, 14),
        (100, -30, 28),
        (-100, 30, 0),
        (30, -100, 0),
        (-1, -1, 0),
        (0, 100, 20),
        (100, 0, 40),
    ],
)
def test_a_net_loss_of_one_term_is_set_against_the_gain_of_the_other(short: float, long: float, tax: float) -> None:
    assert tax_of(short, long) == pytest.approx(tax)


@given(short=dollars, long=dollars, more=st.integers(0, 500), rates=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_another_gain_costs_between_nothing_and_its_rate(
    short: int, long: int, more: int, rates: tuple[float, float]
) -> None:
    extra = tax_of(short + more, long, *rates) - tax_of(short, long, *rates)
    assert -1e-9 <= extra <= max(rates) * more + 1e-9


def test_while_all_gains_are_gains_each_is_taxed_at_its_own_rate() -> None:
    assert tax_of(50 + 10, 70 + 20) - tax_of(50, 70) == pytest.approx(0.4 * 10 + 0.2 * 20)


def test_a_loss_carried_forward_comes_off_the_gains_of_the_year() -> None:
    accounts = table(
        "accounts",
        """
        account_id | ytd_short_gain_usd | ytd_long_gain_usd | loss_carryforward_short_usd | loss_carryforward_long_usd
        a          | 100                | -50               | 300                         |
        b          | 0                  | 20                |                             | 5
        """,
    )
    found = gains_before(accounts).select("short_before_usd", "long_before_usd")
    assert found.rows() == [(-200.0, -50.0), (0.0, 15.0)]
