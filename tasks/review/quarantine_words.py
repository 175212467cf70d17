"""What is said of a row that was set aside: what it cost, where it came from, what can be done, and what follows a release."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from schemas.enums import RunState
from warehouse.ledger import InputRow, RunRow, Runs

MOST_NAMED: Final = 10
"""How many accounts a sentence names."""
_COLUMNS: Final = re.compile(r": ([a-z_]+(?:, [a-z_]+)*) is ")
_UNNAMED: Final = ("", "source")
"""Names of a source to which nobody gave one."""


def cost_sentence(row: Mapping[str, Any], costs: Sequence[str]) -> str:
    """Which accounts are not traded because of the row."""
    if len(costs) == 1:
        return f"Account {costs[0]} is not traded in this run because of it."
    if costs:
        return f"{len(costs):,} accounts are not traded in this run because of it: {named(costs)}."
    if row["account_id"] is None or row["kind"] == "cause":
        return "It keeps no account from being traded."
    return f"It does not keep account {row['account_id']} from being traded."


def named(accounts: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(accounts) - MOST_NAMED:,} more" if len(accounts) > MOST_NAMED else ""
    return ", ".join(accounts[:MOST_NAMED]) + more


def source_sentence(row: Mapping[str, Any], inputs: Iterable[InputRow], run: RunRow, custodian: str | None) -> str:
    """Which cells of which row of which file to look at, and who delivers it, as far as that is known."""
    columns = list(dict.fromkeys(_COLUMNS.findall(row["message"] or "")))
    cells = f"{', '.join(columns)} in " if columns else ""
    names = {each.source for each in inputs if (each.table_name, each.name) == (row["table_name"], row["file_name"])}
    known = sorted(name for name in names if name not in _UNNAMED)
    who = ", ".join(known) or (run.source if ", " not in run.source else "")
    delivered = f", which {who} delivers" if who else ""
    asked = f"; ask {custodian}, who holds the account" if custodian else ""
    return (
        f"Look at {cells}row {row['row_number']} of {row['file_name']} (table {row['table_name']}){delivered}{asked}."
    )


def outlook(row: Mapping[str, Any], lasting: Sequence[str], released: Sequence[Mapping[str, Any]], run: RunRow) -> str:
    """Whether the row can be released, or was, and what to do. ``lasting``: rules that cannot be waved through; ``released``: its releases."""
    again = f"run the night again: `{again_with(run)}`."
    for one in released:
        then = "this run used it." if row["is_used"] else f"that counts once you {again}"
        return f"Released by {one['actor']} on {one['released_at']:%Y-%m-%d %H:%M} UTC ({one['note']}); {then}"
    if row["kind"] == "consequence":
        return f"It cannot be released, for it is only a consequence. Mend what stands behind it, then {again}"
    if lasting:
        return (
            f"It cannot be released: {', '.join(lasting)} cannot be waved through, a row that breaks it cannot be traded "
            f"on. Mend the row at its source, then {again}"
        )
    return f"A reviewer may release it, `trimtab quarantine release {row['quarantine_id']} --note WHY`; then {again}"


def again_with(run: RunRow) -> str:
    """The command that runs the night of a run again, for the accounts that it was limited to."""
    accounts = "".join(f" --account {account}" for account in json.loads(run.scope or "[]"))
    return f"trimtab nightly --as-of {run.as_of_date}{accounts}"


def next_sentence(runs: Runs, run: RunRow) -> str:
    """What happens after rows of the run were released."""
    newer = runs.newer_run_of(run)
    if newer is not None:
        standing = f"{newer.run_id} has taken the place of {run.run_id}, and stays as it is too."
    elif run.state is RunState.HELD:
        standing = f"{run.run_id} is held: `trimtab resume {run.run_id}` would carry it on without them."
    elif run.state is RunState.RUNNING:
        standing = f"{run.run_id} is still at work: what it has judged stays set aside."
    else:
        standing = f"{run.run_id} stays as it is."
    return (
        f"{standing} Run the night again: `{again_with(run)}`. That is a new run, which uses them and replaces what was proposed or "
        "approved for its accounts and has not left. A night of another date judges by itself, and sets the same "
        "differences aside once more unless a run of this one has accepted them."
    )
