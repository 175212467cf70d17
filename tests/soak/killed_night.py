"""A night that is killed without notice, again and again, at points named or at moments drawn: ``python -m tests.soak.killed_night JSON``.

The process that forks has done nothing but import, so that no thread is lost; each attempt works in the same home.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from schemas.settings import Settings
from tasks.runtime.umask import private_files
from tests.support.night_driver import POINTS, export, run_night


def killed_nights(settings: Settings, as_of: date, seed: int, times: int, seconds: float) -> list[str]:
    """Where attempts were killed, of ``times``; a moment is drawn up to ``seconds`` after the attempt began. One that was over before is none."""
    told = {"settings": settings.model_dump_json(), "as_of": as_of.isoformat()}
    told |= {"seed": str(seed), "times": str(times), "seconds": str(seconds)}
    command = [sys.executable, "-m", "tests.soak.killed_night", json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    ends: list[str] = json.loads(done.stdout.splitlines()[-1])
    return ends


def _attempt(settings: Settings, as_of: date) -> None:
    night = run_night(settings, None, as_of)
    export(settings, night.run_id)


def _one(settings: Settings, as_of: date, draw: random.Random, seconds: float) -> str:
    """Where the attempt was killed; empty: it was over before."""
    point = draw.choice(sorted(POINTS)) if draw.random() < 0.5 else ""
    moment = draw.uniform(0.2, seconds)
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - until it is killed
        if point:
            POINTS[point]()
        try:
            _attempt(settings, as_of)
        finally:
            os._exit(0)
    end = time.monotonic() + (moment if not point else 600)
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            was_killed = os.waitstatus_to_exitcode(status) == -signal.SIGKILL
            return point if was_killed else ""
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return f"after {moment:.1f} s"


def _main(told: dict[str, str]) -> None:
    private_files()
    settings = Settings.model_validate_json(told["settings"])
    draw = random.Random(int(told["seed"]))  # noqa: S311 - the year is the same again
    as_of, seconds = date.fromisoformat(told["as_of"]), float(told["seconds"])
    ends: Sequence[str] = [_one(settings, as_of, draw, seconds) for _ in range(int(told["times"]))]
    print(json.dumps([end for end in ends if end]))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
