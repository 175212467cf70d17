"""The stack's PostgreSQL: made once in ``var/stack/postgres``, its databases and the password of their owner set at each start."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from deploy.stack.place import HOST, ROLE, Place, Trouble
from deploy.stack.programs import Part

RUNS_AS: Final = "postgres"
"""Who runs it where root starts the stack: PostgreSQL refuses to be run by root."""
LONGEST_SOCKET: Final = 100
"""A socket's path may have 107 characters (unix(7))."""
DATABASES: Final = ("prefect", "lake", "ledger")


def program(name: str) -> str:
    """A program of PostgreSQL: on the path, else the newest that Debian's packages installed.

    Raises
    ------
    Trouble
        There is none.
    """
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    found = shutil.which(name) or (str(installed[-1]) if installed else None)
    if found is None:
        raise Trouble(f"no {name} on this machine\n\nHint: install PostgreSQL, such as apt-get install postgresql.")
    return found


def runs_as() -> str | None:
    """The user that PostgreSQL is given to; null: whoever started the stack."""
    if os.geteuid():
        return None
    if RUNS_AS not in {user.pw_name for user in pwd.getpwall()}:
        raise Trouble("PostgreSQL does not run as root, and there is no user postgres\n\nHint: start as another user.")
    return RUNS_AS


def postgres(place: Place) -> Part:
    """The server, made where there is none yet; a lake in memory begins with an empty catalogue and ledger."""
    folder, user = place.folder / "postgres", runs_as()
    if len(f"{folder}/.s.PGSQL.{place.ports['postgres']}") > LONGEST_SOCKET:
        raise Trouble(f"the path of {folder} is too long for a socket\n\nHint: --folder with a shorter one.")
    folder.mkdir(mode=0o700, exist_ok=True)
    if user:
        shutil.chown(folder, user, user)
    data = folder / "data"
    if not (data / "PG_VERSION").is_file():
        ways = ("--auth-local=peer", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
        _run((program("initdb"), f"--pgdata={data}", *ways), user)
    options = {"port": place.ports["postgres"], "unix_socket_directories": folder, "listen_addresses": HOST}
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return Part(
        "postgres",
        (program("postgres"), "-D", str(data), *words),
        {"PATH": os.environ.get("PATH", "")},
        lambda: _answers(place, user),
        then=lambda: _run(_psql(place), user, _statements(place)),
        user=user,
        ending=signal.SIGINT,
    )


def _psql(place: Place) -> tuple[str, ...]:
    where = (f"--host={place.folder / 'postgres'}", f"--port={place.ports['postgres']}", "--dbname=postgres")
    return (program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *where)


def _answers(place: Place, user: str | None) -> bool:
    with suppress(Trouble):
        _run(_psql(place), user, "SELECT;")
        return True
    return False


def _statements(place: Place) -> str:
    """Read from standard input, so that nobody sees the password in a list of processes."""
    made = [
        f"SELECT 'CREATE ROLE {ROLE} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') \\gexec",
        f"ALTER ROLE {ROLE} PASSWORD '{place.password}';",
    ]
    for name in DATABASES:
        there = f"SELECT FROM pg_database WHERE datname = '{name}'"
        made.append(f"SELECT 'CREATE DATABASE {name} OWNER {ROLE}' WHERE NOT EXISTS ({there}) \\gexec")
    return "\n".join(made)


def forget_facts(place: Place) -> None:
    """Drop the databases that mean nothing without the objects of an S3 server that forgot them."""
    _run(_psql(place), runs_as(), "DROP DATABASE IF EXISTS lake; \nDROP DATABASE IF EXISTS ledger;")
    _run(_psql(place), runs_as(), _statements(place))


def _run(words: tuple[str, ...], user: str | None, text: str = "") -> None:
    who = {"user": user, "group": user, "extra_groups": ()} if user else {}
    done = subprocess.run(  # type: ignore[call-overload]  # noqa: S603 - our own words
        words, input=text, text=True, capture_output=True, check=False, cwd="/", **who
    )
    if done.returncode:
        raise Trouble(f"{Path(words[0]).name}: {done.stdout}{done.stderr}".strip())


def clear_postgres(folder: Path) -> None:
    """End a server that an earlier stack left behind: its environment is overwritten by its title, so it is known by its folder."""
    data = folder / "postgres" / "data"
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        server = psutil.Process(int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0]))
        while server.cwd() == str(data):
            server.send_signal(signal.SIGQUIT)
            time.sleep(0.2)
