"""Kill a process at its n-th effect on the system, for every n; as a script, the process that is killed.

An effect is a call that changes a file or a folder, waits for a disk, or is a statement or a commit of the ledger. The process gets SIGKILL in
the place of its n-th effect; of a write, half is done first. One process for each n is forked from one that has only
imported what it needs: Polars has started no thread there yet.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from schemas.enums import ProfileFormat
from schemas.exports import Delivery, Profile
from tasks.export.deliver import Deliverer, deliver_exports
from tasks.export.plan import ExportPlan
from tasks.reconcile.reconcile import reconcile
from tests.support.export_scene import NOW, Scene, contents
from tests.support.fill_scene import fill, write_fills

EFFECTS: Final = ("open", "write", "mkdir", "rename", "link", "fsync", "unlink", "rmdir", "chmod")
"""Functions of ``os`` that change something; ``open`` where it creates."""
AT_ONCE: Final = 2
READ_ONLY: Final = ("SELECT", "PRAGMA", "BEGIN")


@dataclass
class Doom:
    """Kills this process at its n-th effect, counted from 1."""

    at: int
    seen: int = 0

    def come(self) -> bool:
        self.seen += 1
        return self.seen == self.at

    def strike(self) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError  # nobody survives that

    def install(self) -> None:
        for name in EFFECTS:
            setattr(os, name, self._counted(name, getattr(os, name)))
        sa.event.listen(Engine, "commit", lambda _: self.come() and self.strike())
        sa.event.listen(Engine, "before_cursor_execute", self._statement)

    def _statement(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(READ_ONLY) and self.come():
            self.strike()

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def effect(*arguments: Any, **options: Any) -> Any:
            if name == "open" and not arguments[1] & os.O_CREAT:
                return real(*arguments, **options)
            if self.come():
                if name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                self.strike()
            return real(*arguments, **options)

        return effect


def work(home: Path) -> None:
    """Export what is approved in two formats, deliver it, and take in what became of it."""
    scene = Scene(home)
    place = Delivery(name="archive", url=str(home / "drop"))
    lines = Profile(name="lines", format=ProfileFormat.JSONL)
    scene.export_all(plan=ExportPlan(profiles=(lines,)), deliveries=(place,))
    found = deliver_exports(Deliverer(ledger=scene.ledger, deliveries=(place,), now=lambda: NOW))
    assert not [one.problem for one in found if one.problem]
    reconcile(
        home / "fills.csv",
        executions=scene.ledger.executions,
        answers=scene.ledger.answers,
        actor="ops",
        now=NOW + timedelta(hours=9),
    )
    scene.ledger.close()


def prepared(home: Path) -> Path:
    """A home that nothing was exported from yet, and a file of what will come back."""
    Scene(home).prepare().ledger.close()
    rows = (fill("e1", "a1-sell", "3"), fill("e2", "a1-buy", "1"), fill("e3", "gone", "1"), fill("e4", "a2-sell", "9"))
    write_fills(home / "fills.csv", *rows)
    return home


def ledger_rows(home: Path) -> dict[str, list[str]]:
    """Every row of the ledger as text, without the home's name, hashes that follow from it, and the count of attempts."""
    with closing(sqlite3.connect(home / "ledger.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}
    return {name: sorted(_told(row, home) for row in found) for name, found in rows.items()}


def _told(row: dict[str, Any], home: Path) -> str:
    kept = {name: value for name, value in row.items() if name not in {"attempts", "hash", "previous_hash"}}
    return str(kept).replace(str(home), "HOME")


def outcome(home: Path) -> tuple[dict[str, bytes], dict[str, bytes], dict[str, list[str]]]:
    """What there is in the end: exported files, delivered files, rows of the ledger."""
    return contents(home / "exports"), contents(home / "drop"), ledger_rows(home)


def killed_everywhere(template: Path, homes: Path) -> list[Path]:
    """A copy of the template for each effect of ``work``, in which the process was killed at that effect."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "POLARS_MAX_THREADS": "1"}
    subprocess.run([sys.executable, __file__, str(template), str(homes)], env=environment, check=True)
    return sorted(homes.iterdir())


def _kill_each(template: Path, homes: Path) -> None:
    """Fork a process for each effect until one comes to its end."""
    running: dict[int, Path] = {}
    number, is_over = 0, False
    while not is_over or running:
        while not is_over and len(running) < AT_ONCE:
            number += 1
            home = homes / f"{number:04}"
            shutil.copytree(template, home)
            running[_forked(home, number)] = home
        pid, status = os.wait()
        home = running.pop(pid)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0, home
            is_over = True
            shutil.rmtree(home)


def _forked(home: Path, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    Doom(number).install()
    try:
        work(home)
    except BaseException as error:  # noqa: BLE001 - the child ends here whatever happens
        os.write(2, repr(error).encode())
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _kill_each(Path(sys.argv[1]), Path(sys.argv[2]))
