"""``trimtab quarantine``: look at the rows that a run set aside, let some pass, hand the rest to those who mend the source."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer

from flows.commands.say import say
from flows.commands.terminal import Json, lines, notice, print_json, print_table
from tasks.review import (
    FileFormat,
    QuarantinedRow,
    QuarantineFilter,
    QuarantineStores,
    ReleasePlan,
    again_with,
    format_of,
    named,
    next_sentence,
    plan_release,
    quarantine,
    readmit_rows,
    write_rows,
)
from tasks.runtime import current_actor, open_ledger, settings_of_a_home
from warehouse.lake import open_lake

app = typer.Typer(no_args_is_help=True, help="Look at source rows that a run set aside, let some of them pass.")

Run = Annotated[str | None, typer.Option("--run", help="A run; the newest where absent.")]
Tables = Annotated[list[str] | None, typer.Option("--table", help="Rows of this landing table; may be repeated.")]
Rules = Annotated[
    list[str] | None, typer.Option("--rule", help="Rows that broke this rule, maybe among others; may be repeated.")
]
Accounts = Annotated[list[str] | None, typer.Option("--account", help="Rows of this account; may be repeated.")]
Securities = Annotated[
    list[str] | None, typer.Option("--security", help="Rows that name this security; may be repeated.")
]

CAUSES: Final = ("row", "cause", "accounts lost", "rows behind it", "what was found")
LISTED: Final = ("row", "where", "account", "broken rules")
LET_THROUGH: Final = ("released by", "at", "because")
SET_ASIDE: Final = ("releasable", "released by")


@contextmanager
def _stores(run: str | None) -> Iterator[QuarantineStores]:
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        yield QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, open_lake(settings), run)


def _filter(
    tables: list[str] | None, rules: list[str] | None, accounts: list[str] | None, securities: list[str] | None
) -> QuarantineFilter:
    return QuarantineFilter(*(tuple(values or ()) for values in (tables, rules, accounts, securities)))


@app.command("list")
def list_(
    run: Run = None,
    table: Tables = None,
    rule: Rules = None,
    account: Accounts = None,
    security: Securities = None,
    *,
    is_released: Annotated[
        bool, typer.Option("--released", help="Rows that the run used though they broke rules: a person let them pass.")
    ] = False,
    is_whole: Annotated[
        bool, typer.Option("--all", help="Rows that are only consequences of others too; so does any condition.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rows to print as a table.")] = 50,
    is_json: Json = False,
) -> None:
    """Show the rows that a run set aside, what they come from first, or with --released those that it used all the same."""
    wanted = _filter(table, rule, account, security)
    with _stores(run) as at:
        if is_released:
            rows = quarantine.readmitted_rows(at)
            found, causes = rows.filter(wanted.holds()), []
        else:
            aside = quarantine.set_aside(at)
            rows, found = aside.rows, aside.matching(wanted)
            causes = aside.causes_of(found)
    if is_json:
        print_json(found.to_dicts())
        return
    _print_causes(causes, limit)
    title = f"{found.height:,} {'rows let through' if is_released else 'rows set aside'} by {at.run.run_id}"
    shown = found if is_released or is_whole or not wanted.is_empty else found.filter(pl.col("kind") == "own")
    columns = (*LISTED, *(LET_THROUGH if is_released else SET_ASIDE))
    listed = [_table_row(one, is_released=is_released) for one in shown.head(limit).iter_rows(named=True)]
    if listed or not causes:
        print_table(title, columns, listed, whole=("row", "account", "broken rules"))
    if found.is_empty() and rows.height:
        rules = rows["broken_rules"].str.split("|").explode().unique().sort()
        notice(f"{rows.height:,} others do not match; rules broken are {', '.join(rules)}.")
    if shown.height > limit:
        notice(f"{shown.height - limit:,} more are not shown; --limit shows more, `trimtab quarantine export` all.")
    left = found.filter(pl.col("kind") == "consequence").height if shown.height < found.height else 0
    if left:
        notice(f"{left:,} are only consequences of what stands above; --all shows them.")
    for event in [] if is_released else quarantine.events(found):
        notice(event)


def _print_causes(causes: Sequence[Mapping[str, Any]], limit: int) -> None:
    """What stands behind the rows, dearest first; nothing where each stands for itself."""
    if not causes:
        return
    rows = [
        (one["quarantine_id"], one["text"], one["accounts"], one["rows_behind"] or None, one["found"])
        for one in causes[:limit]
    ]
    print_table(f"{len(causes):,} causes", CAUSES, rows, whole=("row",))
    if len(causes) > limit:
        notice(f"{len(causes) - limit:,} more causes are not shown; --limit shows more.")


def _table_row(one: Mapping[str, Any], *, is_released: bool) -> tuple[object, ...]:
    """A row in the order of ``LISTED`` and ``LET_THROUGH`` or ``SET_ASIDE``."""
    where = f"{one['file_name']} row {one['row_number']}"
    common = (one["quarantine_id"], where, one["account_id"], lines(*one["broken_rules"].split("|")))
    if is_released:
        return (*common, one["released_by"], one["released_at"], one["release_note"])
    return (*common, "yes" if one["is_releasable"] else "no", one["released_by"])


@app.command()
def show(
    row: Annotated[str, typer.Argument(metavar="ID", help="A row, or the first 6 characters or more.")],
    run: Run = None,
    *,
    is_json: Json = False,
) -> None:
    """Show one row as it was read: its cells, the rules it broke, what it cost, and what can be done."""
    with _stores(run) as at:
        detail = quarantine.show(at, row)
    if is_json:
        print_json(asdict(detail))
    else:
        print_detail(detail)


def print_detail(detail: QuarantinedRow) -> None:
    """The row's cells and its rules as tables, the rest as sentences."""
    say(f"{detail.quarantine_id} of {detail.table_name}, in {detail.run_id}")
    for place in detail.places:
        say(f"  {place}")
    print_table("Cells as they were read", ("column", "value"), detail.cells.items())
    rules = [(one.rule, one.sentence, "yes" if one.is_releasable else "no") for one in detail.rules]
    print_table("Broken rules", ("rule", "found and needed", "can be released"), rules)
    for one in detail.behind:
        say(f"Behind it: {one}")
    say(f"{detail.cost}\n{detail.source}\n{detail.outlook}")


