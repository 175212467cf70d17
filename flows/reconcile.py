"""Reconcile: what brokers and custodians say of orders is taken in, and what is alarming is told."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.reconcile import reconcile_task
from tasks.runtime import foreseen_as_state, private_files


@flow(name="reconcile", validate_parameters=False)
@foreseen_as_state
def reconcile(path: str | None = None, source: str = "", fmt: str = "") -> State[Any]:
    """Take in one file, or every new file of the sources that the settings name.

    The run fails under the name ``Alarm`` where a person must look: a file was refused, the market did what nobody asked for, or one
    execution was told in two ways.
    """
    private_files()
    told = reconcile_task(path, source, fmt)
    for sentence in told:
        get_run_logger().error("%s", sentence.split("\n", maxsplit=1)[0])
    if told:
        return Failed(name="Alarm", message="\n\n".join(told))
    return Completed(message="everything was taken in")
