"""``trimtab book``: the whole book over nights, and what waits for whom."""

from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands.terminal import Json, notice, print_json, print_table
from tasks.review import BookBy, WaitStores, book_groups, book_nights, waiting_now
from tasks.runtime import open_ledger, settings_of_a_home, utc_now
from warehouse.lake import open_lake


def book(
    *,
    by: Annotated[BookBy | None, typer.Option("--by", help="Group accounts by this; all of them where absent.")] = None,
    nights: Annotated[int, typer.Option("--nights", min=1, max=260, help="How many nights, the newest.")] = 10,
    is_json: Json = False,
) -> None:
    """Show drift, turnover, tax, cost and outcomes of the whole book over nights, and what waits for whom and until when."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        runs = ledger.runs.full_nights(nights)[::-1]
        found = book_groups(book_nights(open_lake(settings), runs), by)
        at = WaitStores(
            ledger.proposals, ledger.waits, ledger.users, ledger.runs, ledger.model_changes, ledger.policy_changes
        )
        waits = waiting_now(at, utc_now())
    if is_json:
        print_json({"groups": [asdict(one) for one in found], "waiting": [asdict(one) for one in waits]})
        return
    if not found:
        notice("no night on the whole book is done yet\n\nHint: `trimtab nightly` runs one, `trimtab demo` makes one.")
    else:
        columns = (
            "night",
            "group",
            "accounts",
            "value $",
            "drift %",
            "after %",
            "out of band",
            "turnover %",
            "tax $",
            "cost $",
        )
        print_table(
            "the book",
            columns,
            [
                (
                    one.as_of_date,
                    one.name,
                    one.accounts,
                    round(one.value_usd),
                    _percent(one.one_way_drift),
                    _percent(one.one_way_drift_after),
                    one.out_of_band,
                    _percent(one.turnover),
                    round(one.tax_usd),
                    round(one.cost_usd),
                )
                for one in found
            ],
            whole=("night",),
        )
    rows = [
        (
            one.kind.replace("_", " "),
            one.role,
            ", ".join(one.people),
            one.custodian or one.subject,
            one.count,
            one.expires_at,
        )
        for one in waits
    ]
    print_table("waiting", ("for", "role", "people", "at", "count", "too late at"), rows)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 2)
