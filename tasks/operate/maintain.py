"""Keep a home in order: a backup, the rows of runs beyond the retention, old snapshots, small files, files that nobody needs.

What is done is safe beside a running night; ``warehouse/lake/maintenance.py`` says why. Each chore stands for itself: where one
cannot be done now it says so, and the others go on.

1. Bulk rows of runs beyond the retention are deleted from the lake. The ledger, what trades consist of and what accounts have earned (``KEPT``) stay for good.
2. A snapshot expires when it is older than the retention and than the start of every run that is kept: a replay reads the lake
   as it was when the run ended.
3. A file that was replaced goes a day later, when no reader can have it open any more.
4. A study of the lab goes when it was not asked for again for ``study_days``, unless a change of policy refers to it.
5. A file that nobody names goes when it is older than a day and than the start of every run that is running.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from schemas.enums import RunState
from schemas.errors import TrimtabError
from schemas.lab_tables import LAB, LAB_INTERNAL
from schemas.settings import Settings
from tasks.operate.backup import backup_folder, make_backup, remove_old
from tasks.operate.maintenance_lock import maintenance_lock
from tasks.operate.retention import Retention
from tasks.runtime import is_alive, open_ledger
from warehouse.copies import has_catalogue
from warehouse.lake import LINKS, Upkeep, open_upkeep
from warehouse.ledger import RunRow

KEPT: Final = frozenset({"proposals", "orders", "lot_relief", "performance", "performance_flows"})
"""Tables whose rows are never deleted: they are what trades were proposed, approved and made on."""
SAFE_AGE: Final = timedelta(days=1)
"""Nothing reads or writes a file for longer."""
STAGED_DAYS: Final = 30
"""How long the copies of a night's files stay, in days after its date."""


@dataclass(frozen=True, slots=True)
class Chore:
    """What was done, or would be: ``count`` of ``what``. ``problem``: why it could not be done now; null = it was."""

    what: str
    count: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class MaintenancePlan:
    """What may go. ``runs``: those beyond the retention; studies asked for before ``studies_before`` (null: none) that are not among ``studies_kept``."""

    runs: tuple[str, ...]
    studies_before: datetime | None
    studies_kept: frozenset[str]
    snapshots_before: datetime
    orphans_before: datetime
    replaced_before: datetime

    @classmethod
    def of(cls, settings: Settings, now: datetime) -> "MaintenancePlan":
        """As the ledger stands."""
        with closing(open_ledger(settings)) as ledger:
            runs = ledger.runs.list_runs(limit=None)
            retention = Retention.of(settings, ledger.runs, now)
            kept = frozenset(change.study_id for change in ledger.policy_changes.list_changes())
        before = None if settings.study_days is None else now - timedelta(days=settings.study_days)
        beyond = tuple(run.run_id for run in runs if retention.is_beyond(run))
        return cls(beyond, before, kept, oldest_needed(runs, retention), oldest_under_way(runs, now), now - SAFE_AGE)


def oldest_needed(runs: list[RunRow], retention: Retention) -> datetime:
    """Before this moment no run had begun that may still be replayed."""
    return min([retention.since, *(run.started_at for run in runs if not retention.is_beyond(run))])


def oldest_under_way(runs: list[RunRow], now: datetime) -> datetime:
    """Before this moment nobody who may still be writing had begun."""
    return min([now - SAFE_AGE, *(run.started_at for run in runs if run.state == RunState.RUNNING)])


def maintain(settings: Settings, now: datetime, *, is_dry_run: bool = False) -> list[Chore]:
    """Do all chores, or count what they would do; one line each.

    Raises
    ------
    Retryable
        Another process does them, or backs up, right now.
    """
    chores = (
        [] if is_dry_run or not settings.backup_url else [_do_chore("backups made", lambda: _back_up(settings, now))]
    )
    with maintenance_lock(settings):
        chores += _sweep(settings, now.date(), now, is_dry_run=is_dry_run)
        if not has_catalogue(settings.lake_address):
            return chores
        plan = MaintenancePlan.of(settings, now)
        with open_upkeep(settings) as lake:
            chores += _keep_lake(lake, plan, is_dry_run=is_dry_run)
    return chores