@app.command()
def release(
    rows: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Rows, or the first 6 characters or more.")
    ] = None,
    *,
    note: Annotated[str, typer.Option("--note", help="Why the rows may be used; recorded with each.")] = "",
    run: Run = None,
    table: Tables = None,
    rule: Rules = None,
    account: Accounts = None,
    security: Securities = None,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be released.")] = False,
    is_json: Json = False,
) -> None:
    """Let rows pass that only differ from the night before: those named, or all that the conditions mean; all of them or none."""
    with _stores(run) as at:
        plan = plan_release(at, rows or (), _filter(table, rule, account, security))
        new = (
            plan.rows["quarantine_id"].unique().sort().to_list()
            if is_dry_run
            else readmit_rows(at, plan, actor=current_actor(), note=note, now=datetime.now(UTC))
        )
        following = next_sentence(at.runs, at.run)
    if is_json:
        done = "would_release" if is_dry_run else "released"
        again = again_with(at.run)
        left = {"cannot_be_released": plan.lasting, "broke_other_rules_too": plan.unnamed}
        names = {name: each["quarantine_id"].to_list() for name, each in left.items()}
        print_json({done: new, **names, "next": again})
        return
    if is_dry_run:
        shown = [_table_row(one, is_released=False) for one in plan.rows.iter_rows(named=True)]
        print_table(f"{len(new):,} rows would be released", (*LISTED, *SET_ASIDE), shown, whole=("row", "account"))
    for one in [] if is_dry_run else new:
        say(one)
    _notice_plan(plan, at, is_dry_run=is_dry_run)
    if new and not is_dry_run:
        notice(f"{len(new):,} released for {at.run.as_of_date}. {following}")


def _notice_plan(plan: ReleasePlan, at: QuarantineStores, *, is_dry_run: bool) -> None:
    """What a release reaches, leaves alone, and does not change."""
    if plan.rows.is_empty():
        notice("all of them were released before; nothing was changed")
    elif is_dry_run:
        notice(f"Of {len(plan.accounts):,} accounts: {named(plan.accounts)}. Nothing was released.")
    if plan.lasting.height:
        notice(
            f"{plan.lasting.height:,} more rows match and cannot be released: they break what cannot be waved through."
        )
    if plan.unnamed.height:
        notice(
            f"{plan.unnamed.height:,} more rows match and broke {', '.join(plan.other_rules)} too; "
            f"{' '.join(f'--rule {one}' for one in plan.other_rules)} covers that as well."
        )
    if plan.kept:
        notice(
            f"Other rows keep {len(plan.kept):,} of the accounts quarantined in {at.run.run_id}: {named(plan.kept)}."
        )


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; its ending says the format.")],
    run: Run = None,
    fmt: Annotated[FileFormat | None, typer.Option("--format", help="Instead of what the ending says.")] = None,
) -> None:
    """Write every row that a run set aside to a file, for the people who mend the source."""
    file_format = fmt or format_of(file)
    with _stores(run) as at:
        rows = quarantine.set_aside(at).rows
    named = {"run_id": pl.lit(at.run.run_id), "as_of_date": pl.lit(at.run.as_of_date)}
    write_rows(rows.select([expr.alias(name) for name, expr in named.items()] + [pl.all()]), file, file_format)
    say(f"{file}  {rows.height:,} rows of {at.run.run_id}")
