"""``trimtab goal``: how likely the goal behind an account is, and on which rung to stand for it, by wealth and time."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, RunOfAccount, print_json, print_table
from tasks.core.profiles import NOT_IN_IT, outlook_table
from tasks.review import GoalOfAccount, goal_of_account
from tasks.runtime import open_ledger, settings_of_a_home
from warehouse.lake import open_lake


def goal(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    run: RunOfAccount = None,
    *,
    is_json: Json = False,
) -> None:
    """Say how likely the goal behind an account is, on its rung and on the best, and which rung is best by wealth and time."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        found = goal_of_account(open_lake(settings), ledger.runs, account, run_id=run)
    if is_json:
        print_json(asdict(found))
        return
    print_table(f"Investor {found.investor_id}, household {found.household_id}", ("what", "value"), _facts(found))
    if found.outlook is not None:
        columns, rows = outlook_table(found.outlook)
        print_table("Chance of the goal and best rung, by wealth and years left", columns, rows, whole=columns)
        say(NOT_IN_IT)


def _facts(found: GoalOfAccount) -> Iterator[tuple[str, object]]:
    yield "as of", found.run_id
    yield "accounts", found.account_count
    yield "models", ", ".join(found.model_ids)
    if found.findings:
        yield "a person has to look at", ", ".join(str(one).replace("_", " ") for one in found.findings)
    if found.reason is not None:
        yield "rung of the profile", found.reason
    told = found.outlook
    if told is None:
        if found.reason is not None:
            yield "goal", "none is given"
        return
    yield "goal", f"{told.goal_usd:,.2f} USD in {told.years:.1f} years"
    yield "held", f"{told.wealth_usd:,.2f} USD, {told.yearly_flow_usd:+,.2f} a year"
    if told.chance_as_today is not None:
        yield "chance on the rung of today", f"{told.chance_as_today:.1%}"
    yield "chance on the best rungs of the profile", f"{told.chance_within_profile:.1%}, today rung {told.best_rung}"
    yield "chance on the best of all rungs", f"{told.chance_on_all_rungs:.1%}"
