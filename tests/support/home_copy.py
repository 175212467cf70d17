"""A home copied as it stands: a night takes seconds, a copy of the home after it milliseconds."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from schemas.settings import Settings

DATABASES = ("ledger.sqlite", "lake/catalog.sqlite")


def copy_home(home: Path, to: Path) -> Path:
    """The home, its ledger and its embedded lake at another place, where neither has been; what the lake calls its place too."""
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("*.sqlite", "*.sqlite-*"))
    copy_databases(home, to)
    with closing(sqlite3.connect(to / DATABASES[1])) as catalog, catalog:
        place = f"{Settings(home=to).lake_data_address}/"
        catalog.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", (place,))
    return to


def copy_databases(home: Path, to: Path) -> None:
    """Ledger and catalogue as SQLite reads them: a connection that somebody still has open may move what was written last while files are copied."""
    for name in DATABASES:
        with closing(sqlite3.connect(home / name)) as there, closing(sqlite3.connect(to / name)) as here:
            there.backup(here)
        shutil.copymode(home / name, to / name)
