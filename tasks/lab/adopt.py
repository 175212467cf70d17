"""A study's policy as a change of the firm's: what would change, what the study found, and the files that the firm's source takes once two people have approved.

Policies and bands stand in the landing tables ``policies`` and ``model_targets``, which the firm's own source delivers: nothing is changed behind it. Once a change is
adopted, ``change_files`` writes both tables as the last published night had them, with the change in them; the night after the source delivers them trades by them.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from schemas.enums import Calendar
from schemas.errors import DecisionRefused, WrongUsage
from schemas.landing_columns import dtypes
from schemas.mappings import suggest_name
from schemas.policy import Policy
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from tasks.core.gate import accepted_rows
from tasks.known import landed_rows
from tasks.lab.compare import MEASURED, policies_of, verdict
from tasks.lab.study import load_plan
from tasks.runtime import open_ledger
from warehouse.lake import open_lake
from warehouse.ledger import PolicyChange

BETTER: Final = "better"
BANDS: Final = ("absolute_band", "relative_band")
ADOPTED: Final = "adopted"
SHOWN: Final = (
    "liquidated_wealth_usd",
    "annual_return",
    "rms_drift",
    "turnover_per_year",
    "tax_per_year_usd",
    "cost_per_year_usd",
)
"""Measures that are entered beside the change."""


@dataclass(frozen=True)
class Adoption:
    """What is asked for: a policy of a study, for a policy of the firm; its bands for ``models``; ``measure``: for whose sake."""

    study_id: str
    study_policy: str
    policy_id: str
    models: Sequence[str]
    measure: str
    note: str


def propose_adoption(settings: Settings, asked: Adoption, *, actor: str, now: datetime) -> PolicyChange:
    """Enter the change, which waits for two people.

    Raises
    ------
    WrongUsage
        Study, policy, measure or model is not there; bands are asked for and no model is named; the difference is not distinguishable, or no better, and no
        note says why it is wanted all the same.
    DecisionRefused
        The actor may not propose changes.
    """
    content = change_content(settings, asked)
    with closing(open_ledger(settings)) as ledger:
        return ledger.policy_changes.propose_change(
            asked.policy_id, asked.study_id, asked.study_policy, content, actor=actor, note=asked.note, now=now
        )


def change_content(settings: Settings, asked: Adoption) -> dict[str, Any]:
    """Parameters that change, bands and their models, and what the study found."""
    plan, found = load_plan(settings, asked.study_id), policies_of(settings, asked.study_id)
    rows = {row["policy_id"]: row for row in found.iter_rows(named=True)}
    if asked.study_policy not in rows:
        raise WrongUsage(
            f"the study has no policy {asked.study_policy}\n\nHint: {suggest_name(asked.study_policy, sorted(rows))}"
        )
    if asked.measure not in MEASURED:
        raise WrongUsage(f"{asked.measure} is no measure\n\nHint: {suggest_name(asked.measure, MEASURED)}")
    row = rows[asked.study_policy]
    said = verdict(row, asked.measure)
    if said != BETTER and not asked.note.strip():
        raise WrongUsage(
            f"{asked.study_policy} is {said} in {asked.measure}, beside {plan.points[0].policy_id}; needed is a policy that is better\n\n"
            "Hint: --for names another measure; --note says why it is wanted all the same."
        )
    point = next(each for each in plan.points if each.policy_id == asked.study_policy)
    tried = {name: point.parameters()[name] for name in plan.study.grid.values}
    parameters, bands = _as_of_nights(tried)
    night, tables = _night_tables(settings)
    _need_known(asked, bands, tables, night)
    return {
        "parameters": parameters,
        "bands": bands,
        "models": sorted(asked.models) if bands else [],
        "looks": point.look,
        "study_name": plan.study.name,
        "path_count": row["path_count"],
        "measure": asked.measure,
        "verdict": said,
        "found": {name: [row[name], row[f"difference_{name}"], row[f"error_{name}"]] for name in SHOWN},
        "is_hypothetical": True,
    }


def _as_of_nights(tried: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """Parameters of a policy and bands as nights have them: trades on every look of a period are a calendar's."""
    parameters = {name: value for name, value in tried.items() if name in Policy.model_fields}
    bands = {name: tried[name] for name in BANDS if tried.get(name) is not None}
    look = tried.get("look")
    if bands == {"absolute_band": 0.0} and look is not None:
        return {**parameters, "calendar": str(Calendar(look)), "is_threshold_triggered": False}, {}
    return parameters, bands


