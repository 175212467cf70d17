"""``trimtab frontier`` on packaged data and on the prices of a home's nights; the ladder that is made of it, and its picture."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.lab.data import packaged_history
from tasks.lab.firm_models import class_history, firm_models
from tasks.lab.frontier import (
    LADDER_COLUMNS,
    FoundFrontier,
    FrontierRequest,
    frontier_of,
    frontier_picture,
    model_rows,
    round_weights,
    rung_rows,
    write_ladder,
)
from tests.support.landing_book import AS_OF, rows_of, sound_book, write_book
from tests.support.night_driver import run_night

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

PRICES = (("100", "50"), ("110", "49"), ("61", "52"))
"""Of STK and BND on three nights; before the last STK was split two for one."""


def settings_in(folder: Path) -> Settings:
    return Settings(home=folder / "home", max_quarantined_fraction=1.0, max_run_turnover=None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with three nights; its models are of stocks, bonds and cash."""
    folder = tmp_path_factory.mktemp("nights")
    settings = settings_in(folder)
    for number, (stock, bond) in enumerate(PRICES):
        day = AS_OF + timedelta(days=number)
        book = sound_book()
        prices = f"security_id | price_usd | price_date\nSTK | {stock} | {day}\nBND | {bond} | {day}\nOLD | 3 | {day}"
        book["prices"] = rows_of(prices)
        if number == 2:
            split = f"security_id | effective_date | action | ratio | new_security_id\nSTK | {day} | split | 2 |"
            book["corporate_actions"] = rows_of(split)
            of_stock = pl.when(security_id="STK").then(2).otherwise(1)
            lots = pl.col("quantity").cast(pl.Float64) * of_stock, pl.col("unit_cost_usd").cast(pl.Float64) / of_stock
            book["lots"] = book["lots"].with_columns(each.cast(pl.String) for each in lots)
        source = folder / str(number)
        source.mkdir()
        write_book(source, book, "csv")
        run_night(settings, source, day)
    return settings


def test_returns_of_nights_know_of_splits(home: Settings) -> None:
    models = firm_models(home)
    assert models is not None
    found = class_history(home, models, fewest=3)
    by_class = dict(zip(found.classes, found.total_return.T.tolist(), strict=True))
    classes = dict(models.choices.select("security_id", "asset_class").iter_rows())
    assert by_class[classes["STK"]] == pytest.approx([0.1, 122 / 110 - 1])
    assert by_class[classes["BND"]] == pytest.approx([-0.02, 52 / 49 - 1])
    assert found.dates == [AS_OF + timedelta(days=number) for number in range(3)]


def test_a_home_with_few_nights_or_none_is_told_what_to_do(home: Settings, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="the home has 3 nights; needed 60 at least"):
        frontier_of(home, FrontierRequest())
    with pytest.raises(WrongUsage, match="has no night whose prices could be taken"):
        frontier_of(Settings(home=tmp_path), FrontierRequest())
    assert not list(tmp_path.iterdir())


def mapped(home: Settings) -> dict[str, str]:
    models = firm_models(home)
    assert models is not None
    own = dict(models.choices.select("security_id", "asset_class").iter_rows())
    return {own["STK"]: "stocks", own["BND"]: "bonds"}


@pytest.fixture(scope="module")
def found(home: Settings) -> FoundFrontier:
    return frontier_of(home, FrontierRequest(data="us_1926_2018", first="1927-01", classes=mapped(home), draws=12))


def test_the_firms_models_stand_beside_the_frontier(home: Settings, found: FoundFrontier) -> None:
    """Return and volatility of each are those of plain arithmetic on the data, but that correlations are shrunk a little."""
    models, history = firm_models(home), packaged_history("us_1926_2018").between("1927-01", None)
    assert models is not None
    rows = {row["model_id"]: row for row in model_rows(found)}
    assert set(rows) | set(found.left_out) == set(models.targets["model_id"])
    names = {**mapped(home), "cash": "bills"}
    for model, row in rows.items():
        targets = models.targets.filter(pl.col("target_weight") > 0, model_id=model)
        weights = np.array([*targets["target_weight"]])
        returns = history.of([names[name] for name in targets["asset_class"]]).total_return @ weights
        assert row["expected_return"] == pytest.approx(12 * returns.mean(), rel=1e-9)
        assert row["volatility"] == pytest.approx(np.sqrt(12) * returns.std(ddof=1), rel=0.02)
        assert row["more_return_at_its_volatility"] > -1e-6
        assert row["standard_error"] >= 0
    assert list(rows) == sorted(rows, key=lambda name: (rows[name]["volatility"], name))


def test_a_model_with_a_class_without_data_is_left_out_and_named(home: Settings) -> None:
    stocks = {name: of for name, of in mapped(home).items() if of == "stocks"}
    found = frontier_of(home, FrontierRequest(data="us_1926_2018", classes=stocks, draws=10))
    assert set(found.left_out.values()) == {name for name, of in mapped(home).items() if of == "bonds"}


