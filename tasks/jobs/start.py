"""Start work that a person asked for: its row in the ledger first, then a process of its own, which the console waits for.

The process is ``trimtab job N`` with this one's settings, in a session of its own: it outlives a console that is stopped. What it prints
goes to ``jobs/N.log`` in the home. One that ends without a word, or whose host was started anew, is settled as failed by whoever looks next.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from schemas.errors import ExitCode
from schemas.settings import Settings
from tasks.runtime import FILE_MODE, FOLDER_MODE, is_alive, utc_now
from warehouse.ledger import JobKind, JobRow, Jobs

KEPT_LOGS: Final = 50
LOST: Final = "its process is gone and said nothing; jobs/{}.log in the home has what it printed"
UNTAKEN: Final = "no process could be started for it: {}"
SECONDS_TO_BEGIN: Final = 120
"""A process that has not taken its job by then never will."""


def log_of(settings: Settings, job_id: int) -> Path:
    """Where a job's process prints."""
    return settings.home / "jobs" / f"{job_id}.log"


def start_job(
    jobs: Jobs, settings: Settings, kind: JobKind, wanted: Mapping[str, Any], *, actor: str, now: datetime
) -> JobRow:
    """Ask the ledger and start the process; the row as it was asked for.

    Raises
    ------
    TrimtabError
        As ``Jobs.ask_job``.
    """
    job = jobs.ask_job(kind, wanted, actor=actor, now=now)
    command = [sys.executable, "-m", "flows.commands.cli", "job", str(job.job_id)]
    home = settings.home.resolve()
    try:
        with _new_log(settings, job.job_id) as log:
            process = subprocess.Popen(  # noqa: S603 - our own program and a number
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TRIMTAB_HOME": str(home)},
                start_new_session=True,
            )
    except OSError as error:
        told = UNTAKEN.format(error.strerror)
        jobs.finish_job(job.job_id, exit_code=ExitCode.FAILED, told=told, run_id=None, now=utc_now())
        return jobs.get_job(job.job_id)
    threading.Thread(target=_await, args=(jobs, job.job_id, process), daemon=True).start()
    return job


def _new_log(settings: Settings, job_id: int) -> Any:
    """The log, for its owner alone; the oldest of many are removed."""
    path = log_of(settings, job_id)
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    older = sorted(path.parent.glob("*.log"), key=lambda one: int(one.stem) if one.stem.isdecimal() else 0)
    for one in older[:-KEPT_LOGS]:
        one.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE), "wb")


def _await(jobs: Jobs, job_id: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait for the process, so that none is left behind; say that it is gone where it did not say so itself."""
    code = process.wait()
    told = LOST.format(job_id)
    jobs.finish_job(job_id, exit_code=code if code > 0 else ExitCode.FAILED, told=told, run_id=None, now=utc_now())


def settle_lost(jobs: Jobs, now: datetime) -> int:
    """Settle jobs whose process is gone from this host, or that none took in time; how many."""
    settled = 0
    for job in jobs.list_jobs(limit=100, is_open=True):
        if job.began_at is None or job.process is None:
            is_lost = (now - job.asked_at).total_seconds() > SECONDS_TO_BEGIN
        else:
            is_lost = job.host == socket.gethostname() and not is_alive(job.process)
        if is_lost:
            told = LOST.format(job.job_id)
            settled += jobs.finish_job(job.job_id, exit_code=ExitCode.FAILED, told=told, run_id=None, now=now)
    return settled
