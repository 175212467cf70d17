"""Whether a study can be believed: its stored paths come out again, and its trades are those that a night would make."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.errors import Terminal
from schemas.lab_tables import LAB
from schemas.settings import Settings
from tasks.core.lab import compare_with_night, over_accounts
from tasks.lab.simulate import path_rows
from tasks.lab.study import StudyPlan, load_plan
from warehouse.lake import open_lake

TOLERANCE: Final = 1e-9
SAMPLED: Final = 8
"""Paths that are looked at, at most."""
MOST_ACCOUNTS: Final = 64
"""Accounts whose looks are compared with a night's, at most, whatever the grid is."""


@dataclass(frozen=True)
class Verified:
    """What was compared: accounts computed again, and looks at accounts that were put to a night; all of them the same."""

    account_count: int
    look_count: int


def verify_study(settings: Settings, study_id: str, most_looks: int) -> Verified:
    """Compute some paths of a study again, each alone, and put up to ``most_looks`` of its accounts' dates to the night's own steps.

    Raises
    ------
    Terminal
        Something differs: the program or its libraries are others than those that made the study, or the lake was changed.
    """
    lake = open_lake(settings)
    plan, stored = load_plan(settings, study_id), lake.read("lab_paths", study_id)
    numbers = stored["path_number"].unique().sort().to_list()
    chosen = numbers[:: max(1, -(-len(numbers) // SAMPLED))]
    if not chosen:
        raise Terminal(
            f"study {study_id} has no path in the lake\n\nHint: `trimtab lab run` with its file goes on where it was broken off."
        )
    compared = sum(_compare_path(plan, stored, number) for number in chosen)
    return Verified(compared, _compare_nights(plan, most_looks))


def _compare_path(plan: StudyPlan, stored: pl.DataFrame, number: int) -> int:
    market = plan.courses(number, 1)
    figures = over_accounts(plan.figures(market)[1], plan.account_count)
    again = path_rows(plan, figures, number)
    both = again.join(stored, on=["policy_id", "path_number"], suffix="_then", validate="1:1", maintain_order="left")
    if both.height != again.height:
        raise Terminal(f"path {number} is not whole in the lake\n\nHint: run the study again in a new home.")
    for name in (name for name in LAB["lab_paths"] if name in figures):
        now, then = pl.col(name).fill_null(0.0), pl.col(f"{name}_then").fill_null(0.0)
        off = both.filter((now - then).abs() > TOLERANCE * pl.max_horizontal(pl.lit(1.0), then.abs()))
        if off.height:
            row = off.row(0, named=True)
            raise Terminal(
                f"path {number} under {row['policy_id']} has {name} {row[name]}, and {row[f'{name}_then']} in the lake\n\n"
                "Hint: another version of the program made the study; run it again in a new home to have it by this one."
            )
    return again.height


def _compare_nights(plan: StudyPlan, most_looks: int) -> int:
    """Looks of the accounts of the first paths under policies spread over the grid."""
    market = plan.courses(0, min(SAMPLED, plan.path_count))
    policies = plan.policies[:: max(1, -(-len(plan.policies) // MOST_ACCOUNTS))]
    found = compare_with_night(market, policies, plan.terms(market), most_looks)
    if found.differences:
        raise Terminal(
            f"{len(found.differences)} of {found.states} looks trade otherwise than a night would: {found.differences[0]}\n\n"
            "Hint: this is a fault of the program; please report it with the study."
        )
    return found.states
