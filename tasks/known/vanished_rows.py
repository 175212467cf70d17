"""What a run's tables about what may be traded lack of the last night's."""

from schemas.landing_columns import dtypes
from schemas.run import RunRef
from tasks.core.gate import in_current_terms
from tasks.core.guards import WATCHED, Vanished, vanished_rows
from tasks.known.corporate_actions import actions_of
from tasks.known.history import trade_date_of
from warehouse.lake import Lake
from warehouse.ledger import RunRow


def read_vanished(lake: Lake, run: RunRef, last: RunRow) -> Vanished:
    """What is gone since the last night over all accounts."""
    actions = actions_of(lake, run)
    watched = {f"landed_{table}": (*dtypes(table), "row_number") for table in WATCHED}
    subjects = {
        "landed_accounts": ("account_id", "household_id"),
        "landed_securities": ("security_id",),
        "landed_model_targets": ("model_id", "asset_class"),
    }
    then, tonight = (
        {table.removeprefix("landed_"): rows for table, rows in lake.read_tables(columns, run_id).items()}
        for columns, run_id in ((watched, last.run_id), (watched | subjects, run.run_id))
    )
    return vanished_rows(
        in_current_terms(then, actions),
        in_current_terms(tonight, actions),
        last.as_of_date,
        trade_date_of(lake, run),
    )
