"""Real servers for tests: PostgreSQL, OpenSSH's SFTP and an S3 server, each on a free port of this machine.

Where one cannot be had the tests that need it are skipped with the reason; with ``CI`` set they fail. `tests/conftest.py` offers
the fixtures to every folder, so that a process of tests starts each server once.
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from pyarrow import fs

PATIENCE_SECONDS: Final = 30
PASSWORD: Final = "correct horse"  # noqa: S105 - of a server that lives for one test session
S3_KEY: Final = ("test", "test-secret")


def unavailable(reason: str) -> NoReturn:
    """Skip, or fail where everything must run."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def wait_for_port(port: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=1)):
            return
        time.sleep(0.05)
    pytest.fail(f"nothing listens on port {port}")


@pytest.fixture
def _no_settings_of_mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the tester's own environment says about servers does not count."""
    for name in list(os.environ):
        if name.startswith(("PG", "AWS_", "SSH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@contextmanager
def only_these_servers() -> Iterator[pytest.MonkeyPatch]:
    """An environment with the keys of the tests' PostgreSQL and S3, and nothing of the tester's own about servers or settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PG", "AWS_", "TRIMTAB_"))]:
            patch.delenv(name)
        patch.setenv("PGPASSWORD", PASSWORD)
        patch.setenv("AWS_ACCESS_KEY_ID", S3_KEY[0])
        patch.setenv("AWS_SECRET_ACCESS_KEY", S3_KEY[1])
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield patch


# --- PostgreSQL


@dataclass
class Postgres:
    """A server with the superuser ``owner``, who has the password ``PASSWORD``."""

    port: int
    _names: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str = "postgres", user: str = "owner") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """Name of a database that nobody has used; ``options`` are those of ``CREATE DATABASE``."""
        name = f"book{next(self._names)}"
        self.run("public", f"CREATE DATABASE {name} {options}")
        return name

    def new_schema(self) -> str:
        """Name of a schema that nobody has used."""
        name = f"book{next(self._names)}"
        self.run("public", f"CREATE SCHEMA {name}")
        return name

    def run(self, schema: str, *statements: str) -> list[tuple[Any, ...]]:
        """Rows of the last statement; each is its own transaction. Names without a schema are in ``schema``."""
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - most tests need none of these servers

        rows: list[tuple[Any, ...]] = []
        address = self.url().replace("owner@", f"owner:{PASSWORD.replace(' ', '%20')}@")
        with (
            dbapi.connect(f"{address}?options=-csearch_path%3D{schema}", autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows


def _postgres_program(name: str) -> str:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = shutil.which(name) or (str(installed[-1]) if installed else None)
    return found or unavailable(f"no {name} on this machine: install postgresql")


@contextmanager
def postgres_in(folder: Path) -> Iterator[Postgres]:
    """A server whose data is in ``folder``. It refuses to run as root: the user ``postgres`` runs it then."""
    initdb, pg_ctl = _postgres_program("initdb"), _postgres_program("pg_ctl")
    is_root = os.geteuid() == 0
    words = ["runuser", "-u", "postgres", "--"] if is_root else []
    folder.chmod(0o755)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if is_root:
        shutil.chown(data, "postgres")
    secrets = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    locale = ["--encoding=UTF8", "--locale=C", "--no-sync"]
    run_quietly([*words, initdb, f"--pgdata={data}", "--username=owner", *secrets, *locale])
    port = free_port()
    options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1 -c fsync=off"
    server = [*words, pg_ctl, f"--pgdata={data}", f"--log={data / 'log'}", "--wait"]
    run_quietly([*server, f"--options={options}", "start"])
    try:
        yield Postgres(port)
    finally:
        run_quietly([*server, "--mode=immediate", "stop"])


def run_quietly(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        unavailable(f"{' '.join(words)}: {done.stdout}{done.stderr}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    if os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        unavailable("PostgreSQL does not run as root and there is no user postgres")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, postgres_in(Path(folder)) as server:
        yield server


@pytest.fixture
def postgres(
    postgres_server: Postgres,
    _no_settings_of_mine: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Postgres:
    """The server, with the password of its owner in the environment."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return postgres_server


# --- S3


@dataclass
class ObjectStore:
    """An S3 server that admits everyone."""

    endpoint: str
    port: int
    _names: Iterator[int] = field(default_factory=itertools.count)

    @property
    def files(self) -> fs.S3FileSystem:
        return fs.S3FileSystem(
            access_key=S3_KEY[0],
            secret_key=S3_KEY[1],
            region="us-east-1",
            scheme="http",
            endpoint_override=self.endpoint.removeprefix("http://"),
            allow_bucket_creation=True,
        )

    def new_bucket(self) -> str:
        name = f"bucket{next(self._names)}"
        self.files.create_dir(name)
        return name

    def put(self, path: str, content: bytes) -> None:
        with self.files.open_output_stream(path) as stream:
            stream.write(content)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ObjectStore]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes seconds to import

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield ObjectStore(f"http://{host}:{port}", port)
    server.stop()


@pytest.fixture
def s3(s3_server: ObjectStore, _no_settings_of_mine: None, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The server, with credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3_KEY[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3_KEY[1])
    return s3_server


# --- SFTP


@dataclass
class Sshd:
    """OpenSSH with one user (this one), who logs in with ``key_file``. ``known_hosts`` has its key."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def key_file(self) -> Path:
        return self.folder / "user_key"

    def url(self, folder: Path) -> str:
        return f"sftp://{pwd.getpwuid(os.geteuid()).pw_name}@127.0.0.1:{self.port}{folder}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and its sessions."""
        for pid in [*_offspring(self.process.pid), self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End the server and its sessions as if the machine had gone."""
        self.signal(signal.SIGKILL)
        self.process.wait()


def _offspring(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [each for child in children for each in (*_offspring(int(child)), int(child))]


@contextmanager
def sshd_in(folder: Path) -> Iterator[Sshd]:
    """A server whose keys and settings are in ``folder``."""
    import asyncssh  # noqa: PLC0415 - most tests need none of these servers

    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
    if program is None:
        unavailable("no sshd on this machine: install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    host_key, user_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    for name, key in (("host_key", host_key), ("user_key", user_key)):
        key.write_private_key(str(folder / name))
        (folder / name).chmod(0o600)
    user_key.write_public_key(str(folder / "authorized_keys"))
    public = host_key.export_public_key().decode()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder / 'host_key'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "PermitRootLogin yes",
        "Subsystem sftp internal-sftp",
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    words = [program, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")]
    with subprocess.Popen(words) as process:
        server = Sshd(folder, port, process)
        try:
            wait_for_port(port)
            yield server
        finally:
            if process.poll() is None:
                server.kill()


@pytest.fixture(scope="session")
def sshd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd_in(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def sshd(sshd_server: Sshd, _no_settings_of_mine: None) -> Sshd:
    return sshd_server
