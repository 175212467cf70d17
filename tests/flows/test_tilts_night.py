"""Tilts in whole nights: what they make of targets, trades, pages and the record, and what becomes of an account when they are gone."""

from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.run import RunRef
from schemas.settings import Settings
from tasks.operate.replay import replay_run
from tasks.review.explain import explain_account
from tasks.runtime.stores import open_ledger
from tests.support.landing_book import AS_OF, rows_of, sound_book, write_book
from tests.support.monitor_scene import Scene
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

TILTS = """
    account_id | asset_class | delta_weight | exclude
    A1         | stocks      | 0.06         |
    A2         | stocks      | 0            | STK
    A3         | bonds       | 0.5          |
"""
CLASSES = ("bonds", "cash", "stocks")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own."""
    return Settings(home=tmp_path / "home", max_quarantined_fraction=1.0, max_run_turnover=None, guard_min_accounts=100)


def book(tilts: str | None = TILTS) -> dict[str, pl.DataFrame]:
    """The sound book, every account active and managed alone, with a hundred times the holdings; the third in the first model."""
    found = sound_book()
    found["accounts"] = found["accounts"].with_columns(status=pl.lit("active"), model_id=pl.lit("growth"))
    found["lots"] = found["lots"].with_columns(
        quantity=pl.concat_str("quantity", pl.lit("00")).str.replace("5.500", "550", literal=True)
    )
    found["policies"] = found["policies"].with_columns(
        auto_approve_max_turnover=pl.lit("1"), auto_approve_max_tax_usd=pl.lit("1000000")
    )
    del found["restrictions"], found["households"], found["trades"]
    return found | ({} if tilts is None else {"tilts": rows_of(tilts)})


def night(settings: Settings, tables: Mapping[str, pl.DataFrame], day: int = 0, stocks: str = "101.25") -> RunRef:
    folder = settings.home.parent / f"landing-{day}"
    folder.mkdir(exist_ok=True)
    is_stock = pl.col("security_id") == "STK"
    prices = tables["prices"].with_columns(
        price_date=pl.lit((AS_OF + timedelta(days=day)).isoformat()),
        price_usd=pl.when(is_stock).then(pl.lit(stocks)).otherwise("price_usd"),
    )
    write_book(folder, {**tables, "prices": prices}, "csv")
    return run_night(settings, folder, AS_OF + timedelta(days=day))


def rows(settings: Settings, table: str, run: RunRef) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in open_lake(settings).read(table, run.run_id).sort(pl.all()).to_dicts():
        found.setdefault(row["account_id"], []).append(row)
    return found


def targets(settings: Settings, run: RunRef, account: str) -> list[float]:
    own = {row["asset_class"]: row["target_weight"] for row in rows(settings, "drift", run)[account]}
    return [round(own[name], 12) for name in CLASSES]


def bought(settings: Settings, run: RunRef) -> set[tuple[str, str]]:
    orders = [row for each in rows(settings, "orders", run).values() for row in each]
    return {(row["account_id"], row["security_id"]) for row in orders if row["side"] == "buy"}


def page(settings: Settings, account: str) -> dict[str, Any]:
    with closing(open_ledger(settings)) as ledger:
        return dict(explain_account(open_lake(settings), ledger.runs, ledger.proposals, ledger.amendments, account))


def test_a_night_aims_at_effective_models_and_says_so(settings: Settings) -> None:
    run = night(settings, book())
    assert targets(settings, run, "A1") == [0.22, 0.02, 0.76]
    assert targets(settings, run, "A2") == [0.28, 0.02, 0.7]
    assert targets(settings, run, "A3") == [0.78, 0.02, 0.2]
    said = page(settings, "A1")
    assert said["account"]["model_id"] == "growth"
    assert [one["sentence"] for one in said["tilts"]] == [
        "stocks is tilted by +6 % from model growth, from 70 % to 76 %."
    ]
    assert page(settings, "A2")["tilts"] == []
    assert ("A3", "STK") in bought(settings, run)
    assert replay_run(settings, run.run_id, settings.home.parent / "again").is_same
    excluded = night(settings, book(TILTS.replace("0.5          |", "0.5          | STK")), day=1)
    assert targets(settings, excluded, "A3") == [0.78, 0.02, 0.2]
    assert not {each for each in bought(settings, excluded) if each[1] == "STK"}


def test_what_cannot_be_done_goes_to_a_person_with_a_sentence(settings: Settings) -> None:
    night(settings, book(None))
    tilts = TILTS.replace("A3         | bonds       | 0.5", "A3         | stocks      | 0.9")
    run = night(settings, book(tilts), day=1)
    assert targets(settings, run, "A3") == [0.0, 0.02, 0.98]
    proposals = {name: each[0] for name, each in rows(settings, "proposals", run).items()}
    assert "tilt_cut" in proposals["A3"]["look_reasons"].split("|")
    assert (proposals["A3"]["route"], proposals["A3"]["route_reasons"]) == ("review", "tilt_cut")
    (said,) = page(settings, "A3")["tilts"]
    assert said["sentence"] == (
        "stocks is tilted by +28 % from model growth, from 70 % to 98 %; of the tilt of +90.0 % only +28.0 % is done: the classes that make room "
        "for it have no more."
    )
    done = night(settings, book(tilts.replace("0.9", "0.1")), day=2)
    assert rows(settings, "proposals", done)["A3"][0]["route"] == "auto"


def test_the_record_compares_an_account_with_its_effective_model(settings: Settings) -> None:
    night(settings, book())
    ended = TILTS.replace("A1         | stocks      | 0.06", "A1         | stocks      | 0")
    run = night(settings, book(ended), day=1, stocks="111.375")
    (first,) = rows(settings, "performance", run)["A1"]
    assert first["model_return"] == pytest.approx(0.76 * 0.1)
    assert first["model_id"] == "growth"
    (third,) = rows(settings, "performance", run)["A3"]
    assert (third["model_id"], third["model_return"]) == ("growth+A3", pytest.approx(0.2 * 0.1))
    effects = rows(settings, "attribution", run)["A3"]
    assert sum(row["tracking_difference"] for row in effects) == pytest.approx(third["tracking_difference"], abs=1e-9)
    assert {row["asset_class"]: round(row["target_weight"], 12) for row in effects} == dict(
        zip(CLASSES, (0.78, 0.02, 0.2), strict=True)
    )


def test_a_tilt_that_is_gone_stops_its_account_until_it_is_said_that_it_has_ended(settings: Settings) -> None:
    night(settings, book())
    without = "\n".join(TILTS.splitlines()[:2] + TILTS.splitlines()[3:])
    gone = night(settings, book(without), day=1)
    outcomes = {name: each[0] for name, each in rows(settings, "account_outcomes", gone).items()}
    assert (outcomes["A1"]["outcome"], outcomes["A1"]["reason"]) == ("quarantined", "accounts:tilt_kept")
    assert outcomes["A2"]["outcome"] != "quarantined"
    still = night(settings, book(without), day=2)
    assert rows(settings, "account_outcomes", still)["A1"][0]["outcome"] == "quarantined"
    ended = night(settings, book(TILTS.replace("0.06", "0   ")), day=3)
    assert targets(settings, ended, "A1") == [0.28, 0.02, 0.7]
    after = night(settings, book(without), day=4)
    assert rows(settings, "account_outcomes", after)["A1"][0]["outcome"] != "quarantined"


def test_a_tilt_of_0_that_excludes_is_missed_too(settings: Settings) -> None:
    night(settings, book())
    gone = night(settings, book("\n".join(line for line in TILTS.splitlines() if "A2" not in line)), day=1)
    assert rows(settings, "account_outcomes", gone)["A2"][0]["reason"] == "accounts:tilt_kept"


def test_nights_without_tilts_are_as_if_there_were_none_in_the_program(settings: Settings, tmp_path: Path) -> None:
    other = Settings(**{**settings.model_dump(), "home": tmp_path / "other" / "home"})
    other.home.parent.mkdir()
    none = "account_id | asset_class | delta_weight\nA1 | stocks | 0\nA3 | cash | 0"
    without, quiet = night(settings, book(None)), night(other, book(none))
    ids = pl.exclude("proposal_id", "order_id", "content_hash", "night_run_id", "since_run_id")
    for table in (
        "drift",
        "account_drift",
        "proposals",
        "orders",
        "lot_relief",
        "tilted_targets",
        "performance",
        "twins",
    ):
        one, same = (
            open_lake(at).read(table, run.run_id).select(ids).sort(pl.all())
            for at, run in ((settings, without), (other, quiet))
        )
        assert one.equals(same), table


def test_a_look_between_nights_aims_at_effective_models_and_sees_their_model_change(tmp_path: Path) -> None:
    scene = Scene(tmp_path).delivered("acme", "other")
    (tmp_path / "book" / "tilts.csv").write_text("account_id,asset_class,delta_weight\nA1,stocks,0.04\n")
    scene.night()
    scene.quote(100)
    assert scene.look(is_dry=True).newly == 0
    scene.quote(105)  # stocks at 61.2 %, against 60 % and 64 %
    assert scene.look(is_dry=True).newly == 0
    scene.quote(92)  # stocks at 57.5 %: out of the band of the tilted account alone
    assert scene.look(is_dry=True).newly == 1
