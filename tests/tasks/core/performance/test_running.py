"""Running measures against ``empyrical``, which sees all returns at once, and the faults that are common elsewhere."""

from datetime import date, timedelta
from typing import Final

import empyrical
import numpy as np
import polars as pl
import pytest

from tasks.core.performance.running import NEW, STATE, TRADING_DAYS, after_night, risk_free_return, with_measures

ACCOUNTS: Final = 1_000
NIGHTS: Final = 260
RATE: Final = 0.04
TO: Final = 1e-10


def begun(count: int) -> pl.DataFrame:
    names = ("inception", "year", "quarter", "month", "model_inception", "after_tax")
    return pl.DataFrame({"account_id": [f"{number:04}" for number in range(count)]}).with_columns(
        **NEW,
        **{f"{name}_return": pl.lit(0.0) for name in names},
        max_drawdown=pl.lit(0.0),
        night_date=pl.lit(date(2025, 6, 30)),
    )


def walked(returns: np.ndarray, models: np.ndarray, *, sessions: int = 1) -> pl.DataFrame:
    """Accounts, a row of ``returns`` each, after all its nights."""
    rows = begun(len(returns))
    for night in range(returns.shape[1]):
        rows = rows.with_columns(
            since_date="night_date",
            night_date=pl.col("night_date") + timedelta(days=1),
            daily_return=pl.Series(returns[:, night]).fill_nan(None),
            model_return=pl.Series(models[:, night]),
            tax_return=pl.lit(0.0),
            sessions=pl.lit(sessions, pl.Int64),
        ).with_columns(tracking_difference=pl.col("daily_return") - pl.col("model_return"))
        rows = with_measures(after_night(rows, risk_free_rate=RATE))
    return rows


@pytest.fixture(scope="module")
def market() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    spread = rng.uniform(0.001, 0.05, (ACCOUNTS, 1))
    models = rng.normal(0.0003, 1, (ACCOUNTS, NIGHTS)) * spread
    return np.clip(models + rng.normal(0, 0.002, models.shape), -0.6, 1.0), models


@pytest.fixture(scope="module")
def ours(market: tuple[np.ndarray, np.ndarray]) -> pl.DataFrame:
    return walked(*market)


def daily_rate() -> float:
    return float((1 + RATE) ** (1 / TRADING_DAYS) - 1)


def test_a_thousand_accounts_measure_as_empyrical_measures_them(
    market: tuple[np.ndarray, np.ndarray], ours: pl.DataFrame
) -> None:
    returns, models = market
    theirs = {
        "inception_return": [empyrical.cum_returns_final(one) for one in returns],
        "model_inception_return": [empyrical.cum_returns_final(one) for one in models],
        "volatility": [empyrical.annual_volatility(one) for one in returns],
        "sharpe": [empyrical.sharpe_ratio(one, risk_free=daily_rate()) for one in returns],
        "max_drawdown": [empyrical.max_drawdown(one) for one in returns],
        "tracking_error": [empyrical.annual_volatility(one) for one in returns - models],
    }
    for name, expected in theirs.items():
        found = ours[name].to_numpy()
        assert np.abs((found - expected) / np.maximum(1, np.abs(expected))).max() < TO, name


def test_the_last_night_counts(market: tuple[np.ndarray, np.ndarray], ours: pl.DataFrame) -> None:
    returns, models = market
    short = walked(returns[:5, :-1], models[:5, :-1])
    last = ours["inception_return"].head(5).to_numpy()
    assert last == pytest.approx((1 + short["inception_return"].to_numpy()) * (1 + returns[:5, -1]) - 1)
    assert np.abs(last - short["inception_return"].to_numpy()).min() > 0


def test_a_year_has_252_nights_and_not_365(market: tuple[np.ndarray, np.ndarray], ours: pl.DataFrame) -> None:
    returns, _ = market
    expected = np.std(returns[0], ddof=1) * np.sqrt(252)
    assert ours["volatility"][0] == pytest.approx(expected)
    assert ours["volatility"][0] != pytest.approx(np.std(returns[0], ddof=1) * np.sqrt(365), rel=0.1)


