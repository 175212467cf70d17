"""Courses of the market: streams of paths, blocks, moments, dividends, dates."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import WrongUsage
from schemas.lab import Study, parse_study
from tasks.core.lab.arrays import ANNUAL, look_flags
from tasks.core.lab.market import (
    MarketHistory,
    classes_of,
    course_count,
    courses,
    later_dates,
    month_end,
    step_count,
    steps_per_year,
    terms,
)

MONTHS = 120
RNG = np.random.default_rng(1)
HISTORY = MarketHistory(
    dates=[month_end(date(1999, 12, 31), number) for number in range(MONTHS + 1)],
    classes=("stocks", "bonds", "bills"),
    total_return=RNG.normal(0.01, 0.05, size=(MONTHS, 3)),
    risk_free=np.linspace(0.001, 0.002, MONTHS),
    steps_per_year=12.0,
    dividend_yields={},
)


def study(
    market: str = 'source = "bootstrap"\ndata = "us_1926_2018"', paths: str = "count = 20\nyears = 15", **book: str
) -> Study:
    targets = book.get("targets", "{ stocks = 0.6, bonds = 0.4 }")
    rest = book.get("rest", "")
    text = f'name = "x"\n[market]\n{market}\n[paths]\n{paths}\n[book]\ntargets = {targets}\n{rest}\n[grid]\nlook = ["monthly"]\n'
    return parse_study(text.encode(), source="x.toml")


AS_IT_WAS = study('source = "history"\ndata = "us_1926_2018"', "")
DRAWN = """source = "lognormal"
means = { stocks = 0.08, bonds = 0.03 }
volatilities = { stocks = 0.16, bonds = 0.05 }
correlations = { stocks = { bonds = 0.3 } }
risk_free_rate = 0.02"""


def test_history_is_one_course_and_as_it_was() -> None:
    market = courses(AS_IT_WAS, HISTORY, 0, 1)
    assert (market.classes, course_count(AS_IT_WAS)) == (["bonds", "stocks"], 1)
    assert np.array_equal(market.growth[0], 1 + HISTORY.total_return[:, [1, 0]])
    assert np.array_equal(market.risk_free[0], HISTORY.risk_free)
    assert market.dates == HISTORY.dates


def test_months_are_cut_with_the_day_before_them() -> None:
    cut = HISTORY.between("2001-01", "2001-12")
    assert (cut.dates[0], cut.dates[-1], len(cut.dates)) == (date(2000, 12, 31), date(2001, 12, 31), 13)
    assert np.array_equal(cut.total_return, HISTORY.total_return[12:24])


@pytest.mark.parametrize(("first", "last"), [("1999-12", None), (None, "2010-01")])
def test_months_that_the_data_do_not_have_are_refused(first: str | None, last: str | None) -> None:
    with pytest.raises(
        WrongUsage, match=r"the market's data are from 2000-01 to 2009-12, the study asks for .*\n\nHint: "
    ):
        HISTORY.between(first, last)


def test_months_without_data_are_refused() -> None:
    gap = replace(HISTORY, dates=[*HISTORY.dates[:2], *(month_end(day, 24) for day in HISTORY.dates[2:])])
    with pytest.raises(WrongUsage, match="nothing from 2000-06 to 2000-12"):
        gap.between("2000-06", "2000-12")


def test_courses_are_as_long_as_the_study_says_or_as_the_data_are() -> None:
    assert [step_count(AS_IT_WAS, HISTORY), steps_per_year(AS_IT_WAS, HISTORY)] == [MONTHS, 12]
    assert [step_count(study(), HISTORY), steps_per_year(study(), HISTORY)] == [180, 12]
    daily = study(DRAWN.replace("risk_free_rate = 0.02", 'step = "daily"'))
    assert [step_count(daily, None), steps_per_year(daily, None)] == [15 * 252, 252]
    assert len(courses(daily, None, 0, 1).dates) == 15 * 252 + 1


def test_correlations_of_classes_without_a_target_are_left_out() -> None:
    more = DRAWN.replace("bonds = 0.03", "bonds = 0.03, gold = 0.02").replace(
        "bonds = 0.05", "bonds = 0.05, gold = 0.2"
    )
    more = more.replace("{ bonds = 0.3 }", "{ bonds = 0.3, gold = -0.9 }")
    assert np.array_equal(courses(study(more), None, 0, 2).growth, courses(study(DRAWN), None, 0, 2).growth)


def test_a_class_that_the_data_do_not_have_is_refused() -> None:
    with pytest.raises(WrongUsage, match=r"no class gold\n\nHint: they have bills, bonds, stocks"):
        courses(study(targets="{ stocks = 0.6, gold = 0.4 }"), HISTORY, 0, 1)


@pytest.mark.parametrize("asked", [study(), study(DRAWN)], ids=["bootstrap", "lognormal"])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_path_does_not_depend_on_those_drawn_beside_it(asked: Study, data: st.DataObject) -> None:
    history = None if asked.market.source == "lognormal" else HISTORY
    whole = courses(asked, history, 0, 20)
    first = data.draw(st.integers(0, 19))
    part = courses(asked, history, first, data.draw(st.integers(1, 20 - first)))
    rows = slice(first, first + len(part.growth))
    assert np.array_equal(part.growth, whole.growth[rows])
    assert np.array_equal(part.risk_free, whole.risk_free[rows])
    assert len({row.tobytes() for row in whole.growth}) == 20


def test_another_seed_is_another_market() -> None:
    other = courses(study(paths="count = 20\nyears = 15\nseed = 2"), HISTORY, 0, 1)
    assert not np.array_equal(other.growth, courses(study(), HISTORY, 0, 1).growth)


def drawn_rows(growth: np.ndarray) -> np.ndarray:
    """Which row of the history each step is."""
    known = {tuple(row): number for number, row in enumerate(1 + HISTORY.total_return[:, [1, 0]])}
    return np.array([[known[tuple(row)] for row in path] for path in growth])


def test_a_bootstrap_draws_whole_rows_in_blocks_of_the_mean_length_asked_for() -> None:
    asked = study('source = "bootstrap"\ndata = "us_1926_2018"\nblock_months = 6', "count = 60\nyears = 15")
    market = courses(asked, HISTORY, 0, 60)
    assert market.growth.shape == (60, 180, 2)
    rows = drawn_rows(market.growth)
    assert np.array_equal(market.risk_free, HISTORY.risk_free[rows])
    goes_on = (np.diff(rows, axis=1) % MONTHS) == 1
    assert 1 / (1 - goes_on.mean()) == pytest.approx(6, abs=0.5)
    counts = np.bincount(rows.ravel(), minlength=MONTHS)
    assert counts.min() > 0
    assert market.dates[:2] == [date(2009, 12, 31), date(2010, 1, 31)]


def test_a_lognormal_market_has_the_moments_asked_for() -> None:
    market = courses(study(DRAWN, "count = 4000\nyears = 1"), None, 0, 4000)
    assert market.classes == ["bonds", "stocks"]
    over_a_year = np.log(market.growth).sum(axis=1)
    assert np.exp(over_a_year).mean(axis=0) == pytest.approx([1.03, 1.08], abs=0.008)
    assert over_a_year.std(axis=0) == pytest.approx([0.05, 0.16], rel=0.04)
    assert np.corrcoef(over_a_year.T)[0, 1] == pytest.approx(0.3, abs=0.05)
    assert np.prod(1 + market.risk_free[0]) == pytest.approx(1.02)


def test_correlations_that_contradict_each_other_are_refused() -> None:
    wrong = """source = "lognormal"
