"""The shards of a study: each is drawn, run by the engine and measured, and stands in the lake by itself."""

from typing import Final

import numpy as np
import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.lab_tables import LAB
from schemas.run import RunRef
from tasks.core.lab import account_part_rows, over_accounts, part_rows, year_rows
from tasks.core.solver import Floats
from tasks.lab.study import StudyPlan, load_plan
from tasks.runtime import current_settings, retry_quietly
from warehouse.lake import open_lake

SIMULATE: Final = "simulate"
"""The step of a study that is done shard by shard."""


@task(name="lab-paths", cache_policy=NO_CACHE, task_run_name="lab-paths-{shard}", **retry_quietly)
def lab_paths_task(run: RunRef, shard: int) -> None:
    """Write ``lab_parts``, ``lab_year_parts`` and ``lab_paths`` of one shard of a study's paths."""
    lake = open_lake(current_settings())
    plan = load_plan(current_settings(), run.run_id)
    lake.replace(run, shard, shard_frames(plan, shard))


def shard_frames(plan: StudyPlan, shard: int) -> dict[str, pl.DataFrame]:
    """The tables of one shard."""
    paths = plan.paths_of(shard)
    market = plan.courses(paths.start, len(paths))
    measured, by_account = plan.figures(market)
    figures = over_accounts(by_account, plan.account_count)
    shown = max(0, min(len(paths), plan.shown_count - paths.start))
    frames = {
        "lab_parts": part_rows(figures),
        "lab_year_parts": year_rows(measured, market, plan.account_count),
        "lab_paths": path_rows(plan, {name: values[:, :shown] for name, values in figures.items()}, paths.start),
    }
    if plan.firm is not None:
        frames["lab_account_parts"] = account_part_rows(by_account, plan.firm.holders.names)
    return frames


def path_rows(plan: StudyPlan, figures: dict[str, Floats], first: int) -> pl.DataFrame:
    """``lab_paths`` of figures (policies, paths), the first of which is path ``first``."""
    points = plan.points
    shown = figures["annual_return"].shape[1]
    named = {
        "study_id": plan.study.study_id,
        "is_hypothetical": True,
        "policy_id": np.repeat([point.policy_id for point in points], shown),
        "path_number": np.tile(np.arange(first, first + shown), len(points)),
    }
    unknown = np.full(shown * len(points), np.nan)
    measures = {
        name: figures[name].ravel() if name in figures else unknown for name in LAB["lab_paths"] if name not in named
    }
    return pl.DataFrame(named | measures, schema=LAB["lab_paths"], nan_to_null=True)
