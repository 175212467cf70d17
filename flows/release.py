"""Release: what is approved is exported and delivered, on demand or as each custodian's cut-off comes near."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.export import custodians_due, deliver_task, export_task
from tasks.runtime import current_settings, foreseen_as_state, private_files


@flow(name="release", validate_parameters=False)
@foreseen_as_state
def release(
    run_id: str | None = None, custodians: tuple[str, ...] = (), *, is_due_only: bool = False
) -> int | State[Any]:
    """Export and deliver what is approved; the number of exports made.

    With ``is_due_only``, as the schedule has it, only of custodians whose cut-off comes within ``release_minutes`` or who have none.
    What was exported before and not delivered is delivered in any case.
    """
    private_files()
    due = custodians_due(current_settings()) if is_due_only else list(custodians)
    made = export_task(run_id, due) if due or not is_due_only else 0
    problems = deliver_task(run_id)
    for problem in problems:
        get_run_logger().error("%s", problem.split("\n", maxsplit=1)[0])
    if problems:
        return Failed(name="NotDelivered", message="\n\n".join(problems))
    if not made:
        return Completed(name="NothingToRelease", message="nothing approved is due")
    return made
