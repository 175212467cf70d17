"""A step that follows a stream, killed at each of its effects on the system; as a script, what forks the processes that are killed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tasks.monitor.follow import Follower
from tasks.monitor.follow_look import FollowLook
from tasks.monitor.price_stream import PriceBoard, StreamState
from tasks.runtime.steps import Stores
from tasks.runtime.stores import utc_now
from tests.support.fault_harness import Doom
from tests.support.monitor_scene import TODAY, Scene
from tests.support.quote_server import quote_lines

AT_ONCE: Final = 2


def step(at: Stores, stocks: float) -> FollowLook:
    """One step of a follower that was just started."""
    now, board = utc_now(), PriceBoard()
    board.take(quote_lines({"STK": stocks, "BND": 100}, now), now)
    return Follower(at, board, TODAY).step(StreamState(is_connected=True, since=now), now)


def killed_everywhere(template: Path, homes: Path) -> list[Scene]:
    """A copy of the scene for each effect of a step that finds a breach, in which the process was killed at that effect."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "POLARS_MAX_THREADS": "1"}
    subprocess.run([sys.executable, __file__, str(template), str(homes)], env=environment, check=True)
    return [Scene(path) for path in sorted(homes.iterdir())]


def _kill_each(template: Path, homes: Path) -> None:
    running: dict[int, Path] = {}
    number, is_over = 0, False
    while not is_over or running:
        while not is_over and len(running) < AT_ONCE:
            number += 1
            running[_forked(template, homes / f"{number:04}", number)] = homes / f"{number:04}"
        pid, status = os.wait()
        home = running.pop(pid)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0, home
            is_over = True


def _forked(template: Path, home: Path, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        scene = Scene(template).again(home)
        scene.quote(100)
        with scene.stores() as at:
            Doom(number).install()
            assert step(at, stocks=60).newly == 2
    except BaseException as error:  # noqa: BLE001 - the child ends here whatever happens
        os.write(2, repr(error).encode())
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _kill_each(Path(sys.argv[1]), Path(sys.argv[2]))