def _do_chore(what: str, work: Callable[[], int]) -> Chore:
    """The chore, or why it was not done."""
    try:
        return Chore(what, work())
    except TrimtabError as error:
        return Chore(what, 0, str(error))


def _back_up(settings: Settings, now: datetime) -> int:
    folder = backup_folder(settings)
    make_backup(settings, folder, now)
    remove_old(folder, settings.backups_kept)
    return 1


def _keep_lake(lake: Upkeep, plan: MaintenancePlan, *, is_dry_run: bool) -> Iterator[Chore]:
    for table in lake.tables():
        if table not in KEPT and plan.runs:
            yield _do_chore(
                f"rows beyond the retention in {table}",
                lambda table=table: lake.delete_runs(table, plan.runs, is_dry_run=is_dry_run),  # type: ignore[misc]
            )
    yield _do_chore("old studies removed", lambda: _remove_studies(lake, plan, is_dry_run=is_dry_run))
    yield _do_chore("snapshots expired", lambda: lake.expire_snapshots(plan.snapshots_before, is_dry_run=is_dry_run))
    yield from _merge(lake, is_dry_run=is_dry_run)
    yield _do_chore("replaced files removed", lambda: lake.remove_replaced(plan.replaced_before, is_dry_run=is_dry_run))
    yield _do_chore("orphan files removed", lambda: lake.remove_orphans(plan.orphans_before, is_dry_run=is_dry_run))


def _remove_studies(lake: Upkeep, plan: MaintenancePlan, *, is_dry_run: bool) -> int:
    """Take old studies out of every table of the lab, last out of the one that names them."""
    if plan.studies_before is None:
        return 0
    studies = [each for each in lake.old_studies(plan.studies_before.date()) if each not in plan.studies_kept]
    of_lab = [table for table in lake.tables() if table in LAB or table in LAB_INTERNAL]
    for table in sorted(of_lab, key=lambda name: name == "lab_studies") if studies and not is_dry_run else []:
        lake.delete_runs(table, studies, is_dry_run=False)
    return len(studies)


def _merge(lake: Upkeep, *, is_dry_run: bool) -> Iterator[Chore]:
    if is_dry_run:
        yield from (Chore(f"small files in {table}", count) for table, count in lake.small_files().items())
        return
    for table in lake.tables():
        yield _do_chore(f"small writes of {table} moved to files", lambda table=table: lake.flush_inlined(table))  # type: ignore[misc]
    for table in lake.small_files():
        yield _do_chore(f"small files merged in {table}", lambda table=table: lake.merge_files(table).files_before)  # type: ignore[misc]


# --- files of this machine


def _sweep(settings: Settings, today: date, now: datetime, *, is_dry_run: bool) -> Iterator[Chore]:
    yield _do_chore("leftover folders removed", lambda: _remove(leftovers(settings, now), is_dry_run=is_dry_run))
    yield _do_chore(
        "staged nights removed", lambda: _remove(old_staging_folders(settings, today), is_dry_run=is_dry_run)
    )


def leftovers(settings: Settings, now: datetime) -> list[Path]:
    """Temporary folders of processes that are gone; only those older than a day, as another container's process is not seen."""
    found = []
    for path in Path(tempfile.gettempdir()).glob(f"{LINKS}*"):
        pid = re.match(rf"{LINKS}(\d+)-", path.name)
        if pid and not is_alive(int(pid[1])) and _is_ours(path, before=now - SAFE_AGE):
            found.append(path)
    return [*found, *settings.home.glob(".maintain-*/")]


def _is_ours(path: Path, *, before: datetime) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return path.owner() == Path("/proc/self").owner() and status.st_mtime < before.timestamp()


def old_staging_folders(settings: Settings, today: date) -> list[Path]:
    """Folders with the copies of a source's files for a night long ago."""
    return [path for path in settings.staging_folder.glob("*/????-??-??") if _age(path.name, today) > STAGED_DAYS]


def _age(name: str, today: date) -> int:
    try:
        return (today - date.fromisoformat(name)).days
    except ValueError:
        return 0


def _remove(folders: list[Path], *, is_dry_run: bool) -> int:
    for folder in folders if not is_dry_run else []:
        shutil.rmtree(folder, ignore_errors=True)
    return len(folders)
