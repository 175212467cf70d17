"""``trimtab maintain``, ``backup`` and ``restore``: keep a home in order, copy it, and make one of a copy."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, print_json, print_table
from schemas.errors import ExitCode
from tasks.operate import backup_folder, make_backup, remove_old
from tasks.operate import maintain as chores
from tasks.operate import restore as backups
from tasks.runtime import current_settings, settings_of_a_home, utc_now


def maintain(
    *,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be done.")] = False,
    is_json: Json = False,
) -> None:
    """Back up where the settings say, merge small files, remove what is beyond the retention and what nobody needs."""
    done = chores.maintain(settings_of_a_home(), utc_now(), is_dry_run=is_dry_run)
    if is_json:
        print_json([asdict(one) for one in done])
    else:
        rows = [[one.what, one.count, one.problem] for one in done if one.count or one.problem]
        print_table("would be done" if is_dry_run else "done", ["chore", "count", "problem"], rows)
    if any(one.problem for one in done):
        raise typer.Exit(ExitCode.FAILED)


def backup(
    folder: Annotated[str | None, typer.Argument(metavar="FOLDER", help="The settings' where absent.")] = None,
    *,
    is_json: Json = False,
) -> None:
    """Copy ledger, lake and exports to a new folder in FOLDER, beside a night or not."""
    settings = settings_of_a_home()
    place = backup_folder(settings, folder)
    made = make_backup(settings, place, utc_now())
    removed = () if folder else remove_old(place, settings.backups_kept)
    if is_json:
        print_json({**asdict(made), "removed": list(removed)})
        return
    say(made.folder)
    rows = [
        ["files", made.file_count],
        ["bytes", made.size_bytes],
        ["files left in the object store", made.object_count],
    ]
    print_table("backup", ["what", "count"], [*rows, ["older backups removed", len(removed)]])


def restore(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="One backup, named after its moment.")],
    *,
    is_json: Json = False,
) -> None:
    """Make an empty home what a backup says, and check it."""
    found = backups.restore(current_settings(), folder)
    if is_json:
        print_json(asdict(found))
        return
    rows = [
        ["files, each as it was written", found.file_count],
        ["rows of the audit chain, which is whole", found.audit_rows],
        ["runs", found.run_count],
        ["finished runs whose accounts and orders are all in the lake", found.checked_run_count],
    ]
    print_table(f"restored as of {found.made_at}", ["what", "count"], rows)
