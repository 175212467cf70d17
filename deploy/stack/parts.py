"""The parts of a stack, in the order in which they are started."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Final

import httpx

from deploy.stack.place import BUCKET, HOST, ROLE, Place, is_free
from deploy.stack.postgres import forget_facts, postgres
from deploy.stack.programs import ROOT, Part, failure

POOL: Final = "trimtab"
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
    words = ("moto_server", "-H", HOST, "-p", str(place.ports["s3"]))
    return Part(
        "s3",
        words,
        place.environment(),
        partial(answers, f"{place.url('s3')}/moto-api/"),
        then=lambda: httpx.put(f"{place.url('s3')}/{BUCKET}").raise_for_status(),
        is_restarted=False,
    )


def answers(url: str) -> bool:
    """Whether an address answers with something that is no error."""
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def dask(place: Place) -> Iterator[Part]:
    """A scheduler, and two worker processes under one supervisor."""
    scheduler = f"tcp://{HOST}:{place.ports['dask']}"
    page = f"{HOST}:{place.ports['dask-page']}"
    port = place.ports["dask"]
    scheduling = ("dask", "scheduler", "--host", HOST, "--port", str(port), "--dashboard-address", page)
    yield Part("dask-scheduler", scheduling, place.environment(), lambda: not is_free(port))
    working = ("dask", "worker", scheduler, "--host", HOST, "--nworkers", "2", "--nthreads", "1", "--no-dashboard")
    folder = ("--local-directory", str(place.folder / "dask"))
    log = place.folder / "logs" / "dask-workers.log"
    yield Part(
        "dask-workers",
        (*working, *folder),
        place.environment(POLARS_MAX_THREADS="1"),
        lambda: log.read_text(encoding="utf-8", errors="replace").count("Registered to:") >= 2,  # noqa: PLR2004
    )


def server(place: Place, silence: int) -> Part:
    """Prefect's server and pages; then the work pool, the deployments, the automations and the alerts."""
    database = f"postgresql+asyncpg://{ROLE}:{place.password}@{HOST}:{place.ports['postgres']}/prefect"
    return Part(
        "server",
        ("prefect", "server", "start", "--host", HOST, "--port", str(place.ports["server"])),
        place.environment(
            PREFECT_SERVER_DATABASE_CONNECTION_URL=database,
            PREFECT_SERVER_API_AUTH_STRING=":".join(place.prefect_lock),
            PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS=place.url("server"),
        ),
        partial(answers, f"{place.api_url}/health"),
        then=partial(deploy, place, silence),
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
        log, own = place.folder / "logs" / "deploy.log", place.environment()
        with log.open("ab") as output:
            done = subprocess.run(  # noqa: S603 - our own words
                words, cwd=ROOT, env=own, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
        if done.returncode:
            raise failure(f"{' '.join(words)} failed", log)


def worker(place: Place) -> Part:
    """Starts the runs of the pool, each as a process of its own."""

    def is_online() -> bool:
        found = httpx.post(
            f"{place.api_url}/work_pools/{POOL}/workers/filter", json={}, timeout=10, auth=place.prefect_lock
        )
        return found.is_success and any(one["status"] == "ONLINE" for one in found.json())

    words = ("prefect", "worker", "start", "--pool", POOL, "--type", "process")
    return Part("worker", words, place.environment(), is_online)


def console(place: Place) -> Part:
    """The review console and its API."""
    words = ("trimtab", "console", "--host", HOST, "--port", str(place.ports["console"]))
    return Part("console", words, place.environment(), partial(answers, f"{place.url('console')}/healthz"))