def test_a_ladder_has_ten_models_from_the_calmest_up(found: FoundFrontier, tmp_path: Path) -> None:
    paths = write_ladder(found, tmp_path / "made", is_of_models=False)
    ladder, targets = (pl.read_csv(path, try_parse_dates=True) for path in paths)
    assert [path.name for path in paths] == ["ladder.csv", "model_targets.csv"]
    assert tuple(ladder.columns) == LADDER_COLUMNS
    assert ladder["rung"].to_list() == list(range(1, 11))
    assert ladder["volatility"].is_sorted()
    assert ladder["source_date"].to_list() == [date(2018, 11, 30)] * 10
    assert targets["model_id"].unique().sort().to_list() == ladder["model_id"].to_list()
    scaled = targets.with_columns(units=(pl.col("target_weight") * 10_000).round())
    assert (scaled["units"] - scaled["target_weight"] * 10_000).abs().max() < 1e-6
    assert (scaled.group_by("model_id").agg(pl.col("units").sum())["units"] == 10_000).all()
    moments = found.found.moments
    for row in ladder.iter_rows(named=True):
        own = dict(targets.filter(model_id=row["model_id"]).select("asset_class", "target_weight").iter_rows())
        weights = np.array([own.get(name, 0.0) for name in found.classes])
        assert float(moments.mean_of(weights)) == pytest.approx(row["expected_return"], abs=1e-9)
        assert float(moments.volatility(weights)) == pytest.approx(row["volatility"], abs=1e-9)


def test_a_ladder_of_the_firms_models_makes_no_models(found: FoundFrontier, tmp_path: Path) -> None:
    (path,) = write_ladder(found, tmp_path, is_of_models=True)
    ladder = pl.read_csv(path)
    assert ladder["model_id"].to_list() == [row["model_id"] for row in model_rows(found)]
    assert ladder["volatility"].is_sorted()


def test_rounded_weights_sum_to_one_whatever_they_were() -> None:
    rng = np.random.default_rng(0)
    for classes in (1, 2, 3, 7, 20):
        weights = rng.dirichlet(np.full(classes, 0.5), 500)
        units = round_weights(weights) * 1e4
        assert np.abs(units - np.rint(units)).max() < 1e-6
        assert (np.rint(units).sum(axis=1) == 10_000).all()
        assert np.abs(round_weights(weights) - weights).max() < 1e-4
    assert round_weights(np.array([[1 / 3, 1 / 3, 1 / 3]])).tolist() == [[0.3334, 0.3333, 0.3333]]


def test_the_picture_names_every_model_and_class(found: FoundFrontier) -> None:
    drawn = frontier_picture(found)
    ET.fromstring(drawn)  # noqa: S314 - we wrote it
    for row in model_rows(found):
        assert f"{row['model_id']}: " in drawn
    assert all(f"all in {name}" in drawn for name in found.classes)
    assert "hypothetical" in drawn
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"data": "us_1900"}, "there are no data us_1900"),
        ({"data": "us_factors_2014_2022"}, "the data have none of the firm's classes"),
        ({"data": "us_1926_2018", "classes": {"a": "gold"}}, "have no class gold"),
        ({"data": "us_1926_2018", "classes": {"a": "stocks", "b": "stocks"}}, "a and b are both stocks of the data"),
        ({"data": "us_1926_2018", "classes": {"a": "stocks"}, "expected": {"z": 0.1}}, "--expected names z"),
        ({"data": "us_1926_2018", "classes": {"a": "stocks"}, "most": {"y": 0.1}}, "--most names y"),
        (
            {"data": "us_1926_2018", "classes": {"a": "stocks"}, "most": {"a": 0.1, "cash": 0.1}},
            "may have 0.2 of a mix together",
        ),
        (
            {"data": "us_1926_2018", "classes": {"a": "stocks"}, "first": "2018-01"},
            "the history has 11 returns; needed 24",
        ),
        ({"data": "us_1926_2018", "classes": {"a": "stocks"}, "first": "1900-01"}, "the market's data are from"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(home: Settings, asked: Mapping[str, object], said: str) -> None:
    with pytest.raises(WrongUsage, match=said):
        frontier_of(home, FrontierRequest(**{"draws": 10, **asked}))  # type: ignore[arg-type]


def test_without_a_home_the_classes_are_those_of_the_data_and_there_is_no_ladder_of_models(tmp_path: Path) -> None:
    found = frontier_of(Settings(home=tmp_path / "none"), FrontierRequest(data="us_factors_2014_2022", draws=10))
    assert list(found.classes) == ["MTUM", "QUAL", "SIZE", "USMV", "VLUE"]
    assert model_rows(found) == []
    assert len(rung_rows(found)) == 10
    with pytest.raises(WrongUsage, match="no model has data for all its classes"):
        write_ladder(found, tmp_path, is_of_models=True)
    assert not (tmp_path / "none").exists()
