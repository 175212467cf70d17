"""``trimtab check``: read, parse and gate a night's files alone, before the night."""

from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands.nightly import AsOf, Source, parsed_date
from flows.commands.say import say
from flows.commands.terminal import Json, print_json, print_table
from schemas.errors import ExitCode
from tasks.operate import FilesCheck, check_files
from tasks.runtime import current_settings

MOST_CAUSES = 20


def check(
    as_of: AsOf,
    source: Source = None,
    *,
    is_strict: Annotated[bool, typer.Option("--strict", help="Exit 5 where accounts would be quarantined.")] = False,
    is_json: Json = False,
) -> None:
    """Read, parse and gate a night's files alone: what would be refused, set aside, missing or held. Nothing is kept."""
    found = check_files(current_settings(), parsed_date(as_of), source or ())
    if is_json:
        print_json(asdict(found))
    else:
        for line in check_sentences(found):
            say(line)
        print_table("files", ["table", "file", "rows", "state", "note"], [list(one.values()) for one in found.files])
        if found.causes:
            rows = [[one["text"], one["found"], one["accounts"]] for one in found.causes[:MOST_CAUSES]]
            print_table("what would be set aside", ["cause", "what was found", "accounts lost"], rows)
    if found.held is not None:
        raise typer.Exit(ExitCode.HELD)
    if is_strict and found.quarantined_count:
        raise typer.Exit(ExitCode.STRICT)


def check_sentences(found: FilesCheck) -> list[str]:
    """What a check came to."""
    lines = [f"{found.account_count:,} accounts of {found.as_of_date} would be looked at."]
    if found.row_count:
        lines.append(
            f"{found.row_count:,} rows would be set aside, and {found.quarantined_count:,} accounts would wait for them."
        )
    else:
        lines.append("No row would be set aside.")
    if found.held is not None:
        reason = found.held.partition("\n\nHint:")[0].partition(" is held: ")[2] or found.held
        lines.append(f"The night would be held: {reason}")
    return lines