def test_a_rate_of_a_year_is_not_one_of_a_night() -> None:
    night = pl.select(risk_free_return(RATE, pl.lit(1))).item()
    assert night == pytest.approx(daily_rate(), abs=1e-15)
    assert pl.select(risk_free_return(RATE, pl.lit(252))).item() == pytest.approx(RATE)
    flat = walked(np.full((1, 30), night) + np.tile([1e-4, -1e-4], 15), np.zeros((1, 30)))
    assert flat["sharpe"].item() == pytest.approx(0, abs=1e-9)


def test_a_drawdown_is_compounded() -> None:
    found = walked(np.array([[0.1, -0.1, -0.1, 0.05]]), np.zeros((1, 4)))
    assert found["max_drawdown"].item() == pytest.approx(0.9 * 0.9 - 1)
    assert found["drawdown"].item() == pytest.approx(0.9 * 0.9 * 1.05 - 1)


def test_lo_error_of_thirty_years_of_a_ratio_of_one_half() -> None:
    count = 30 * TRADING_DAYS
    state = dict.fromkeys(STATE, 0.0) | {
        "return_count": count,
        "session_count": count,
        "return_m2": 1e-4 * (count - 1),
        "excess_m2": 1e-4 * (count - 1),
        "excess_mean": 0.5 * 0.01 / np.sqrt(TRADING_DAYS),
        "peak_growth": 1.0,
    }
    row = pl.DataFrame([state | {"inception_return": 0.0, "max_drawdown": 0.0}])
    found = with_measures(row)
    assert found["sharpe"].item() == pytest.approx(0.5)
    assert found["sharpe_error"].item() == pytest.approx(0.1936, abs=5e-5)


def test_one_return_has_no_spread_and_one_that_never_moves_no_ratio() -> None:
    one = walked(np.array([[0.1]]), np.array([[0.1]]))
    assert one.select("volatility", "tracking_error", "sharpe", "sharpe_error").row(0) == (None, None, None, None)
    still = walked(np.zeros((1, 3)) + daily_rate(), np.zeros((1, 3)))
    assert still["volatility"].item() == pytest.approx(0)
    none = walked(np.zeros((1, 3)), np.zeros((1, 3)))
    assert none["volatility"].item() == 0


def test_nights_that_span_several_days_count_as_what_they_are() -> None:
    """A year of weeks: 52 returns over 260 days."""
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 0.02, (1, 50))
    found = walked(returns, np.zeros((1, 50)), sessions=5)
    assert found["volatility"].item() == pytest.approx(np.std(returns, ddof=1) * np.sqrt(252 / 5))


def test_a_night_without_a_return_changes_no_moment() -> None:
    with_gap = walked(np.array([[0.01, np.nan, -0.02, 0.03]]), np.zeros((1, 4)))
    without = walked(np.array([[0.01, -0.02, 0.03]]), np.zeros((1, 3)))
    for name in (*STATE, "inception_return", "volatility", "sharpe"):
        assert with_gap[name].item() == pytest.approx(without[name].item()), name


def test_periods_begin_with_their_first_night() -> None:
    rows = begun(1).with_columns(
        since_date=pl.lit(date(2025, 12, 31)),
        night_date=pl.lit(date(2026, 1, 2)),
        inception_return=pl.lit(0.5),
        year_return=pl.lit(0.4),
        quarter_return=pl.lit(0.3),
        month_return=pl.lit(0.2),
        daily_return=pl.lit(0.1),
        model_return=pl.lit(0.0),
        tracking_difference=pl.lit(0.1),
        tax_return=pl.lit(-0.02),
        sessions=pl.lit(1, pl.Int64),
    )
    new = after_night(rows, risk_free_rate=0.0)
    assert new.select("year_return", "quarter_return", "month_return").row(0) == pytest.approx((0.1, 0.1, 0.1))
    assert new["inception_return"].item() == pytest.approx(0.65)
    assert new["after_tax_return"].item() == pytest.approx(0.08)
    later = after_night(
        new.with_columns(since_date=pl.lit(date(2026, 1, 30)), night_date=pl.lit(date(2026, 2, 2))), risk_free_rate=0
    )
    assert later.select("year_return", "quarter_return", "month_return").row(0) == pytest.approx((0.21, 0.21, 0.1))
