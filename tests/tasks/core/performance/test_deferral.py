"""Closed forms: known answers, and a year at a time."""

import pytest

from tasks.core.performance.deferral import growth_taxed_at_sale, growth_taxed_yearly, saving_worth


@pytest.mark.parametrize(("short", "worth"), [(0.408, 1062.17), (0.238, 520.43)])
def test_a_loss_of_a_thousand_that_is_harvested_and_sold_after_twenty_years(short: float, worth: float) -> None:
    assert saving_worth(1_000 * short, 1_000 * 0.238) == pytest.approx(worth, abs=0.005)


def test_the_same_year_by_year() -> None:
    """The saving is invested, grows, and is sold with all else: what it gained is taxed, and so is what the harvested lot's basis is lower by."""
    value = 1_000 * 0.408
    for _ in range(20):
        value *= 1.07
    owed = 0.238 * (value - 408) + 0.238 * 1_000
    assert saving_worth(408, 238) == pytest.approx(value - owed)


def test_deferral_over_thirty_years() -> None:
    assert growth_taxed_at_sale(0.07, 30, 0.238) == pytest.approx(6.038538, abs=5e-7)
    assert growth_taxed_yearly(0.07, 30, 0.238) == pytest.approx(4.753979, abs=5e-7)


def test_without_tax_nothing_is_gained_by_waiting() -> None:
    assert growth_taxed_at_sale(0.07, 30, 0.0) == pytest.approx(growth_taxed_yearly(0.07, 30, 0.0))
