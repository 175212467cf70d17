"""Where a stack is: its folder, its ports, its passwords, and the environment that its programs see."""

import os
import secrets
import shlex
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MARK: Final = "STACK_FOLDER"
"""The variable by which the programs of a stack are known again."""
USUAL_PORTS: Final = {
    "postgres": 15432,
    "s3": 19000,
    "dask": 18786,
    "dask-page": 18787,
    "server": 4200,
    "console": 8080,
}
FOREIGN: Final = ("PREFECT_", "TRIMTAB_", "PG", "AWS_", "DASK_")
"""What the caller's environment says about other servers does not count."""
HEARTBEAT_SECONDS: Final = 30
BUCKET: Final = "trimtab"
ROLE: Final = "trimtab"
HOST: Final = "127.0.0.1"


class Trouble(Exception):
    """A sentence for whoever started the stack."""


@dataclass(frozen=True)
class ObjectStore:
    """An S3 server that is there already; its keys come from the ``AWS_`` variables of the caller."""

    endpoint: str
    bucket: str


@dataclass(frozen=True)
class Place:
    """One stack. ``ports``: by the names of ``USUAL_PORTS``. ``store`` null: moto's, in memory."""

    folder: Path
    ports: Mapping[str, int]
    store: ObjectStore | None = None
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    s3_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    prefect_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def home(self) -> Path:
        """``TRIMTAB_HOME``."""
        return self.folder / "home"

    def url(self, name: str) -> str:
        """Address of a part that speaks HTTP."""
        return f"http://{HOST}:{self.ports[name]}"

    @property
    def api_url(self) -> str:
        """Where Prefect's server answers."""
        return f"{self.url('server')}/api"

    @property
    def prefect_lock(self) -> tuple[str, str]:
        """Name and password without which Prefect's server answers nobody: whoever it answers has the worker run what they like."""
        return ROLE, self.prefect_secret

    def exports(self) -> dict[str, str]:
        """The variables with which another terminal works on this stack."""
        port = self.ports["postgres"]
        return {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_API_AUTH_STRING": ":".join(self.prefect_lock),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "TRIMTAB_HOME": str(self.home),
            "TRIMTAB_LAKE_URL": f"ducklake:postgres:host={HOST} port={port} dbname=lake user={ROLE}",
            "TRIMTAB_LAKE_DATA_URL": f"s3://{self.store.bucket if self.store else BUCKET}/lake/",
            "TRIMTAB_LEDGER_URL": f"postgresql+psycopg://{ROLE}@{HOST}:{port}/ledger",
            "TRIMTAB_DASK": f"tcp://{HOST}:{self.ports['dask']}",
            "TRIMTAB_PREFECT_UI_URL": self.url("server"),
            "PGPASSWORD": self.password,
            **self._store_variables(),
        }

    def _store_variables(self) -> dict[str, str]:
        if self.store:
            own = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
            return own | {"AWS_ENDPOINT_URL": self.store.endpoint}
        return {
            "AWS_ENDPOINT_URL": self.url("s3"),
            "AWS_ACCESS_KEY_ID": ROLE,
            "AWS_SECRET_ACCESS_KEY": self.s3_secret,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def environment(self, **more: str) -> dict[str, str]:
        """What a program of the stack sees."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        path = f"{Path(sys.executable).parent}:{own.get('PATH', '')}"
        return own | self.exports() | {"PATH": path, MARK: str(self.folder)} | more

    def make_folders(self) -> None:
        """Folders for the owner only. Root's stack may be walked through, because PostgreSQL runs as another user then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for name in ("logs", "home", "home/landing", "prefect", "dask"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)

    def write_env(self) -> None:
        """``env``: the variables as lines for a shell."""
        text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(self.exports().items()))
        path = self.folder / "env"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="utf-8")


def is_free(port: int) -> bool:
    """Whether nobody listens at the port."""
    with closing(socket.socket()) as probe:  # does not listen: the program that is waited for may do so meanwhile
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """A port for each name that nobody listens at; they differ."""
    sockets = {name: socket.create_server((HOST, 0)) for name in names}
    ports = {name: int(one.getsockname()[1]) for name, one in sockets.items()}
    for one in sockets.values():
        one.close()
    return ports


def usual_ports() -> dict[str, int]:
    """The ports that people know.

    Raises
    ------
    Trouble
        Somebody else listens at one of them.
    """
    taken = [f"{port} ({name})" for name, port in USUAL_PORTS.items() if not is_free(port)]
    if taken:
        raise Trouble(f"something listens already at {', '.join(taken)}\n\nHint: end it, or add --free-ports.")
    return dict(USUAL_PORTS)
