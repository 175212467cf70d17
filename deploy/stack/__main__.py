"""``python -m deploy.stack [up | env | stop]``: start the stack and keep it up, print what another terminal needs, end it."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from deploy.stack.parts import SILENCE_SECONDS, parts
from deploy.stack.place import USUAL_PORTS, ObjectStore, Place, Trouble, free_ports, usual_ports
from deploy.stack.postgres import clear_postgres
from deploy.stack.programs import PATIENCE_SECONDS, ROOT, Running, clear, end, failure, start
from warehouse.file_lock import lock_file

STEADY_SECONDS: Final = 10
"""A part that ends sooner than this after it was ready is not started again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 a part failed, 2 wrong usage."""
    given = _parse(arguments)
    folder = Path(given.folder).resolve()
    try:
        if given.command == "up":
            return up(folder, given)
        return print_env(folder) if given.command == "env" else stop(folder)
    except Trouble as trouble:
        print(f"stack: {trouble}", file=sys.stderr)  # noqa: T201 - a command
        return 2 if given.command != "up" else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description="All that trimtab runs on, for trial.")
    parser.add_argument("command", nargs="?", choices=("up", "env", "stop"), default="up")
    parser.add_argument("--folder", default=str(ROOT / "var" / "stack"), help="where all of it is kept")
    parser.add_argument("--free-ports", action="store_true", help="whatever ports are free, instead of the usual ones")
    parser.add_argument("--s3", metavar="URL", help="an S3 server that is there; keys from AWS_ variables")
    parser.add_argument("--bucket", default="trimtab", help="its bucket, which must exist")
    parser.add_argument(
        "--silence", type=int, default=SILENCE_SECONDS, help="seconds without a heartbeat after which a run has crashed"
    )
    return parser.parse_args(arguments)


def up(folder: Path, given: argparse.Namespace) -> int:
    """Start every part and keep it up until interrupted."""
    os.umask(0o077)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        clear_postgres(folder)
        if left := clear(folder):
            _say(f"ended {left} processes that an earlier stack left behind")
        ports = free_ports(USUAL_PORTS) if given.free_ports else usual_ports()
        place = Place(folder, ports, ObjectStore(given.s3, given.bucket) if given.s3 else None)
        place.make_folders()
        place.write_env()
        running: list[Running] = []
        try:
            for part in parts(place, given.silence):
                _say(f"{part.name} ...")
                running.append(start(place, part))
            _say(_welcome(place))
            _keep_up(place, running)
        except KeyboardInterrupt:
            return 0
        finally:
            _end_all(place, running)


def _end_all(place: Place, running: list[Running]) -> None:
    """In reverse order; a second Ctrl-C does not leave anything behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for one in reversed(running):
        _say(f"ending {one.part.name}")
        end(place, one)
    clear(place.folder)
    (place.folder / "env").unlink(missing_ok=True)


def _keep_up(place: Place, running: list[Running]) -> NoReturn:
    """Start again what ends; forever, but for a part that cannot be or that ends at once."""
    while True:
        for index, one in enumerate(running):
            if one.process.poll() is None:
                continue
            is_steady = time.monotonic() - one.since > STEADY_SECONDS
            end(place, one)
            if not (one.part.is_restarted and is_steady):
                raise failure(f"{one.part.name} ended", one.log)
            _say(f"{one.part.name} ended; starting it again")
            running[index] = start(place, one.part)
        time.sleep(0.5)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """A lock that goes with this process, however it ends; the file names it."""
    lock = lock_file(folder / "lock")
    if lock is None:
        raise Trouble(
            f"the stack in {folder} is up already, process {_holder(folder)}\n\n"
            "Hint: end it with Ctrl-C in its terminal, or with python -m deploy.stack stop."
        )
    with lock:
        lock.truncate(0)
        lock.write(str(os.getpid()).encode())
        yield


def _holder(folder: Path) -> int | None:
    """The process that keeps the stack up; null: none does."""
    path = folder / "lock"
    if not path.is_file():
        return None
    lock = lock_file(path, is_shared=True)
    if lock is None:
        return int(path.read_text(encoding="utf-8") or 0) or None
    lock.close()
    return None


def print_env(folder: Path) -> int:
    """What another terminal sets to work on the stack."""
    if _holder(folder) is None or not (folder / "env").is_file():
        raise Trouble(f"no stack is up in {folder}\n\nHint: make stack starts one.")
    print((folder / "env").read_text(encoding="utf-8"), end="")  # noqa: T201 - a command
    return 0


def stop(folder: Path) -> int:
    """End a stack that is up, and whatever one that was killed left behind."""
    holder = _holder(folder)
    if holder:
        os.kill(holder, signal.SIGTERM)
    until = time.monotonic() + PATIENCE_SECONDS
    while _holder(folder) is not None:
        if time.monotonic() > until:
            raise Trouble(f"process {holder} did not end within {PATIENCE_SECONDS} s")
        time.sleep(0.2)
    clear_postgres(folder)
    clear(folder)
    return 0


def _welcome(place: Place) -> str:
    folder = "" if place.folder == ROOT / "var" / "stack" else f" --folder {place.folder}"
    return f"""
Prefect    {place.url("server")}, which asks for the PREFECT_API_AUTH_STRING of the env below
console    {place.url("console")}
Dask       {place.url("dask-page")}
S3         {place.store.endpoint if place.store else place.url("s3")}{"" if place.store else " (in memory: for trial)"}
PostgreSQL 127.0.0.1:{place.ports["postgres"]}
logs       {place.folder / "logs"}

In another terminal, in this folder:
  eval "$(.venv/bin/python -m deploy.stack env{folder})"
  .venv/bin/trimtab demo --accounts 500
  .venv/bin/trimtab users set-password "$(id -un)"    # to sign in to the console

Up. Ctrl-C ends all of it."""


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
