"""Programs that the stack starts, each the leader of a session of its own, and how they are ended."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.stack.place import MARK, Place, Trouble

PATIENCE_SECONDS: Final = 120
"""How long a part may take to be ready, on a machine that does much else."""
GRACE_SECONDS: Final = 15
"""How long a part may take to end before it is killed."""
ROOT: Final = Path(__file__).parents[2]


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Part:
    """One program. ``then``: what is done each time that it is ready. ``user``: who runs it where root starts the stack."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    then: Callable[[], None] = _nothing
    user: str | None = None
    ending: signal.Signals = signal.SIGTERM
    is_restarted: bool = True


@dataclass
class Running:
    """A part that was started."""

    part: Part
    process: "subprocess.Popen[bytes]"
    since: float = field(default_factory=time.monotonic)


def started(place: Place, part: Part) -> Running:
    """The part, once it is ready.

    Raises
    ------
    Trouble
        It ended, or took too long.
    """
    log = place.folder / "logs" / f"{part.name}.log"
    who = {"user": part.user, "group": part.user, "extra_groups": ()} if part.user else {}
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own words
            part.words,
            cwd="/" if part.user else ROOT,
            env=dict(part.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **who,  # type: ignore[call-overload]
        )
    running = Running(part, process)
    (place.folder / "run" / f"{part.name}.pid").write_text(f"{process.pid}\n", encoding="utf-8")
    try:
        _wait_until_ready(running, log)
        part.then()
    except BaseException:
        end(place, running)
        raise
    return running


def _wait_until_ready(running: Running, log: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not running.part.is_ready():
        if running.process.poll() is not None:
            raise Trouble(f"{running.part.name} ended at once\n\n{last_lines(log)}\n\nHint: all of it is in {log}.")
        if time.monotonic() > until:
            raise Trouble(f"{running.part.name} was not ready within {PATIENCE_SECONDS} s\n\nHint: look into {log}.")
        time.sleep(0.2)


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def end(place: Place, running: Running) -> None:
    """End a part: a signal, a while to finish, then its whole session, and wait until that is gone.

    A killed process gives its memory and its ports back only after a moment.
    """
    process = running.process
    if process.poll() is None:
        process.send_signal(running.part.ending)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + GRACE_SECONDS
    while any(_group_of(left) == process.pid for left in leftovers(place.folder)) and time.monotonic() < until:
        time.sleep(0.02)
    (place.folder / "run" / f"{running.part.name}.pid").unlink(missing_ok=True)


def _group_of(process_id: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(process_id)
    return None


def leftovers(folder: Path) -> Iterator[int]:
    """Process ids that carry the mark of the stack in ``folder``, whatever session they are in; not our own."""
    mark = f"{MARK}={folder}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it ended meanwhile, or is somebody else's
            if mark in path.read_bytes().split(b"\0") and int(path.parent.name) != os.getpid():
                yield int(path.parent.name)


def clear(folder: Path) -> int:
    """Kill what an earlier stack in ``folder`` left behind; how many processes it was."""
    found = 0
    while left := list(leftovers(folder)):
        for process_id in left:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        found += len(left)
        time.sleep(0.1)
    for path in (folder / "run").glob("*.pid"):
        path.unlink()
    return found
