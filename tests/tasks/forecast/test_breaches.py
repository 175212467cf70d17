"""Forecasts over many nights of a lake: walked forward, never from what came later."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.commands.cli import main
from flows.commands.nights.forecast import forecast_sentences
from schemas.enums import RunKind
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tasks.core.lab import MarketHistory
from tasks.forecast import breaches
from tasks.forecast.breaches import BreachForecast, forecast_from
from tests.support.landing_book import AS_OF, sound_book, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import Lake, open_lake

FIRST = date(2026, 1, 1)
NIGHTS, ACCOUNTS = 50, 300
VOLATILITY = 0.02
BAND = 0.02


class Night:
    """What is read of a run."""

    def __init__(self, number: int) -> None:
        self.run_id, self.as_of_date, self.shard_count = f"night-{number:02}", FIRST + timedelta(number), 2


def drift_of(weights: np.ndarray) -> pl.DataFrame:
    """Accounts of two classes, of which the first weighs so much and should weigh a half."""
    names = pl.Series([f"A{number:03}" for number in range(len(weights))])
    parts = [
        pl.DataFrame({"account_id": names, "asset_class": name, "weight": weight}).with_columns(
            value_usd=pl.lit(1), target_weight=pl.lit(0.5), drift=pl.col("weight") - 0.5, band=pl.lit(BAND)
        )
        for name, weight in (("stocks", weights), ("cash", 1 - weights))
    ]
    both = pl.concat(parts).with_columns(is_out_of_band=pl.col("drift").abs() > BAND)
    return both.select(pl.col(name).cast(dtype) for name, dtype in PUBLIC["drift"].items())


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, list[Any], MarketHistory]:
    """Fifty nights of accounts that start anywhere within their bands each night, and move with one class."""
    lake = open_lake(Settings(home=tmp_path_factory.mktemp("home")))
    draw = np.random.default_rng(4)
    returns = draw.normal(scale=VOLATILITY, size=(NIGHTS - 1, 1))
    nights = [Night(number) for number in range(NIGHTS)]
    weights = draw.uniform(0.48, 0.52, size=ACCOUNTS)
    for number, night in enumerate(nights):
        if number:
            grown = weights * (1 + returns[number - 1])
            weights = grown / (grown + 1 - weights)
        run = RunRef(night.run_id, night.as_of_date, RunKind.NIGHTLY, 2)
        drift = drift_of(weights)
        half = pl.col("account_id").str.slice(1).cast(pl.Int64) < ACCOUNTS // 2
        lake.replace(run, 0, {"drift": drift.filter(half)})
        lake.replace(run, 1, {"drift": drift.filter(~half)})
        is_out = np.abs(weights - 0.5) > BAND
        weights = np.where(is_out, draw.uniform(0.48, 0.52, size=ACCOUNTS), weights)
    dates = [night.as_of_date for night in nights]
    return lake, nights, MarketHistory(dates, ("stocks",), returns, np.zeros(NIGHTS - 1), 252.0, {})


@pytest.fixture(scope="module")
def found(walked: tuple[Lake, list[Any], MarketHistory]) -> BreachForecast:
    return forecast_from(*walked, most=5)


def test_each_night_but_the_newest_is_scored_once_there_are_returns(found: BreachForecast) -> None:
    expected = [FIRST + timedelta(number) for number in range(breaches.FEWEST_RETURNS + 1, NIGHTS)]
    assert [one.night_date for one in found.scores] == expected
    assert found.as_of == FIRST + timedelta(NIGHTS - 1)
    assert found.accounts + found.out_already == ACCOUNTS
    assert found.unpriced == []


def test_the_formula_is_right_where_the_market_is_what_it_says(found: BreachForecast) -> None:
    """Counts fall within nine in ten intervals, a night more or less; their sum is within the chance of markets, in which all move together."""
    assert found.record.covered == pytest.approx(0.9, abs=0.11)
    expected, happened = (sum(getattr(one, name) for one in found.scores) for name in ("expected", "happened"))
    assert abs(expected - happened) < 3 * np.sqrt(sum(((one.high - one.low) / 3.29) ** 2 for one in found.scores))
    assert found.low <= found.expected <= found.high
    chances = [one.chance for one in found.likeliest]
    assert len(chances) == 5
    assert chances == sorted(chances, reverse=True)


def test_what_came_later_changes_no_earlier_score(
    walked: tuple[Lake, list[Any], MarketHistory], found: BreachForecast
) -> None:
    lake, nights, history = walked
    until = NIGHTS - 8
    early = replace(history, dates=history.dates[:until], total_return=history.total_return[: until - 1])
    assert forecast_from(lake, nights[:until], early, most=0).scores == found.scores[: -NIGHTS + until]


def test_accounts_out_of_band_or_gone_are_not_forecast(
    walked: tuple[Lake, list[Any], MarketHistory], found: BreachForecast
) -> None:
    lake, nights, _ = walked
    drift = lake.read("drift", nights[-1].run_id)
    inside = set(drift["account_id"]) - set(drift.filter("is_out_of_band")["account_id"])
    assert found.accounts == len(inside)
    assert {one.account_id for one in found.likeliest} <= inside


def test_what_has_won_is_used_and_said(
    walked: tuple[Lake, list[Any], MarketHistory], found: BreachForecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any(
        "By the formula" in line for line in forecast_sentences(replace(found, record=replace(found.record, gain=None)))
    )
    monkeypatch.setattr(
        breaches, "record_of", lambda _: replace(found.record, is_learned_used=True, gain=0.01, error=0.001)
    )
    monkeypatch.setattr(breaches, "learn", lambda _features, _left: lambda given: np.full(len(given), 0.25))
    used = forecast_from(*walked, most=1)
    assert used.method == "learned"
    assert used.expected == pytest.approx(used.accounts / 4)
    assert any("By learned from past nights, which has won" in line for line in forecast_sentences(used))


def test_a_home_with_few_nights_is_told_how_many_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(home=tmp_path / "home", max_quarantined_fraction=1.0, max_run_turnover=None)
    source = tmp_path / "source"
    source.mkdir()
    write_book(source, sound_book(), "csv")
    run_night(settings, source, AS_OF)
    monkeypatch.setenv("TRIMTAB_HOME", str(settings.home))
    with pytest.raises(SystemExit) as ended:
        main(["forecast"])
    assert ended.value.code == 2
    assert "the home has 1 finished nights; needed 21 at least" in capsys.readouterr().err
