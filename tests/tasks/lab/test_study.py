"""Studies in the lake: cut into shards that change nothing, broken off and carried on, summed up, shown, exported, verified."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from schemas.errors import Terminal, WrongUsage
from schemas.lab import Study, parse_study
from schemas.lab_tables import LAB
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.lab.compare import NOISE, REFERENCE, SAME, compared, policies_of, policy_table, verdict
from tasks.lab.report import ORDER, export_study
from tasks.lab.simulate import shard_frames
from tasks.lab.study import StudyPlan, enter_study, find_study, finished_shards, list_studies, plan_of, read_study
from tasks.lab.summary import summary_frames
from tasks.lab.verify import verify_study
from warehouse.lake import open_lake
from warehouse.lake.public_query import public_names

TEXT = """
name = "small"
[market]
source = "lognormal"
means = { stocks = 0.08, bonds = 0.03 }
volatilities = { stocks = 0.2, bonds = 0.05 }
risk_free_rate = 0.01
[paths]
count = 12
years = 2
seed = 3
[book]
targets = { stocks = 0.6, bonds = 0.4 }
half_spread_bps = 10
[tax]
short_term_rate = 0.37
long_term_rate = 0.2
[grid]
look = ["monthly", "annual"]
absolute_band = [0.01, 1.0]
"""
MONTHLY, NEVER = "absolute_band=0.01,look=monthly", "absolute_band=1,look=monthly"


OF_A_FIRM = {"lab_accounts", "lab_left_out"}


def study(text: str = TEXT) -> Study:
    return parse_study(text.encode(), source="small.toml")


@dataclass(frozen=True)
class Cut(StudyPlan):
    """A plan whose shards are as large as the test likes."""

    size: int = 1

    @property
    def shard_size(self) -> int:
        return self.size


def cut(size: int, text: str = TEXT) -> Cut:
    return Cut(study(text), plan_of(study(text)).history, None, size)


def run_shards(settings: Settings, plan: StudyPlan, *shards: int) -> None:
    for shard in shards:
        open_lake(settings).replace(plan.run, shard, shard_frames(plan, shard))


def summed_up(settings: Settings, plan: StudyPlan) -> dict[str, pl.DataFrame]:
    frames = summary_frames(open_lake(settings), plan)
    open_lake(settings).replace(plan.run, GLOBAL_SHARD, frames)
    return frames


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The small study, finished in one shard. Nothing in this file may change it."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    plan = enter_study(settings, study())
    assert plan.shard_count == 1
    run_shards(settings, plan, 0)
    summed_up(settings, plan)
    return settings


def rows_of(settings: Settings, table: str) -> pl.DataFrame:
    return open_lake(settings).read(table, study().study_id).sort(ORDER[table])


# --- shards


@pytest.mark.parametrize("size", [1, 5, 12])
def test_shards_change_no_path_and_no_figure(done: Settings, tmp_path: Path, size: int) -> None:
    settings, plan = Settings(home=tmp_path), cut(size)
    run_shards(settings, plan, *reversed(plan.run.shards))
    summed_up(settings, plan)
    assert rows_of(settings, "lab_paths").equals(rows_of(done, "lab_paths"))
    for table in ("lab_policies", "lab_years", "lab_gaps"):
        found, whole = rows_of(settings, table), rows_of(done, table)
        for name, dtype in whole.schema.items():
            if dtype == pl.Float64:
                values = found[name].to_numpy(), whole[name].to_numpy()
                assert values[0] == pytest.approx(values[1], rel=1e-9, abs=1e-9, nan_ok=True), (table, name)
            else:
                assert found[name].equals(whole[name]), (table, name)


def test_a_large_study_is_cut_so_that_memory_is_bounded() -> None:
    many = plan_of(study(TEXT.replace("count = 12", "count = 1_000_000")))
    assert many.shard_size * len(many.policies) <= 100_000
    assert sum(len(many.paths_of(shard)) for shard in many.run.shards) == 1_000_000
    assert many.shown_count * len(many.policies) <= 200_000
    long = plan_of(study(TEXT.replace("count = 12", "count = 100_000").replace("years = 2", "years = 200")))
    assert long.shard_size * 200 * 12 * 2 <= 8_000_000


def test_what_was_broken_off_goes_on(tmp_path: Path) -> None:
    settings, plan = Settings(home=tmp_path), cut(4)
    enter_study(settings, study())
    assert finished_shards(settings, plan.study.study_id) == []
    run_shards(settings, plan, 2)
    assert finished_shards(settings, plan.study.study_id) == [2]
    with pytest.raises(WrongUsage, match="is not finished"):
        policies_of(settings, plan.study.study_id)
    with pytest.raises(RuntimeError):
        _break_off(settings, plan)
    assert finished_shards(settings, plan.study.study_id) == [2]
    run_shards(settings, plan, 0, 1, 2)
    assert finished_shards(settings, plan.study.study_id) == [0, 1, 2]
    assert open_lake(settings).read("lab_paths", plan.study.study_id).height == 48


def _break_off(settings: Settings, plan: StudyPlan) -> None:
    frames = shard_frames(plan, 0)

    class Torn(dict[str, pl.DataFrame]):
        def items(self) -> object:  # type: ignore[override]
            yield "lab_parts", frames["lab_parts"]
            raise RuntimeError("the power failed")

    open_lake(settings).replace(plan.run, 0, Torn(frames))


# --- what was found


def test_tables_say_that_they_are_hypothetical(done: Settings) -> None:
    assert set(ORDER) == set(LAB)
    for table in LAB:
        rows = rows_of(done, table)
        if table in OF_A_FIRM:
            assert rows.is_empty()
            continue
        assert rows.height
        assert rows["is_hypothetical"].all()
        assert rows["study_id"].unique().to_list() == [study().study_id]
        assert table in public_names()


def test_policies_are_summed_up_over_their_paths(done: Settings) -> None:
    policies, paths = rows_of(done, "lab_policies"), rows_of(done, "lab_paths")
    by_policy = {name[0]: of for name, of in paths.partition_by("policy_id", as_dict=True).items()}
    reference = by_policy[MONTHLY].sort("path_number")
    for row in policies.iter_rows(named=True):
        own = by_policy[row["policy_id"]].sort("path_number")
        for measure in ("annual_return", "turnover_per_year", "liquidated_wealth_usd", "rms_drift"):
            difference = (own[measure] - reference[measure]).to_numpy()
            assert row[measure] == pytest.approx(own[measure].mean())
            assert row[f"difference_{measure}"] == pytest.approx(difference.mean(), rel=1e-6, abs=1e-9)
            assert row[f"error_{measure}"] == pytest.approx(difference.std(ddof=1) / np.sqrt(12), rel=1e-6)
        assert row["path_count"] == 12
        assert row["terminal_wealth_p05_usd"] <= row["terminal_wealth_p50_usd"] <= row["terminal_wealth_p95_usd"]
        assert sum(float(each.partition("=")[2]) for each in row["mean_weights"].split("|")) == pytest.approx(
            1, abs=0.01
        )
    assert policies.filter("is_reference")["policy_id"].to_list() == [MONTHLY]
    traded = dict(policies.select("policy_id", "events").rows())
    assert traded[NEVER] == 0 < traded[MONTHLY]
    assert policies["group"].min() == 1


def test_years_multiply_to_the_whole(done: Settings) -> None:
    years = rows_of(done, "lab_years")
    assert years["year"].unique().to_list() == [2000, 2001]
    assert years.filter(policy_id=NEVER)["turnover"].to_list() == [0, 0]


def test_a_single_course_is_judged_by_its_years(tmp_path: Path) -> None:
    text = TEXT.replace(
        'source = "lognormal"', 'source = "history"\ndata = "us_1926_2018"\nfrom = "1990-01"\nto = "1999-12"'
    )
    text = "\n".join(
        line for line in text.splitlines() if not line.startswith(("means", "vol", "risk", "count", "years"))
    )
    plan, settings = plan_of(study(text)), Settings(home=tmp_path)
    run_shards(settings, plan, 0)
    found = summed_up(settings, plan)["lab_policies"].filter(~pl.col("is_reference"))
    assert found["error_annual_return"].null_count() == 0
    assert found["error_sharpe"].null_count() == found.height
    assert found["group"].null_count() == found.height
    years = rows_then(settings, plan)
    own = years.filter(policy_id=NEVER).sort("year")["difference_year_return"].to_numpy()
    row = found.filter(policy_id=NEVER).row(0, named=True)
    assert row["error_annual_return"] == pytest.approx(own.std(ddof=1) / np.sqrt(10))
    assert row["sharpe_error"] == pytest.approx(np.sqrt((1 + row["sharpe"] ** 2 / 2) / 10))


def rows_then(settings: Settings, plan: StudyPlan) -> pl.DataFrame:
    return open_lake(settings).read("lab_years", plan.study.study_id)


# --- what is shown


def test_studies_are_found_by_name_or_by_the_beginning_of_their_id(done: Settings) -> None:
    rows = list_studies(done)
    assert rows.select("study_name", "policy_count", "path_count", "finished_count", "is_done").rows() == [
        ("small", 4, 12, 1, True)
    ]
    assert find_study(done, "small") == find_study(done, study().study_id[:6])
    with pytest.raises(WrongUsage, match="no study called gone,"):
        find_study(done, "gone,")


def test_another_name_is_the_same_study(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    enter_study(settings, study())
    enter_study(settings, study(TEXT.replace('"small"', '"renamed"')))
    assert list_studies(settings)["study_name"].to_list() == ["renamed"]


def test_noise_is_called_noise() -> None:
    row = {"is_reference": False, "difference_annual_return": 0.01, "error_annual_return": 0.006}
    assert verdict(row, "annual_return") == NOISE
    assert verdict(row | {"error_annual_return": 0.005}, "annual_return") == "better"
    assert verdict(row | {"difference_annual_return": -0.02}, "annual_return") == "worse"
    assert verdict(row | {"error_annual_return": None}, "annual_return") == NOISE
    assert verdict(row | {"difference_annual_return": 0, "error_annual_return": 0}, "annual_return") == SAME
    assert verdict(row | {"is_reference": True}, "annual_return") == REFERENCE
    turnover = {"is_reference": False, "difference_turnover_per_year": 1.0, "error_turnover_per_year": 0.1}
    assert verdict(turnover, "turnover_per_year") == "worse"
    weights = {"is_reference": False, "difference_unused_losses_usd": -1.0, "error_unused_losses_usd": 0.1}
    assert verdict(weights, "unused_losses_usd") == "less"


def test_every_difference_is_shown_with_its_error_and_a_verdict(done: Settings) -> None:
    policies = policies_of(done, study().study_id)
    rows = compared(policies, [NEVER])
    assert rows["policy_id"].unique(maintain_order=True).to_list() == [MONTHLY, NEVER]
    assert rows.filter(policy_id=NEVER, measure="turnover_per_year")["verdict"].to_list() == ["better"]
    assert rows.filter(policy_id=MONTHLY)["verdict"].unique().to_list() == [REFERENCE]
    with pytest.raises(WrongUsage, match=f"no policy never\n\nHint: .* as {MONTHLY}"):
        compared(policies, ["never"])
    table = policy_table(policies)
    assert table[0][0] == MONTHLY
    assert all("±" in str(row[2]) for row in table[1:])


def test_files_are_stamped_with_criteria_assumptions_and_risks(done: Settings, tmp_path: Path) -> None:
    page, *tables = export_study(done, study().study_id, tmp_path / "out")
    text = page.read_text()
    for word in (
        "Hypothetical performance",
        "Criteria",
        "Assumptions",
        "Risks",
        "37.0%",
        "lognormal",
        "bonds 0.4, stocks 0.6",
        MONTHLY,
        "not distinguishable",
    ):
        assert word in text
    assert "http" not in text.replace("http-equiv", "").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert [path.stem for path in tables] == [name for name in LAB if name not in OF_A_FIRM]
    for path in tables:
        assert pl.read_parquet(path)["is_hypothetical"].all()
        words = json.loads(pl.read_parquet_metadata(path)["hypothetical"])
        assert words.keys() == {"title", "criteria", "assumptions", "risks"}


def test_a_name_is_no_markup(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    plan = enter_study(settings, study(TEXT.replace('"small"', '"<b>bold</b>"')))
    run_shards(settings, plan, 0)
    summed_up(settings, plan)
    assert "<b>" not in export_study(settings, plan.study.study_id, tmp_path)[0].read_text()


# --- verified


def test_a_study_is_computed_again_and_put_to_a_night(done: Settings) -> None:
    found = verify_study(done, study().study_id, 40)
    assert found.account_count == 4 * 6
    assert found.look_count >= 40


def test_a_figure_that_was_changed_in_the_lake_is_seen(done: Settings, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    plan = enter_study(settings, study())
    frames = {
        name: rows_of(done, name) if name == "lab_paths" else frame for name, frame in shard_frames(plan, 0).items()
    }
    changed = pl.when(pl.col("path_number") == 0).then(pl.col("annual_return") + 1e-6).otherwise("annual_return")
    frames["lab_paths"] = frames["lab_paths"].with_columns(annual_return=changed)
    open_lake(settings).replace(plan.run, 0, frames)
    with pytest.raises(Terminal, match=r"path 0 under .* has annual_return"):
        verify_study(settings, study().study_id, 1)
    open_lake(settings).replace(plan.run, 0, {"lab_paths": frames["lab_paths"][1:]})
    with pytest.raises(Terminal, match="path 0 is not whole"):
        verify_study(settings, study().study_id, 1)


# --- files


def test_a_markets_file_is_taken_from_the_folder_of_the_study(tmp_path: Path) -> None:
    rows = [f"2020-0{month}-28,{name},0.01,0" for month in (1, 2, 3) for name in ("stocks", "bonds")]
    (tmp_path / "market.csv").write_text("\n".join(["date,asset_class,total_return,dividend_yield", *rows]))
    path = tmp_path / "study.toml"
    path.write_text(
        'name = "own"\n[market]\nsource = "file"\npath = "market.csv"\n[book]\ntargets = { stocks = 0.6, bonds = 0.4 }\n[grid]\nlook = "monthly"\n'
    )
    found = read_study(path)
    assert plan_of(found).path_count == 1
    (tmp_path / "elsewhere").mkdir()
    for name in ("market.csv", "study.toml"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    assert read_study(tmp_path / "elsewhere" / "study.toml").study_id == found.study_id
    with pytest.raises(
        WrongUsage, match=r"study.toml cannot be read: No such file .*\n\nHint: `trimtab lab run` takes a TOML file"
    ):
        read_study(path)


def test_what_the_engine_cannot_try_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with pytest.raises(WrongUsage, match="the lab cannot try policy: trade_mode is "):
        enter_study(settings, study(TEXT.partition("[grid]")[0] + '[grid]\ntrade_mode = "buy_only"\n'))
    assert list_studies(settings).is_empty()


def test_a_study_of_classes_without_data_is_refused_before_anything_is_written() -> None:
    text = TEXT.partition("[paths]")[2]
    with pytest.raises(WrongUsage, match=r"the market.s data have no class gold"):
        plan_of(
            study(
                'name = "x"\n[market]\nsource = "bootstrap"\ndata = "us_1926_2018"\n[paths]'
                + text.replace("bonds", "gold")
            )
        )


def test_a_plan_is_the_same_on_every_machine() -> None:
    assert replace(plan_of(study())).run == plan_of(study()).run
