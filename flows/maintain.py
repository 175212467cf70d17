"""Maintenance: a backup, then the lake is kept in order; meant for the weekend, safe beside a night."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Failed

from tasks.operate import maintain_task
from tasks.runtime import foreseen_as_state, private_files


@flow(name="maintain", validate_parameters=False)
@foreseen_as_state
def maintain(*, is_dry_run: bool = False) -> int | State[Any]:
    """Do every chore, or count what they would do; how many did something. Fails where one could not be done."""
    private_files()
    chores = maintain_task(is_dry_run=is_dry_run)
    problems = [f"{one.what}: {one.problem}" for one in chores if one.problem]
    for problem in problems:
        get_run_logger().error("%s", problem.split("\n", maxsplit=1)[0])
    if problems:
        return Failed(name="NotAllDone", message="\n\n".join(problems))
    return sum(one.count > 0 for one in chores)
