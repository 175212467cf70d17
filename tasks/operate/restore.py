"""A backup becomes a home again: every byte is looked at first, the ledger comes last, and then both are looked through.

Exports that were made after the backup left without the restored ledger's knowing: ``docs/how-to/backup.md`` says what to do about them.
"""

import json
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.enums import RunState
from schemas.errors import Terminal, WrongUsage
from schemas.settings import Settings
from tasks.operate.backup import LEDGER, MANIFEST, SUCCESS, VERSION
from tasks.operate.maintenance_lock import maintenance_lock
from tasks.operate.retention import Retention
from tasks.runtime import flush_tree, hash_file, make_folders, open_ledger, utc_now
from warehouse.copies import has_catalogue, has_ledger, load_catalogue, load_ledger, objects_at
from warehouse.lake import SQLITE, open_upkeep

DATA: Final = "lake/data/"
"""Where a backup has files of the lake."""
SHOWN: Final = 3
"""How many of the things that do not fit a message names."""


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What a restored home holds. ``checked_run_count``: finished runs whose rows were counted in the lake."""

    made_at: str
    file_count: int
    audit_rows: int
    run_count: int
    checked_run_count: int


def restore(settings: Settings, folder: Path) -> RestoreResult:
    """Make the home of the settings what a backup says, and look through it.

    Raises
    ------
    WrongUsage
        The folder is no backup, the stores of the settings are not empty, or files of the lake that are not in the backup are not
        where the settings say.
    Terminal
        The backup is not what was written, or the restored ledger and lake do not belong together.
    AuditBroken
        The restored ledger's audit chain is not whole.
    """
    manifest = check_backup(folder)
    make_folders(settings.home)
    with maintenance_lock(settings):
        need_empty(settings)
        need_objects(settings, manifest)
        _copy(folder, manifest, settings)
        catalogue = folder / "lake" / ("." if settings.lake_address.startswith(SQLITE) else "catalog")
        load_catalogue(catalogue, settings.lake_address, settings.lake_data_address)
        load_ledger(folder / LEDGER, settings.ledger_address)
    return _check_home(settings, manifest)


def check_backup(folder: Path) -> dict[str, Any]:
    """The manifest of a backup, every file of which is as it was written.

    Raises
    ------
    WrongUsage
        It is no backup of this version.
    Terminal
        A file is missing or changed.
    """
    if not (folder / SUCCESS).is_file() or not (folder / MANIFEST).is_file():
        raise WrongUsage(f"{folder} is no backup; needed a folder with {MANIFEST} and {SUCCESS}")
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if manifest["version"] != VERSION:
        raise WrongUsage(f"{folder} is a backup of version {manifest['version']}; needed version {VERSION}")
    wrong = [path for path, known in manifest["files"].items() if _size_and_hash(folder / path) != known]
    if wrong:
        raise Terminal(
            f"{len(wrong)} files of the backup are missing or not what was written: {', '.join(wrong[:SHOWN])}. "
            "Nothing was restored.\n\nHint: take an earlier backup."
        )
    return manifest


def _size_and_hash(path: Path) -> list[Any] | None:
    return [path.stat().st_size, hash_file(path)] if path.is_file() else None


def need_empty(settings: Settings) -> None:
    """Refuse where anything would be overwritten.

    Raises
    ------
    WrongUsage
        There is a ledger, a lake or an export.
    """
    data = settings.lake_data_address
    folders = [settings.export_folder, *([] if "://" in data else [Path(data)])]
    found = [str(each) for each in folders if each.is_dir() and any(each.iterdir())]
    found += ["a ledger"] if has_ledger(settings.ledger_address) else []
    found += ["a lake"] if has_catalogue(settings.lake_address) else []
    if found:
        raise WrongUsage(
            f"there is something already: {', '.join(found)}; needed an empty home. Nothing was overwritten.\n\n"
            "Hint: put it aside, or say another TRIMTAB_HOME."
        )


def need_objects(settings: Settings, manifest: Mapping[str, Any]) -> None:
    """Refuse where the catalogue would name files that are not there: those in an object store are not in the backup.

    Raises
    ------
    WrongUsage
        Some are missing: ``maintain`` removed them since, or the lake's data are to be of another kind of place than they were.
    """
    place, needed = settings.lake_data_address, set(manifest["objects"])
    is_remote = "://" in place
    if is_remote:
        needed |= {path.removeprefix(DATA) for path in manifest["files"] if path.startswith(DATA)}
    if missing := sorted(needed - (objects_at(place) if is_remote else set())):
        raise WrongUsage(
            f"{len(missing)} files of the lake are not at {place}: {', '.join(missing[:SHOWN])}; needed all that the backup names and "
            "has not in it. Nothing was restored.\n\n"
            f"Hint: is TRIMTAB_LAKE_DATA_URL where they are? Else bring back what the bucket had at {manifest['made_at']}, or take a "
            "later backup."
        )


def _copy(folder: Path, manifest: Mapping[str, Any], settings: Settings) -> None:
    """The lake's files and the exports; copies, so that the backup stays what it is."""
    places = {"exports/": settings.export_folder}
    if "://" not in settings.lake_data_address:
        places[DATA] = Path(settings.lake_data_address)
    for prefix, place in places.items():
        for path in (path for path in manifest["files"] if path.startswith(prefix)):
            target = place / path.removeprefix(prefix)
            make_folders(target.parent)
            shutil.copy2(folder / path, target)
        if place.is_dir():
            flush_tree(place)


def _check_home(settings: Settings, manifest: Mapping[str, Any]) -> RestoreResult:
    with closing(open_ledger(settings)) as ledger:
        audit_rows = ledger.audit.verify_audit()
        runs = ledger.runs.list_runs(limit=None)
        retention = Retention.of(settings, ledger.runs, utc_now())
    with open_upkeep(settings) as lake:
        counts = lake.run_counts()
    done = [run for run in runs if run.state == RunState.DONE and not retention.is_beyond(run)]
    wrong = [
        run.run_id
        for run in done
        if counts.get(run.run_id, (0, 0)) != (run.counts.get("accounts", 0), run.counts.get("orders", 0))
    ]
    if wrong:
        raise Terminal(
            f"the ledger and the lake do not belong together: {len(wrong)} runs have other accounts or orders in the lake, "
            f"{', '.join(wrong[:SHOWN])}\n\nHint: take another backup, and tell who made this one."
        )
    return RestoreResult(manifest["made_at"], len(manifest["files"]), audit_rows, len(runs), len(done))