means = { a = 0, b = 0, c = 0 }
volatilities = { a = 0.1, b = 0.1, c = 0.1 }
correlations = { a = { b = 0.9, c = 0.9 }, b = { c = -0.9 } }"""
    with pytest.raises(WrongUsage, match="contradict each other"):
        courses(study(wrong, targets="{ a = 0.3, b = 0.3, c = 0.4 }"), None, 0, 1)


def test_classes_in_lockstep_are_drawn() -> None:
    lockstep = DRAWN.replace("0.3 }", "1.0 }").replace("0.05", "0.16").replace("0.03", "0.08")
    growth = courses(study(lockstep, "count = 3\nyears = 1"), None, 0, 3).growth
    assert growth[..., 0] == pytest.approx(growth[..., 1])


@pytest.mark.parametrize("source", ["history", "bootstrap", "lognormal"])
def test_price_and_dividend_make_the_total_return(source: str) -> None:
    text = DRAWN if source == "lognormal" else f'source = "{source}"\ndata = "us_1926_2018"'
    paths = "" if source == "history" else "count = 3\nyears = 2"
    plain = courses(study(text, paths), HISTORY if source != "lognormal" else None, 0, 1)
    paying = courses(
        study(f"{text}\ndividend_yields = {{ stocks = 0.03 }}", paths), HISTORY if source != "lognormal" else None, 0, 1
    )
    assert paying.dividend_yield == pytest.approx([0, 0.03 / 12])
    assert paying.growth * (1 + paying.dividend_yield) == pytest.approx(plain.growth)


@settings(max_examples=50)
@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(1, 60), st.sampled_from([12.0, 252.0]))
def test_dates_ascend_and_years_are_as_long_as_years(begin: date, years: int, per_year: float) -> None:
    dates = later_dates(begin, round(years * per_year), per_year)
    assert dates == sorted(set(dates))
    assert abs((dates[-1] - begin).days / 365.25 - years) < 0.1
    assert look_flags(dates, ANNUAL).sum() in {years, years + 1}


def test_the_account_is_the_one_described() -> None:
    asked = study(
        rest="half_spread_bps = { stocks = 5 }\nis_fractional = false\n[tax]\nshort_term_rate = 0.37\nlong_term_rate = 0.2\n[flows]\nmonthly_usd = 100"
    )
    market = courses(asked, HISTORY, 0, 1)
    account = terms(asked, market)
    assert classes_of(asked) == ["bonds", "stocks"]
    assert account.targets.tolist() == [0.4, 0.6]
    assert account.half_spread_bps.tolist() == [0, 5]
    assert (account.quantity_step, account.is_taxed, account.short_term_rate, account.long_term_rate) == (
        1,
        True,
        0.37,
        0.2,
    )
    assert account.flow_usd.tolist() == [100.0] * 180


def test_an_account_without_tax_and_flows() -> None:
    account = terms(AS_IT_WAS, courses(AS_IT_WAS, HISTORY, 0, 1))
    assert (account.is_taxed, account.flow_usd.size, account.quantity_step, account.nav_usd) == (
        False,
        0,
        1e-6,
        1_000_000,
    )


OWN = """
name = "own"
[market]
{market}
[paths]
count = 3
years = 2
[book]
kind = "accounts"
[book.classes]
us_equity = "stocks"
eu_equity = "stocks"
us_bonds = "bonds"
[grid]
look = "monthly"
"""
MOMENTS = 'source = "lognormal"\nmeans = { stocks = 0.08, bonds = 0.03 }\nvolatilities = { stocks = 0.2, bonds = 0.05 }\ndividend_yields = { bonds = 0.02 }'


@pytest.mark.parametrize(
    "market", ['source = "bootstrap"\ndata = "us_1926_2018"\ndividend_yields = { bonds = 0.02 }', MOMENTS]
)
def test_classes_of_a_firm_move_as_those_of_the_market_and_dates_go_on_from_its_night(market: str) -> None:
    asked = parse_study(OWN.format(market=market).encode(), source="own.toml")
    history = HISTORY if "bootstrap" in market else None
    found = courses(asked, history, 0, 3, begin=date(2026, 3, 2))
    assert found.classes == ["eu_equity", "us_bonds", "us_equity"]
    assert found.dates[:3] == [date(2026, 3, 2), date(2026, 4, 30), date(2026, 5, 31)]
    assert len(found.dates) == 25
    np.testing.assert_array_equal(found.growth[:, :, 0], found.growth[:, :, 2])
    assert not np.array_equal(found.growth[:, :, 0], found.growth[:, :, 1])
    assert found.dividend_yield.tolist() == [0, pytest.approx(0.02 / 12), 0]
