"""What a study found: the parts of all of its shards joined, policies compared with the reference, groups of those that cannot be told apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.lab_tables import LAB
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.core.lab import (
    AllPaths,
    confidence_groups,
    deflated_sharpe,
    merge_accounts,
    merged,
    sharpe_error,
    step_count,
    steps_per_year,
)
from tasks.core.solver import Floats
from tasks.lab.study import StudyPlan, load_plan
from tasks.runtime import current_settings, retry_quietly
from warehouse.lake import Lake, open_lake

FROM_YEARS = {
    "annual_return": "year_return",
    "rms_drift": "rms_drift",
    "turnover_per_year": "turnover",
    "tax_per_year_usd": "tax_usd",
}
"""Measures whose difference on a single path has a standard error from its years, and their names there."""
WEALTH = ("terminal_wealth", "liquidated_wealth")
WITHIN = ("share_exact", "share_within_01_bps", "share_within_10_bps", "share_within_100_bps")
"""Columns of ``GAP_LIMITS``."""
QUANTILES = {0.05: "p05", 0.5: "p50", 0.95: "p95"}


@task(name="lab-summary", cache_policy=NO_CACHE, **retry_quietly)
def lab_summary_task(run: RunRef) -> None:
    """Write ``lab_policies``, ``lab_years`` and ``lab_gaps`` of a study all of whose shards are in the lake."""
    settings = current_settings()
    lake, plan = open_lake(settings), load_plan(settings, run.run_id)
    lake.replace(run, GLOBAL_SHARD, summary_frames(lake, plan))


def summary_frames(lake: Lake, plan: StudyPlan) -> dict[str, pl.DataFrame]:
    """The tables of a study over all of its paths."""
    study_id, shards = plan.study.study_id, plan.run.shards
    whole = merged([lake.read("lab_parts", study_id, shard) for shard in shards])
    by_year = _years(lake, study_id, shards)
    frames = {
        "lab_policies": policy_rows(plan, whole, by_year, lake.read("lab_paths", study_id)),
        "lab_years": year_table(plan, by_year),
        "lab_gaps": gap_rows(plan, whole),
    }
    if plan.firm is not None:
        frames["lab_accounts"] = account_rows(plan, [lake.read("lab_account_parts", study_id, each) for each in shards])
    return frames


def account_rows(plan: StudyPlan, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """``lab_accounts``."""
    names = {number: point.policy_id for number, point in enumerate(plan.points)}
    return merge_accounts(parts).select(
        study_id=pl.lit(plan.study.study_id),
        is_hypothetical=pl.lit(value=True),
        policy_id=pl.col("policy_number").replace_strict(names, return_dtype=pl.String),
        **{name: pl.col(name) for name in list(LAB["lab_accounts"])[3:]},
    )


def _years(lake: Lake, study_id: str, shards: Sequence[int]) -> dict[int, AllPaths]:
    parts = [lake.read("lab_year_parts", study_id, shard) for shard in shards]
    years = parts[0]["year"].unique().sort()
    return {year: merged([part.filter(pl.col("year") == year) for part in parts]) for year in years}


def policy_rows(plan: StudyPlan, whole: AllPaths, by_year: Mapping[int, AllPaths], paths: pl.DataFrame) -> pl.DataFrame:
    """``lab_policies``; ``paths``: those that were kept one by one."""
    points = plan.points
    rows: dict[str, Any] = {
        "study_id": plan.study.study_id,
        "study_name": plan.study.name,
        "is_hypothetical": True,
        "policy_id": [point.policy_id for point in points],
        "is_reference": [number == 0 for number in range(len(points))],
        "path_count": [whole.path_count] * len(points),
        "mean_weights": mean_weights(whole),
        "group": groups(paths, [point.policy_id for point in points]),
        **{name: [point.parameters()[name] for point in points] for name in points[0].parameters()},
    }
    for measure in (name for name in whole.mean if f"difference_{name}" in LAB["lab_policies"]):
        rows[measure] = whole.mean[measure]
        rows[f"difference_{measure}"] = whole.difference[measure]
        rows[f"error_{measure}"] = whole.difference_error[measure]
        if whole.path_count == 1 and measure in FROM_YEARS:
            rows[f"error_{measure}"] = error_over_years(by_year, FROM_YEARS[measure])
    rows |= sharpe_columns(plan, whole) | wealth_columns(whole)
    rows |= {"mean_gap_bps": _mean_gaps(whole), "max_gap_bps": whole.greatest["max_gap_bps"]}
    rows |= {name: [None] * len(points) for name in LAB["lab_policies"] if name not in rows}
    return pl.DataFrame(rows, schema=LAB["lab_policies"], nan_to_null=True)


def mean_weights(whole: AllPaths) -> list[str]:
    """``bonds=0.4|stocks=0.6`` of each policy."""
    classes = [name for name in whole.mean if name.startswith("mean_weight_")]
    count = len(whole.mean[classes[0]])
    return [
        "|".join(f"{name.removeprefix('mean_weight_')}={whole.mean[name][number]:.6f}" for name in sorted(classes))
        for number in range(count)
    ]


def groups(paths: pl.DataFrame, policies: Sequence[str]) -> list[int | None]:
    """The group of each policy by the logarithm of the wealth that its paths end with after tax; null for a single path, and where wealth is used up."""
    is_single = paths["path_number"].n_unique() <= 1
    if is_single or not (paths["liquidated_wealth_usd"] > 0).all():
        return [None] * len(policies)
    wide = paths.pivot("policy_id", index="path_number", values="liquidated_wealth_usd").sort("path_number")
    return list(confidence_groups(-np.log(wide.select(policies).to_numpy())).tolist())


def error_over_years(by_year: Mapping[int, AllPaths], measure: str) -> Floats:
    """Standard error of the mean difference to the reference over the years of a single path, as if they were independent."""
    differences = np.stack([year.difference[measure] for year in by_year.values()])
    if len(differences) == 1:
        return np.full(differences.shape[1], np.nan)
    return np.asarray(differences.std(axis=0, ddof=1) / np.sqrt(len(differences)))


def sharpe_columns(plan: StudyPlan, whole: AllPaths) -> dict[str, Any]:
    """The ratio's standard error: Lo's for a single path, that of the mean over several; and the deflated ratio over the grid."""
    steps, per_year = step_count(plan.study, plan.history), steps_per_year(plan.study, plan.history)
    ratios = whole.mean["sharpe"]
    if whole.path_count == 1:
        errors = [float(sharpe_error(ratio, steps / per_year)) for ratio in ratios]
    else:
        errors = list(whole.deviation["sharpe"] / np.sqrt(whole.path_count))
    per_step = ratios / np.sqrt(per_year)
    variance = float(np.var(per_step, ddof=1)) if len(per_step) > 1 else 0.0
    deflated = [deflated_sharpe(ratio, steps, variance=variance, trials=len(per_step)) for ratio in per_step]
    return {"sharpe_error": errors, "deflated_sharpe": deflated}


def wealth_columns(whole: AllPaths) -> dict[str, Floats]:
    """Standard deviation and quantiles of what is there on the last date."""
    columns = {}
    for name in WEALTH:
        columns[f"{name}_deviation_usd"] = whole.deviation[f"{name}_usd"]
        columns |= {f"{name}_{word}_usd": whole.quantiles[f"{name}_usd"][share] for share, word in QUANTILES.items()}
    return columns


def year_table(plan: StudyPlan, by_year: Mapping[int, AllPaths]) -> pl.DataFrame:
    """``lab_years``."""
    frames = [
        pl.DataFrame(
            {
                "study_id": plan.study.study_id,
                "is_hypothetical": True,
                "policy_id": [point.policy_id for point in plan.points],
                "year": [year] * len(plan.policies),
                "year_return": found.mean["year_return"],
                "difference_year_return": found.difference["year_return"],
                "error_year_return": found.difference_error["year_return"],
                **{name: found.mean[name] for name in ("rms_drift", "turnover", "tax_usd")},
            },
            schema=LAB["lab_years"],
            nan_to_null=True,
        )
        for year, found in by_year.items()
    ]
    return pl.concat(frames)


def gap_rows(plan: StudyPlan, whole: AllPaths) -> pl.DataFrame:
    """``lab_gaps``."""
    quantiles = whole.quantiles["max_gap_bps"]
    return pl.DataFrame(
        {
            "study_id": plan.study.study_id,
            "is_hypothetical": True,
            "policy_id": [point.policy_id for point in plan.points],
            "solve_count": np.rint(whole.mean["solves"] * whole.path_count).astype(np.int64),
            "mean_gap_bps": _mean_gaps(whole),
            "max_gap_bps": whole.greatest["max_gap_bps"],
            **{name: _share(whole, f"gaps_{place}") for place, name in enumerate(WITHIN)},
            "p50_path_max_gap_bps": quantiles[0.5],
            "p95_path_max_gap_bps": quantiles[0.95],
        },
        schema=LAB["lab_gaps"],
    )


def _share(whole: AllPaths, counted: str) -> Floats:
    """Of all solves of all paths; 1 where there were none."""
    solves = whole.mean["solves"]
    return np.asarray(np.where(solves > 0, whole.mean[counted] / np.where(solves > 0, solves, 1), 1.0))


def _mean_gaps(whole: AllPaths) -> Floats:
    """Over all solves of all paths; 0 where there were none."""
    solves = whole.mean["solves"]
    return np.asarray(np.where(solves > 0, whole.mean["gap_sum_bps"] / np.where(solves > 0, solves, 1), 0.0))
