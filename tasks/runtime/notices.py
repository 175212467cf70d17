"""What a person may want to know and nothing depends on: to the run's log in Prefect, or to the program's own without one."""

import logging

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger


def give_notice(message: str) -> None:
    """One warning. Never account data."""
    try:
        get_run_logger().warning(message)
    except MissingContextError:
        logging.getLogger("trimtab").warning(message)