def _need_known(asked: Adoption, bands: Mapping[str, float], tables: Mapping[str, pl.DataFrame], night: RunRef) -> None:
    policies = tables["policies"]["policy_id"].to_list()
    if asked.policy_id not in policies:
        raise WrongUsage(
            f"run {night.run_id} has no policy {asked.policy_id}\n\nHint: {suggest_name(asked.policy_id, sorted(policies))}"
        )
    models = tables["model_targets"]["model_id"].unique().sort().to_list()
    if strange := sorted(set(asked.models) - set(models)):
        raise WrongUsage(f"run {night.run_id} has no model {strange[0]}\n\nHint: {suggest_name(strange[0], models)}")
    if bands and not asked.models:
        raise WrongUsage(
            f"{', '.join(bands)} stand in model_targets, by model; needed are the models that get them\n\n"
            f"Hint: --model {models[0] if models else 'NAME'}, again for each."
        )


def _night_tables(settings: Settings) -> tuple[RunRef, dict[str, pl.DataFrame]]:
    """The last published night, and ``policies`` and ``model_targets`` as its gate accepted them."""
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.latest_full_run(date.max)
    if row is None:
        raise WrongUsage(f"{settings.home} has no published night\n\nHint: `trimtab nightly` makes one.")
    lake, run = open_lake(settings), RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count)
    broken = lake.read("quarantine", run.run_id, GLOBAL_SHARD, ("table_name", "landed_row"))
    landed = landed_rows(lake, run, GLOBAL_SHARD, is_typed_only=True)
    names = ("policies", "model_targets")
    return run, {name: accepted_rows(name, landed[name], broken).select(dtypes(name).keys()) for name in names}


def change_files(settings: Settings, change_id: str, folder: Path) -> list[Path]:
    """Write ``policies.csv``, and where bands change ``model_targets.csv``, whole landing tables with the change in them.

    Raises
    ------
    DecisionRefused
        The change is not adopted.
    WrongUsage
        It is not there, or the last published night has its policy or a model no longer.
    """
    with closing(open_ledger(settings)) as ledger:
        change = ledger.policy_changes.get_change(change_id)
    if change.state != ADOPTED:
        raise DecisionRefused(
            f"change {change_id} is {change.state}; needed is one that two people have approved\n\nHint: `trimtab lab changes` says who has."
        )
    night, tables = _night_tables(settings)
    content = change.content
    asked = Adoption(change.study_id, change.study_policy, change.policy_id, content["models"], content["measure"], "")
    _need_known(asked, content["bands"], tables, night)
    changed = {"policies": _with(tables["policies"], pl.col("policy_id") == change.policy_id, content["parameters"])}
    if content["bands"]:
        is_meant = pl.col("model_id").is_in(content["models"])
        changed["model_targets"] = _with(tables["model_targets"], is_meant, content["bands"])
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table, rows in changed.items():
        path = folder / f"{table}.csv"
        rows.sort(rows.columns[:2]).write_csv(path)
        paths.append(path)
    return paths


def _with(rows: pl.DataFrame, is_meant: pl.Expr, values: Mapping[str, Any]) -> pl.DataFrame:
    """Rows with some columns of those that are meant replaced."""
    return rows.with_columns(
        pl.when(is_meant).then(pl.lit(value, rows.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )
