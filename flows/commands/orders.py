"""``trimtab orders``: orders that left and that accounts wait for, and what a person says became of them."""

from contextlib import closing
from typing import Annotated

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, notice, print_frame, print_json
from tasks.reconcile import rules, waited_for
from tasks.runtime import current_actor, open_ledger, settings_of_a_home, utc_now
from warehouse.lake import open_lake

app = typer.Typer(no_args_is_help=True, help="Orders that left and that accounts wait for; say what became of them.")


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Option("--account", help="Orders of one account.")] = None,
    *,
    is_json: Json = False,
) -> None:
    """Show orders without a final word that the holdings of the newest nights do not show, the oldest first."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        found = waited_for(open_lake(settings), ledger.runs, ledger.answers, account)
    if is_json:
        print_json(found.to_dicts())
    else:
        print_frame(f"{found.height:,} orders that accounts wait for", found)


@app.command()
def settle(
    order: Annotated[list[str], typer.Argument(metavar="ORDER...", help="Orders, by their whole names.")],
    note: Annotated[str, typer.Option("--note", help="What became of them, and who says so; recorded.")],
) -> None:
    """Say that no more will come of orders that left; their accounts are looked at again. All of them or none."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        done = ledger.executions.settle_orders(
            order, rules=rules(settings.min_allocation_units), actor=current_actor(), note=note, now=utc_now()
        )
    for row in done.changed.iter_rows(named=True):
        say(f"{row['order_id']} {row['state']}, filled with {row['filled_quantity'].normalize():f}")
    notice("The next night looks at their accounts again, on the holdings that it finds.")
