"""``trimtab reconcile`` and ``trimtab allot``: what brokers and custodians say of orders, and what people fix of a block's fills."""

from contextlib import closing
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer

from flows.commands.say import hand_over, say
from flows.commands.terminal import Json, notice, print_frame, print_json, print_table
from schemas.errors import ExitCode, WrongUsage
from schemas.settings import Settings
from tasks.reconcile import (
    ReconcileResult,
    allocation_statement,
    as_fix,
    lot_differences,
    open_breaks,
    reconcile_one,
    rules,
)
from tasks.runtime import current_actor, open_ledger, settings_of_a_home, utc_now
from warehouse.lake import open_lake
from warehouse.ledger import AnswerGrace

FORMATS: Final = ("csv", "fix", "flex", "alpaca")


def reconcile(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A file of executions; the open breaks where absent."),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="Whose execution ids these are; the format's name where absent.")
    ] = "",
    fmt: Annotated[
        str | None, typer.Option("--format", help="csv, fix, flex or alpaca; told by the content where absent.")
    ] = None,
    *,
    is_lots: Annotated[
        bool, typer.Option("--lots", help="Show lots that were closed beside those proposed, and the tax difference.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Take in what brokers and custodians say of orders; show breaks. Exit 3 where something is alarming."""
    settings = settings_of_a_home()
    if file is None:
        _show_lots(settings, is_json=is_json) if is_lots else _show_breaks(settings, is_json=is_json)
        return
    if fmt is not None and fmt not in FORMATS:
        raise WrongUsage(f"{fmt} is no format of executions; needed one of {', '.join(FORMATS)}")
    done = reconcile_one(settings, file, source=source, fmt=fmt)
    if is_json:
        print_json(result_fields(done))
    else:
        _print(done)
    if done.alarms.height:
        raise typer.Exit(ExitCode.HELD)


def result_fields(done: ReconcileResult) -> dict[str, Any]:
    """What came of a file, for a program."""
    return {
        "source": done.source,
        "format": done.format,
        "rows": done.row_count,
        "taken": done.taken,
        "read_before": done.again,
        "ignored": dict(done.ignored),
        "rounded": done.rounded,
        "set_aside": done.aside.drop("raw").to_dicts(),
        "orders": done.settled.changed.to_dicts(),
        "breaks": done.settled.new_breaks.to_dicts(),
        "alarms": done.alarms.to_dicts(),
    }


def _print(done: ReconcileResult) -> None:
    states = done.settled.changed["state"].value_counts().sort("state")
    told = ", ".join(f"{count:,} {state}" for state, count in states.iter_rows()) or "no order changed"
    say(
        f"{done.row_count:,} records of {done.source} ({done.format}): {done.taken:,} taken, {done.again:,} read before, "
        f"{done.aside.height:,} set aside; {told}"
    )
    for name, count in sorted(done.ignored.items()):
        notice(f"{count:,} records are none of our business: {name}")
    if done.rounded:
        notice(f"{done.rounded:,} records have numbers of more than six digits after the point; rounded")
    if done.aside.height:
        print_frame(
            f"{done.aside.height:,} set aside, the first", done.aside.select("row_number", "code", "message").head(20)
        )
    if done.settled.new_breaks.height:
        print_frame(f"{done.settled.new_breaks.height:,} new breaks, the first", done.settled.new_breaks.head(20))
    for row in done.alarms.iter_rows(named=True):
        notice(f"ALARM {row['code']}: {row['message']}")


def _show_breaks(settings: Settings, *, is_json: bool) -> None:
    with closing(open_ledger(settings)) as ledger:
        grace = AnswerGrace.of(settings, utc_now())
        breaks, aside = open_breaks(ledger.answers, grace.now, grace), ledger.answers.set_aside()
        early = ledger.fills.not_yet_due(grace)
    if is_json:
        print_json({"breaks": breaks.to_dicts(), "not_yet_due": early, "set_aside": aside.to_dicts()})
        return
    by_code = breaks.group_by("code").agg(orders=pl.len(), amount_usd=pl.col("amount_usd").sum()).sort("code")
    print_frame("open breaks", by_code)
    if early:
        print_table("not yet due: orders without an answer", ("custodian", "orders"), sorted(early.items()))
    print_frame("of them the first", breaks.drop("run_id", "source").head(50))
    if aside.height:
        print_frame(
            "executions set aside", aside.select("source", "row_number", "code", "message", "received_at").head(50)
        )


def _show_lots(settings: Settings, *, is_json: bool) -> None:
    with closing(open_ledger(settings)) as ledger:
        found = lot_differences(open_lake(settings), ledger.answers, ledger.amendments)
    if is_json:
        print_json(found.to_dicts())
    else:
        print_frame("lots closed beside those proposed", found)


def allot(
    block: Annotated[str, typer.Argument(metavar="BLOCK")],
    order: Annotated[
        list[str],
        typer.Option("--order", metavar="ID=QUANTITY", help="What the order gets; ID= takes it back. May be repeated."),
    ],
    note: Annotated[str, typer.Option("--note", help="Why it differs from the rule; recorded.")],
) -> None:
    """Fix what orders of a block get of its fills, against the pro-rata rule."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        done = ledger.executions.allot(
            block,
            dict(_quantity(text) for text in order),
            rules=rules(settings.min_allocation_units),
            actor=current_actor(),
            note=note,
            now=utc_now(),
        )
    say(f"{done.changed.height:,} orders changed")
    if done.changed.height:
        print_frame("orders", done.changed.select("order_id", "state", "filled_quantity", "gross_usd"))


def allocations(
    block: Annotated[
        list[str] | None,
        typer.Option("--block", help="Only this block; may be repeated; all that are filled where absent."),
    ] = None,
    fix: Annotated[
        str | None, typer.Option("--fix", metavar="PROFILE", help="Print FIX AllocationInstructions of this profile.")
    ] = None,
    *,
    is_json: Json = False,
) -> None:
    """Show what each order of a filled block got, at the block's average price."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        rows = allocation_statement(ledger.allotments, ledger.answers, block or ())
        text = "" if fix is None else as_fix(rows, ledger.answers, open_lake(settings), settings, fix)
    if fix is not None:
        hand_over(text)
    elif is_json:
        print_json(rows.to_dicts())
    else:
        print_frame(f"{rows.height:,} allocations", rows.drop("custodian"))


def _quantity(text: str) -> tuple[str, Decimal | None]:
    name, sign, amount = text.rpartition("=")
    try:
        quantity = Decimal(amount) if amount else None
    except InvalidOperation:
        quantity, sign = None, ""
    if not sign or (quantity is not None and not quantity.is_finite()):
        raise WrongUsage(f"{text} is no allotment; needed ID=QUANTITY, or ID= to take it back")
    return name, quantity
