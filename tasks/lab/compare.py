"""What a person is shown of a study: policies beside the reference, each difference with its standard error, noise called noise."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from schemas.errors import WrongUsage
from schemas.lab_tables import LAB
from schemas.settings import Settings
from tasks.core.lab import is_distinguishable
from warehouse.lake import open_lake

NOISE: Final = "not distinguishable"
SAME: Final = "the same"
REFERENCE: Final = "reference"
MEASURED: Final = tuple(name for name in LAB["lab_policies"] if f"difference_{name}" in LAB["lab_policies"])
"""Measures that are compared with the reference."""
OF_REVIEW: Final = tuple(name for name in MEASURED if name.startswith(("proposals_", "review_")))
"""Measures that a study without reviewers' minutes does not have."""
BETTER: Final = {
    "annual_return": 1,
    "sharpe": 1,
    "terminal_wealth_usd": 1,
    "liquidated_wealth_usd": 1,
    "annual_volatility": -1,
    "worst_drawdown": -1,
    "tracking_error": -1,
    "mean_drift": -1,
    "rms_drift": -1,
    "events": -1,
    "orders_per_year": -1,
    "turnover_per_year": -1,
    "cost_per_year_usd": -1,
    "tax_per_year_usd": -1,
    "review_hours_per_year": -1,
}
"""Measures of which more is better, or less; of the rest neither is."""
SHORT: Final = (
    "liquidated_wealth_usd",
    "annual_return",
    "rms_drift",
    "turnover_per_year",
    "tax_per_year_usd",
    "events",
)
"""Measures of the short table."""


def short_measures() -> tuple[str, ...]:
    """Columns of ``policy_table`` behind policy and group."""
    return SHORT


def policies_of(settings: Settings, study_id: str) -> pl.DataFrame:
    """``lab_policies`` of a study, the reference first, then by the wealth that is left after tax.

    Raises
    ------
    WrongUsage
        It is not finished.
    """
    rows = open_lake(settings).read("lab_policies", study_id)
    if rows.is_empty():
        raise WrongUsage(
            f"study {study_id} is not finished\n\nHint: `trimtab lab run` with its file goes on where it was broken off."
        )
    return rows.sort("is_reference", "liquidated_wealth_usd", "policy_id", descending=[True, True, False])


def verdict(row: dict[str, Any], measure: str) -> str:
    """``reference``, ``the same`` on every path, ``not distinguishable``, ``better``, ``worse``, or for measures that are neither ``more`` and ``less``."""
    if row["is_reference"]:
        return REFERENCE
    difference, error = row[f"difference_{measure}"], row[f"error_{measure}"]
    if difference == error == 0:
        return SAME
    if difference is None or error is None or not is_distinguishable(difference, error):
        return NOISE
    if measure not in BETTER:
        return "more" if difference > 0 else "less"
    return "better" if difference * BETTER[measure] > 0 else "worse"


def compared(policies: pl.DataFrame, chosen: Sequence[str] = (), measures: Sequence[str] = MEASURED) -> pl.DataFrame:
    """``policy_id, measure, value, difference, standard_error, verdict`` of some policies, all where none is chosen, each against the reference.

    Raises
    ------
    WrongUsage
        The study has no policy of that name.
    """
    known = set(policies["policy_id"])
    if strange := sorted(set(chosen) - known):
        raise WrongUsage(
            f"the study has no policy {strange[0]}\n\nHint: `trimtab lab show` has them, as {policies['policy_id'][0]}."
        )
    unstated = {name for name in OF_REVIEW if policies[name].null_count() == len(policies)}
    rows = [
        {
            "policy_id": row["policy_id"],
            "measure": measure,
            "value": row[measure],
            "difference": None if row["is_reference"] else row[f"difference_{measure}"],
            "standard_error": None if row["is_reference"] else row[f"error_{measure}"],
            "verdict": verdict(row, measure),
        }
        for row in policies.iter_rows(named=True)
        if not chosen or row["policy_id"] in chosen or row["is_reference"]
        for measure in measures
        if measure not in unstated
    ]
    schema = {"policy_id": pl.String, "measure": pl.String, "value": pl.Float64, "difference": pl.Float64}
    return pl.DataFrame(rows, schema=schema | {"standard_error": pl.Float64, "verdict": pl.String})


def policy_table(policies: pl.DataFrame) -> list[list[Any]]:
    """The short table, a row a policy: its group, then of each measure of ``SHORT`` the value and what its difference says."""
    return [
        [row["policy_id"], row["group"], *(_cell(row, measure) for measure in SHORT)]
        for row in policies.iter_rows(named=True)
    ]


def _cell(row: dict[str, Any], measure: str) -> str:
    value = _number(row[measure])
    if row["is_reference"] or row[f"difference_{measure}"] is None:
        return value
    said = verdict(row, measure)
    if said == SAME:
        return value
    error = row[f"error_{measure}"]
    spread = "" if error is None else f" ± {_number(error)}"
    noise = f", {said}" if said == NOISE else ""
    return f"{value} ({row[f'difference_{measure}']:+{_form(row[measure])}}{spread}{noise})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:{_form(value)}}"


def _form(value: float | None) -> str:
    return ",.0f" if value is not None and abs(value) >= 1_000 else ",.5f"  # noqa: PLR2004 - dollars; fractions
