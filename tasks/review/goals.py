"""The goal of an account's household, from what the lake holds: what ``trimtab goal`` and the account's page say of it."""

from dataclasses import dataclass

import polars as pl

from schemas.enums import ProfileFinding
from schemas.errors import WrongUsage
from schemas.run import RunRef
from tasks.core.profiles import Outlook, advise, findings, goal_outlook, ladder_of, paths_of, profile_of, reason
from tasks.known import read_profiles
from tasks.review.explain import find_run_of
from warehouse.lake import Lake
from warehouse.ledger import Runs


@dataclass(frozen=True, slots=True)
class GoalOfAccount:
    """A household's goal as of a run. ``outlook`` null: no goal, or ``findings`` say what a person has to look at first."""

    run_id: str
    account_id: str
    household_id: str
    investor_id: str
    account_count: int
    model_ids: tuple[str, ...]
    findings: tuple[ProfileFinding, ...]
    reason: str | None
    """Why the rung of the profile is what it is."""
    outlook: Outlook | None


def goal_of_account(lake: Lake, runs: Runs, account_id: str, *, run_id: str | None = None) -> GoalOfAccount:
    """The goal of the household that an account is of; of the newest run that has the account where none is named.

    Raises
    ------
    WrongUsage
        No such run or account, no profile of its household, or nothing is known of what the household holds.
    """
    row, shard = find_run_of(lake, runs, account_id, run_id)
    run = RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count)
    profiles = read_profiles(lake, run)
    names = ("account_id", "household_id", "model_id")
    landed = lake.read("landed_accounts", run.run_id, shard, names)
    own = landed.filter(pl.col("account_id") == account_id)["household_id"].drop_nulls()
    theirs = None if profiles is None else profiles.investors.filter(pl.col("household_id").is_in(own.implode()))
    if profiles is None or theirs is None or theirs.height != 1:
        found = "no profile" if theirs is None or theirs.is_empty() else f"{theirs.height} profiles"
        raise WrongUsage(
            f"the household of {account_id} has {found} in run {run.run_id}; needed one row of the table investors, and a ladder\n\n"
            "Hint: docs/how-to/investors.md says how an account belongs to an investor."
        )
    investor = theirs.row(0, named=True)
    members = landed.filter(pl.col("household_id").is_in(own.implode()))
    drift = lake.read("account_drift", run.run_id, shard, ("account_id", "nav_usd"))
    held = members.join(drift, on="account_id")
    value = float(held["nav_usd"].sum())
    if held.height < members.height or value <= 0:
        raise WrongUsage(
            f"run {run.run_id} does not know what all {members.height} accounts of the household of {account_id} hold\n\n"
            "Hint: `trimtab explain ACCOUNT` says why one was set aside."
        )
    profile, paths, ladder = profile_of(investor), paths_of(profiles.glide_paths), ladder_of(profiles.ladder)
    models = tuple(sorted(set(held["model_id"])))
    odd = findings(profile, value, paths, run.as_of_date)
    advice = None if odd else advise(profile, value, ladder, paths, run.as_of_date)
    places = {ladder.place_of(model) for model in models}
    is_aimed = advice is not None and investor["goal_usd"] is not None
    outlook = (
        goal_outlook(
            ladder,
            now=places.pop() if len(places) == 1 and places != {-1} else None,
            most=advice.place,
            wealth=value,
            goal=float(investor["goal_usd"]),
            years=advice.years,
            yearly_flow=profile.yearly_flow_usd,
        )
        if is_aimed and advice is not None
        else None
    )
    return GoalOfAccount(
        run_id=run.run_id,
        account_id=account_id,
        household_id=str(investor["household_id"]),
        investor_id=str(investor["investor_id"]),
        account_count=held.height,
        model_ids=models,
        findings=odd,
        reason=None if advice is None else reason(advice, ladder),
        outlook=outlook,
    )
