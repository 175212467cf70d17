"""Programs that the stack starts, each the leader of a session of its own, and how they are ended."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from deploy.stack.place import MARK, Place, Trouble

PATIENCE_SECONDS: Final = 120
"""How long a part may take to be ready, on a machine that does much else."""
GRACE_SECONDS: Final = 15
"""How long a part may take to end before it is killed."""
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Part:
    """One program. ``then``: what is done each time that it is ready. ``user``: who runs it where root starts the stack."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    then: Callable[[], object] = lambda: None
    user: str | None = None
    ending: signal.Signals = signal.SIGTERM
    is_restarted: bool = True


@dataclass
class Running:
    """A part that was started, and where its words go."""

    part: Part
    log: Path
    process: "subprocess.Popen[bytes]"
    since: float = field(default_factory=time.monotonic)


def start(place: Place, part: Part) -> Running:
    """Start a part and wait until it is ready.

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
    running = Running(part, log, process)
    try:
        _wait_until_ready(running)
        part.then()
    except BaseException:
        end(place, running)
        raise
    return running


def _wait_until_ready(running: Running) -> None:
    until = running.since + PATIENCE_SECONDS
    while not running.part.is_ready():
        if running.process.poll() is not None:
            raise failure(f"{running.part.name} ended at once", running.log)
        if time.monotonic() > until:
            raise failure(f"{running.part.name} was not ready within {PATIENCE_SECONDS} s", running.log)
        time.sleep(0.2)


def failure(what: str, log: Path) -> Trouble:
    """What went wrong, with the end of its log."""
    last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
    return Trouble(f"{what}\n\n{last}\n\nHint: all of it is in {log}.")


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
    while any(_is_in_group(left, process.pid) for left in leftovers(place.folder)) and time.monotonic() < until:
        time.sleep(0.02)


def _is_in_group(one: psutil.Process, leader: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getpgid(one.pid) == leader
    return False


def leftovers(folder: Path) -> list[psutil.Process]:
    """The processes that carry the mark of the stack in ``folder``, whatever session they are in; not our own."""
    found = psutil.process_iter(["environ"])  # null where it is somebody else's
    return [one for one in found if (one.info["environ"] or {}).get(MARK) == str(folder) and one.pid != os.getpid()]


def clear(folder: Path) -> int:
    """Kill what an earlier stack in ``folder`` left behind; how many processes it was."""
    found = 0
    while left := leftovers(folder):
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        found += len(left)
        time.sleep(0.1)
    return found
