"""The parts of a stack, in the order in which they are started."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx

from deploy.stack.place import BUCKET, HOST, ROLE, Place, Trouble, is_free
from deploy.stack.postgres import forget_facts, postgres
from deploy.stack.programs import ROOT, Part, last_lines

POOL: Final = "trimtab"
BIN: Final = Path(sys.executable).parent
SILENCE_SECONDS: Final = 90
"""After how long without a heartbeat the stack takes a run for crashed: three of them."""


def parts(place: Place, silence: int) -> Iterator[Part]:
    """Every part; each is asked for when the one before it is ready."""
    yield postgres(place)
    if place.store is None:
        yield s3(place)
    yield from dask(place)
    yield server(place, silence)
    yield worker(place)
    yield console(place)


def s3(place: Place) -> Part:
    """An S3 server in memory. It is not started again: its objects would be gone and the lake with them."""
    forget_facts(place)
    for name in ("exports", "staging"):
        shutil.rmtree(place.home / name, ignore_errors=True)
    words = (str(BIN / "moto_server"), "-H", HOST, "-p", str(place.ports["s3"]))
    return Part(
        "s3",
        words,
        place.environment(),
        answers(f"{place.url('s3')}/moto-api/"),
        then=lambda: ignored(httpx.put(f"{place.url('s3')}/{BUCKET}").raise_for_status()),
        is_restarted=False,
    )


def ignored(_: object) -> None:
    """Whatever came back says nothing more than that it went well."""


def answers(url: str) -> Callable[[], bool]:
    """Whether an address answers with something that is no error."""

    def is_ready() -> bool:
        try:
            return httpx.get(url, timeout=5).is_success
        except httpx.TransportError:
            return False

    return is_ready


def dask(place: Place) -> Iterator[Part]:
    """A scheduler, and two worker processes under one supervisor."""
    scheduler = f"tcp://{HOST}:{place.ports['dask']}"
    page = f"{HOST}:{place.ports['dask-page']}"
    scheduling = ("scheduler", "--host", HOST, "--port", str(place.ports["dask"]), "--dashboard-address", page)
    yield Part(
        "dask-scheduler",
        (str(BIN / "dask"), *scheduling),
        place.environment(),
        lambda: not is_free(place.ports["dask"]),
    )
    working = ("worker", scheduler, "--host", HOST, "--nworkers", "2", "--nthreads", "1", "--no-dashboard")
    folder = ("--local-directory", str(place.folder / "dask"))
    log = place.folder / "logs" / "dask-workers.log"
    yield Part(
        "dask-workers",
        (str(BIN / "dask"), *working, *folder),
        place.environment(POLARS_MAX_THREADS="1"),
        lambda: log.read_text(encoding="utf-8", errors="replace").count("Registered to:") >= 2,  # noqa: PLR2004
    )


def server(place: Place, silence: int) -> Part:
    """Prefect's server and pages; then the work pool, the deployments, the automations and the alerts."""
    database = f"postgresql+asyncpg://{ROLE}:{place.password}@{HOST}:{place.ports['postgres']}/prefect"
    return Part(
        "server",
        (str(BIN / "prefect"), "server", "start", "--host", HOST, "--port", str(place.ports["server"])),
        place.environment(PREFECT_SERVER_DATABASE_CONNECTION_URL=database),
        answers(f"{place.api_url}/health"),
        then=lambda: deploy(place, silence),
    )


def deploy(place: Place, silence: int) -> None:
    """What `deploy/` says to Prefect: may be said again."""
    file = ("--prefect-file", "deploy/prefect.yaml")
    for words in (
        ("prefect", "work-pool", "create", POOL, "--type", "process", "--overwrite"),
        ("prefect", "--no-prompt", "deploy", *file, "--all"),
        ("python", "-m", "deploy.automations", "--silence", str(silence)),
        ("python", "-m", "deploy.alerts"),
    ):
        log = place.folder / "logs" / "deploy.log"
        with log.open("ab") as output:
            done = subprocess.run(  # noqa: S603 - our own words
                (str(BIN / words[0]), *words[1:]),
                cwd=ROOT,
                env=place.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise Trouble(f"{' '.join(words)} failed\n\n{last_lines(log)}\n\nHint: all of it is in {log}.")


def worker(place: Place) -> Part:
    """Starts the runs of the pool, each as a process of its own."""

    def is_online() -> bool:
        found = httpx.post(f"{place.api_url}/work_pools/{POOL}/workers/filter", json={}, timeout=10)
        return found.is_success and any(one["status"] == "ONLINE" for one in found.json())

    words = ("prefect", "worker", "start", "--pool", POOL, "--type", "process")
    return Part("worker", (str(BIN / words[0]), *words[1:]), place.environment(), is_online)


def console(place: Place) -> Part:
    """The review console and its API."""
    words = ("trimtab", "console", "--host", HOST, "--port", str(place.ports["console"]))
    return Part(
        "console", (str(BIN / words[0]), *words[1:]), place.environment(), answers(f"{place.url('console')}/healthz")
    )
