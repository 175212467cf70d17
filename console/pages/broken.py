"""What a held run's guards saw: which rows broke what, how many accounts that stopped, and whose."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import polars as pl
from nicegui import ui

from console.pages.parts import panel, plain_table
from console.shared import PageContext, count, words
from schemas.enums import Outcome
from tasks.review import QuarantineStores, quarantine
from warehouse.ledger import RunRow

MOST_REASONS: Final = 12


@dataclass(frozen=True)
class BrokenRows:
    """Causes and rules that accounts' own rows broke, dearest first; and how many accounts of each custodian wait."""

    causes: list[dict[str, Any]]
    own: list[dict[str, Any]]
    custodians: list[tuple[str, int]]


def broken_rows(desk: PageContext, run: RunRow) -> BrokenRows:
    """What a run set aside, as far as it stopped an account."""
    ledger, lake = desk.backend.ledger, desk.backend.lake
    at = QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, lake, run.run_id)
    aside = quarantine.set_aside(at)
    stopped = lake.read("gate", run.run_id).filter(outcome=str(Outcome.QUARANTINED))
    landed = lake.read("landed_accounts", run.run_id, columns=("account_id", "custodian")).unique("account_id")
    by = stopped.join(landed, on="account_id", how="left").group_by(pl.col("custodian").fill_null("not known")).len()
    causes = [one for one in aside.causes_of(aside.rows) if one["accounts"]]
    whose = by.sort("len", "custodian", descending=[True, False]).rows()
    return BrokenRows(causes, aside.traced.own.to_dicts(), whose)


def broken_panel(run: RunRow, broken: BrokenRows) -> None:
    """The panel; each line leads to the rows."""
    if not broken.causes and not broken.own:
        return
    with panel("What broke", wide=True):
        rows = [_line(run, one, one["text"], one["found"]) for one in broken.causes[:MOST_REASONS]]
        rows += [
            _line(run, one, f"rows of accounts' own: {', '.join(words(one['broken_rules']))}", "")
            for one in broken.own[:MOST_REASONS]
        ]
        columns = {"text": "cause", "found": "what was found", "accounts": "accounts stopped"}
        plain_table(columns, rows, numbers=("accounts",), link="text").props('aria-label="What broke"')
        whose = ", ".join(f"{name} {number:,}" for name, number in broken.custodians)
        ui.label(f"Accounts stopped, by custodian: {whose}")


def _line(run: RunRow, one: dict[str, Any], text: str, found: str) -> dict[str, str]:
    """A line of the table; to the rows that broke the first of its rules."""
    rule = quote(one["broken_rules"].partition("|")[0])
    link = f"/quarantine?run={run.run_id}&rule={rule}"
    return {"text": text, "found": found, "accounts": count(one["accounts"]), "link": link}
