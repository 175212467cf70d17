"""``trimtab replay``: a past run computed again from what it pulled; the same bytes, or what differs and why."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, notice, print_json, print_table
from schemas.errors import ExitCode, WrongUsage
from schemas.settings import Settings
from tasks.core.replay import TableDiff
from tasks.operate import ReplayResult, replay_run
from tasks.runtime import settings_of_a_home

PRIVATE_FOLDER: Final = 0o700


def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run; `trimtab runs` lists them.")],
    *,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FOLDER", help="Compute here and leave it; a home like any other.")
    ] = None,
    is_json: Json = False,
) -> None:
    """Compute a run again from its stored inputs and compare every table and file. Exit 1 where anything differs, 4 where inputs are gone."""
    settings = settings_of_a_home()
    with _folder(settings, keep) as folder:
        found = replay_run(settings, run, folder)
    for text in found.notices:
        notice(text)
    if is_json:
        print_json({"is_same": found.is_same, **asdict(found)})
    else:
        _print(found)
    if not found.is_same:
        raise typer.Exit(ExitCode.FAILED)


@contextmanager
def _folder(settings: Settings, keep: Path | None) -> Iterator[Path]:
    """Where it is computed: a new folder in the home that goes at the end, or an empty one that stays."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="replay-", dir=settings.home) as name:
            yield Path(name)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise WrongUsage(f"{keep} is not an empty folder; needed one, or a name that is free")
    keep.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    yield keep


def _print(found: ReplayResult) -> None:
    if found.is_same:
        rows = sum(one.rows for one in found.computed)
        files = sum(one.files for one in found.exports)
        say(
            f"{found.run_id}: the same bytes. {len(found.computed)} tables, {rows:,} rows; "
            f"{len(found.exports)} exports, {files:,} files"
        )
        return
    say(f"{found.run_id} differs")
    _print_tables("computed again", found.computed, "stored", "replayed")
    _print_tables("changed in the lake since the run had ended", found.since, "then", "now")
    for export in found.exports:
        for problem in export.problems:
            say(f"{export.export_id}: {problem}")
    for cause in found.causes:
        say(f"why: {cause}")


def _print_tables(title: str, diffs: tuple[TableDiff, ...], then: str, now: str) -> None:
    differing = [one for one in diffs if not one.is_same]
    if not differing:
        return
    counted = [[one.table, one.rows, one.missing, one.added, one.changed, one.cells] for one in differing]
    print_table(title, ["table", "rows", f"only {then}", f"only {now}", "rows changed", "cells"], counted)
    cells = [
        [one.table, " ".join(str(part) for part in cell.key.values()), cell.column, cell.then, cell.now]
        for one in differing
        for cell in one.samples
    ]
    print_table("the first of them", ["table", "key", "column", then, now], cells)
