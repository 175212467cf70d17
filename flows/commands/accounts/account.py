"""``trimtab account``: an account as a whole, as a page or as JSON."""

from contextlib import closing
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from flows.commands.explain_limits import say, title
from flows.commands.explain_tables import (
    CLASSES_BEFORE,
    Column,
    Page,
    column,
    day_text,
    number,
    percent_text,
    print_rows,
    usd,
    word_text,
)
from flows.commands.terminal import Json, RunOfAccount, print_json, text_console
from tasks.core.explain import folded
from tasks.review import AccountStores, account_page
from tasks.runtime import open_ledger, settings_of_a_home
from warehouse.lake import open_lake

PAGE_WIDTH: Final = 100
"""Columns of a page that goes to a file or another program."""
MOST_ROWS: Final = 20
"""Nights, proposals, orders and trades that a page shows; JSON has all."""
Columns = tuple[Column, ...]

HOLDINGS: Final[Columns] = (
    column("symbol", "symbol", word_text),
    column("class", "asset_class", word_text),
    column("quantity", "quantity", number),
    column("price", "price_usd", number),
    column("value", "value_usd"),
    column("cost", "cost_usd"),
    column("short gain", "short_gain_usd"),
    column("long gain", "long_gain_usd"),
)
LOTS: Final[Columns] = (
    column("symbol", "symbol", word_text),
    column("lot", "lot_id", word_text),
    column("quantity", "quantity", number),
    column("unit cost", "unit_cost_usd", number),
    column("value", "value_usd"),
    column("gain", "gain_usd"),
    column("acquired", "acquired_date", day_text),
    column("term", "term", word_text),
    column("long from", "long_term_from", day_text),
)
NIGHTS: Final[Columns] = (
    column("night", "as_of_date", day_text),
    column("outcome", "outcome", word_text),
    column("NAV", "nav_usd"),
    column("drift", "one_way_drift", percent_text),
    column("largest", "max_abs_drift", percent_text),
    column("cash", "settled_usd"),
    column("change", "change_usd"),
    column("trades", "traded_usd"),
    column("other", "other_usd"),
)
PROPOSALS: Final[Columns] = (
    column("night", "as_of_date", day_text),
    column("proposal", "proposal_id", word_text),
    column("state", "state", word_text),
    column("orders", "order_count", number),
    column("trades", "gross_value_usd"),
    column("tax", "est_tax_usd"),
    (
        "drift",
        "right",
        lambda row: f"{percent_text(row['one_way_drift_before'])} to {percent_text(row['one_way_drift_after'])}",
    ),
)
ORDERS: Final[Columns] = (
    column("side", "side", word_text),
    column("symbol", "symbol", word_text),
    column("quantity", "quantity", number),
    column("state", "state", word_text),
    column("filled", "filled_quantity", number),
    column("price", "average_price_usd", number),
    column("last trade", "last_trade_date", day_text),
    column("export", "export_id", word_text),
)
TRADES: Final[Columns] = (
    column("date", "trade_date", day_text),
    column("side", "side", word_text),
    column("security", "security_id", word_text),
    column("quantity", "quantity", number),
    column("price", "price_usd", number),
    column("realized gain", "realized_gain_usd"),
)
MEMBERS: Final[Columns] = (
    column("account", "account_id", word_text),
    column("custodian", "custodian", word_text),
    column("tax status", "tax_status", word_text),
    column("NAV", "nav_usd"),
    column("drift", "one_way_drift", percent_text),
    column("after", "one_way_drift_after", percent_text),
    column("outcome", "outcome", word_text),
    column("proposal", "state", word_text),
)


def account(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    run: RunOfAccount = None,
    *,
    is_json: Json = False,
) -> None:
    """Show an account as a whole: holdings and lots, drift and outcomes over nights, proposals, orders and fills, restrictions, cash, household."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        at = AccountStores(open_lake(settings), ledger.runs, ledger.proposals, ledger.amendments, ledger.answers)
        page = account_page(at, account_id, run_id=run)
    if is_json:
        print_json(page)
        return
    print_page(page, text_console(PAGE_WIDTH))


def print_page(page: Page, console: Console) -> None:
    """Every section that says something."""
    _head(page, console)
    lots = [{**lot, "symbol": held["symbol"]} for held in page["holdings"] for lot in held["lots"]]
    household = page["household"] or {"accounts": []}
    _section(console, "Classes", CLASSES_BEFORE, folded(page["classes"]))
    say(console, *(one["sentence"] for one in (*page["tilts"], *page["indexes"])))
    _section(console, "Holdings", HOLDINGS, page["holdings"])
    _section(console, "Lots", LOTS, lots)
    if page["restrictions"]:
        title(console, "Restrictions")
        say(console, *map(_restriction, page["restrictions"]))
    if page["quarantine"]:
        title(console, "Rows set aside")
        say(console, *(row["message"] for row in page["quarantine"]))
    _section(console, "Nights", NIGHTS, page["nights"], most=MOST_ROWS)
    _section(console, "Proposals", PROPOSALS, page["proposals"], most=MOST_ROWS)
    _section(console, "Orders that left", ORDERS, page["orders"], most=MOST_ROWS)
    _section(console, "Trades", TRADES, page["trades"], most=MOST_ROWS)
    _section(console, f"Household {household.get('household_id')}", MEMBERS, household["accounts"], most=MOST_ROWS)


def _head(page: Page, console: Console) -> None:
    who, run, outcome, value, cash = (page[name] for name in ("account", "run", "outcome", "value", "cash"))
    named = ("household_id", "custodian", "tax_status", "status", "model_id", "policy_id")
    facts = [f"{name.removesuffix('_id').replace('_', ' ')} {who[name]}" for name in named if who[name]]
    console.print(Text(f"Account {who['account_id']}", style="bold"))
    say(console, *([", ".join(facts)] if facts else []))
    say(console, f"run {run['run_id']} ({run['kind']}, {run['state']}), as of {run['as_of_date']}")
    console.print()
    console.print(
        Text(f"{outcome['outcome']}: ", style="bold").append(" ".join(outcome["sentences"]), style="not bold")
    )
    if value["nav_usd"] is not None:
        say(console, f"NAV {usd(value['nav_usd'])} USD; one-way drift {percent_text(value['one_way_drift'])} of it.")
    if cash["settled_usd"] is not None:
        parts = ", ".join(
            f"{name.removesuffix('_usd')} {usd(amount)}" for name, amount in cash.items() if amount is not None
        )
        say(console, f"Cash, USD: {parts}.")


def _section(
    console: Console, heading: str, columns: Columns, rows: list[dict[str, Any]], most: int | None = None
) -> None:
    if not rows:
        return
    title(console, heading)
    print_rows(console, columns, rows[:most])
    if most is not None and len(rows) > most:
        say(console, f"and {len(rows) - most:,} more; --json has them.")


def _restriction(row: Page) -> str:
    """As a sentence: rule, security, whose, until when, and the range of a ``hold_range``."""
    bounds = {
        name: row[name]
        for name in ("min_quantity", "max_quantity", "min_value_usd", "max_value_usd")
        if row[name] is not None
    }
    said = "".join(f", {name.removesuffix('_usd').replace('_', ' ')} {number(bound)}" for name, bound in bounds.items())
    until = f" until {row['until_date']}" if row["until_date"] else ""
    whose = ", of every account" if row["is_everyones"] else ""
    return f"{row['rule'].replace('_', ' ')} {row['security_id']}{until}{said}{whose}"
