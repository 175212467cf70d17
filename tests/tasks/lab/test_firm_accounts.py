"""Studies on the firm's own accounts: drawn from the last published night, left out by name, run, summed up, verified, exported."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import WrongUsage
from schemas.lab import Study, parse_study
from schemas.lab_tables import LAB
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.lab.compare import policies_of
from tasks.lab.report import export_study
from tasks.lab.simulate import shard_frames
from tasks.lab.study import enter_study, load_plan
from tasks.lab.summary import summary_frames
from tasks.lab.verify import verify_study
from tests.support.night_driver import run_night
from warehouse.lake import open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

DAY = date(2022, 12, 28)
TEXT = """
name = "own"
[market]
source = "lognormal"
means = { shares = 0.08, calm = 0.05 }
volatilities = { shares = 0.2, calm = 0.1 }
[paths]
count = 2
years = 2
[book]
kind = "accounts"
sample = 60
[book.classes]
technology = "shares"
financials = "shares"
consumer_discretionary = "shares"
energy = "shares"
industrials = "shares"
health_care = "calm"
consumer_staples = "calm"
momentum = "shares"
quality = "calm"
size = "shares"
min_volatility = "calm"
value = "shares"
[grid]
look = ["monthly"]
absolute_band = [0.05, 0.01]
"""


def study(text: str = TEXT) -> Study:
    return parse_study(text.encode(), source="own.toml")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a night over sixty accounts in two shards."""
    folder = tmp_path_factory.mktemp("own")
    source = folder / "source"
    source.mkdir()
    make_book(source, account_count=60)
    settings = Settings(home=folder / "home", accounts_per_shard=30)
    run_night(settings, source, DAY)
    return settings


def test_a_study_of_accounts_begins_on_the_last_night_and_accounts_for_every_one_of_them(home: Settings) -> None:
    plan = enter_study(home, study())
    assert plan.firm is not None
    assert plan.as_of == plan.firm.begin == DAY
    lake, run_id = open_lake(home), str(plan.study.book.run_id)
    drift = lake.read("account_drift", run_id).select("account_id", "nav_usd")
    left_out = lake.read("lab_left_out", plan.study.study_id)
    assert sorted([*plan.firm.holders.names, *left_out["account_id"]]) == sorted(drift["account_id"])
    assert left_out["reason"].null_count() == 0
    assert 10 < plan.account_count < 60
    market = plan.courses(0, 1)
    assert market.dates[:2] == [DAY, date(2023, 1, 31)]
    held = dict(drift.select("account_id", pl.col("nav_usd").cast(pl.Float64)).iter_rows())
    holders = plan.firm.holders
    for k, name in enumerate(holders.names):
        own = slice(holders.lot_start[k], holders.lot_start[k + 1])
        value = (holders.lot_units[own] / 1e6 * holders.price[k, holders.lot_security[own]]).sum() + holders.cash[k]
        assert value == pytest.approx(held[name], abs=0.01)


def test_it_is_run_summed_up_verified_and_exported(home: Settings, tmp_path: Path) -> None:
    plan = enter_study(home, study())
    lake, study_id = open_lake(home), plan.study.study_id
    for shard in plan.run.shards:
        lake.replace(plan.run, shard, shard_frames(plan, shard))
    lake.replace(plan.run, GLOBAL_SHARD, summary_frames(lake, plan))
    policies = policies_of(home, study_id)
    assert policies["path_count"].to_list() == [2, 2]
    accounts = lake.read("lab_accounts", study_id)
    assert accounts.select(LAB["lab_accounts"].keys()).height == 2 * plan.account_count
    for policy, rows in accounts.group_by("policy_id"):
        whole = policies.filter(policy_id=policy[0]).row(0, named=True)
        for name in ("tax_per_year_usd", "tracking_error", "liquidated_wealth_usd"):
            assert rows[name].mean() == pytest.approx(whole[name], rel=1e-9)
    assert accounts.filter("is_on_frontier")["account_id"].n_unique() == plan.account_count
    assert load_plan(home, study_id).firm is not None
    verified = verify_study(home, study_id, 200)
    assert verified.account_count == 4
    assert verified.look_count >= 200
    files = export_study(home, study_id, tmp_path)
    assert {path.name for path in files} >= {"lab_accounts.parquet", "lab_left_out.parquet"}
    page = files[0].read_text()
    assert f"{plan.account_count} accounts of run" in page
    assert "because" in page


def test_another_night_is_another_study_and_filters_narrow_it(home: Settings) -> None:
    plan = enter_study(home, study())
    taxed = enter_study(home, study(TEXT.replace("sample = 60", 'sample = 60\ntax_status = "taxable"')))
    rich = enter_study(
        home, study(TEXT.replace("sample = 60", "sample = 60\nleast_nav_usd = 300000\nmost_nav_usd = 5e7"))
    )
    few = enter_study(home, study(TEXT.replace("sample = 60", "sample = 12")))
    assert taxed.firm is not None
    assert few.firm is not None
    assert taxed.firm.holders.is_taxed.all()
    assert 0 < taxed.account_count < plan.account_count
    assert 0 < rich.account_count < plan.account_count
    assert few.account_count + few.firm.left_out.height == 12
    given = plan.study.model_dump(by_alias=True, exclude_unset=True)
    other = Study.model_validate(given | {"book": given["book"] | {"run_id": "another"}})
    assert other.study_id != plan.study.study_id
    with pytest.raises(WrongUsage, match="run another, of which the study's accounts are, is not in"):
        enter_study(home, other)


def test_without_a_night_or_without_accounts_it_says_so(home: Settings, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="has no published night whose accounts could be tried"):
        enter_study(Settings(home=tmp_path), study())
    with pytest.raises(WrongUsage, match=r"no account of run .* is meant by"):
        enter_study(home, study(TEXT.replace("sample = 60", 'sample = 60\ncustodian = "nobody"')))
    lone = TEXT.partition("[book.classes]")[0] + '[book.classes]\ngold = "calm"\n[grid]\nlook = "monthly"\n'
    with pytest.raises(WrongUsage, match=r"none of \d+ accounts can be tried; of \d+ "):
        enter_study(home, study(lone))
