import asyncio
import hashlib
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from socket import create_server
from typing import Any

import asyncssh
import pytest

from schemas.errors import InputRefused, SourceUnreachable
from schemas.sources import Source
from tasks.sources import sftp as module
from tasks.sources.fetched_file import FetchedFile
from tasks.sources.sftp import fetch
from tests.support.odd_sftp import OddServer, odd_server
from tests.support.servers import PASSWORD, Sshd, free_port, sshd_in

SECRET = "BANK_PASSWORD"  # noqa: S105 - a variable's name


def every(_: str) -> bool:
    return True


def bank(sshd: Sshd, folder: Path, **more: Any) -> Source:
    known = {"known_hosts": str(sshd.known_hosts), "key_file": str(sshd.key_file)}
    return Source(**{"name": "bank", "url": sshd.url(folder), **known, **more})


def odd(server: OddServer, **more: Any) -> Source:
    known = {"known_hosts": str(server.known_hosts), "password_variable": SECRET}
    return Source(**{"name": "bank", "url": server.url(), **known, **more})


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "staging"


def names(taken: tuple[FetchedFile, ...]) -> list[str]:
    return [file.name for file in taken]


def test_wanted_files_are_copied_over_one_connection_with_their_hash(sshd: Sshd, outbox: Path, staging: Path) -> None:
    content = os.urandom(9_000_000)
    for name, each in {"lots.csv": content, "cash.csv": b"cash", "empty.csv": b"", "note": b"x"}.items():
        (outbox / name).write_bytes(each)
    os.utime(outbox / "cash.csv", (1_000_000_000, 1_000_000_000))
    logins = (sshd.folder / "log").read_text().count("Accepted")
    cash, empty, lots = fetch(bank(sshd, outbox), is_wanted=lambda name: name.endswith(".csv"), staging=staging)
    assert lots.path.read_bytes() == content
    assert (lots.size_bytes, lots.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (cash.name, cash.path.read_bytes(), empty.size_bytes) == ("cash.csv", b"cash", 0)
    assert cash.modified_at == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    assert (sshd.folder / "log").read_text().count("Accepted") == logins + 1


def test_no_folder_or_an_empty_one_delivers_nothing(sshd: Sshd, outbox: Path, staging: Path) -> None:
    assert fetch(bank(sshd, outbox), is_wanted=every, staging=staging) == ()
    assert fetch(bank(sshd, outbox / "2026-01-02"), is_wanted=every, staging=staging) == ()


def test_it_works_in_a_thread_and_beside_a_running_loop(sshd: Sshd, outbox: Path, staging: Path) -> None:
    (outbox / "lots.csv").write_bytes(b"x")

    async def beside() -> tuple[list[str], list[str]]:
        here = fetch(bank(sshd, outbox), is_wanted=every, staging=staging)
        there = await asyncio.to_thread(fetch, bank(sshd, outbox), is_wanted=every, staging=staging)
        return names(here), names(there)

    assert asyncio.run(beside()) == (["lots.csv"], ["lots.csv"])


def test_folders_pipes_and_unfinished_files_are_not_taken_and_links_are(
    sshd: Sshd, outbox: Path, staging: Path
) -> None:
    (outbox / "folder").mkdir()
    os.mkfifo(outbox / "pipe")
    for name in (".hidden", "lots.csv.part", "lots.csv.filepart", "lots\n.csv", "lots\\.csv", "cash.csv"):
        (outbox / name).write_text("x")
    (outbox / "link.csv").symlink_to(outbox / "cash.csv")
    (outbox / "gone.csv").symlink_to(outbox / "nothing")
    (outbox / os.fsdecode(b"lots\xff.csv")).write_text("x")
    assert names(fetch(bank(sshd, outbox), is_wanted=every, staging=staging)) == ["cash.csv", "link.csv"]


def test_a_file_without_its_marker_is_waited_for(sshd: Sshd, outbox: Path, staging: Path) -> None:
    source = bank(sshd, outbox, marker=".done")
    for name in ("lots.csv", "cash.csv", "cash.csv.done"):
        (outbox / name).write_text("x")
    with pytest.raises(SourceUnreachable, match=r"lots\.csv has no lots\.csv\.done beside it"):
        fetch(source, is_wanted=every, staging=staging)
    (outbox / "lots.csv.done").touch()
    assert names(fetch(source, is_wanted=every, staging=staging)) == ["cash.csv", "lots.csv"]


def test_a_file_is_copied_again_only_when_it_or_its_copy_changed(sshd: Sshd, outbox: Path, staging: Path) -> None:
    def again() -> tuple[FetchedFile, ...]:
        return fetch(bank(sshd, outbox), is_wanted=every, staging=staging)

    (outbox / "lots.csv").write_bytes(b"one")
    (first,) = again()
    before = first.path.stat().st_ino
    assert again() == (first,)
    assert first.path.stat().st_ino == before
    (outbox / "lots.csv").write_bytes(b"two")
    os.utime(outbox / "lots.csv", (5, 5))
    (second,) = again()
    assert second.path.read_bytes() == b"two"
    os.truncate(second.path, 1)
    assert again()[0].path.read_bytes() == b"two"
    (outbox / "lots.csv").unlink()
    assert again() == ()


# --- host keys


def test_a_host_that_is_not_known_is_refused_with_what_to_do(sshd: Sshd, outbox: Path, staging: Path) -> None:
    known = staging.parent / "known"
    known.write_text("")
    with pytest.raises(InputRefused, match=r"of bank has no key in .*known; needed(.|\n)*ssh-keyscan -p \d+ 127"):
        fetch(bank(sshd, outbox, known_hosts=str(known)), is_wanted=every, staging=staging)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa"])
def test_a_host_whose_key_changed_is_refused_with_what_to_do(
    sshd: Sshd, outbox: Path, staging: Path, kind: str
) -> None:
    known, other = staging.parent / "known", asyncssh.generate_private_key(kind).export_public_key().decode()
    known.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    with pytest.raises(InputRefused, match=r"of bank shows another key than .*known; needed(.|\n)*ssh-keyscan"):
        fetch(bank(sshd, outbox, known_hosts=str(known)), is_wanted=every, staging=staging)


def test_without_a_file_of_known_hosts_nothing_is_fetched(sshd: Sshd, outbox: Path, staging: Path) -> None:
    with pytest.raises(InputRefused, match=r"/\.ssh/known_hosts cannot be read \(No such file(.|\n)*ssh-keyscan"):
        fetch(bank(sshd, outbox, known_hosts=""), is_wanted=every, staging=staging)


def test_the_users_own_known_hosts_are_used_where_none_are_named(sshd: Sshd, outbox: Path, staging: Path) -> None:
    own = Path.home() / ".ssh"
    own.mkdir()
    (own / "known_hosts").write_text(sshd.known_hosts.read_text())
    assert fetch(bank(sshd, outbox, known_hosts=""), is_wanted=every, staging=staging) == ()


# --- logging in


def test_a_key_that_the_server_does_not_know_is_refused(sshd: Sshd, outbox: Path, staging: Path) -> None:
    stranger = staging.parent / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(stranger))
    with pytest.raises(InputRefused, match=r"of bank turned us away; needed a user(.|\n)*key_file"):
        fetch(bank(sshd, outbox, key_file=str(stranger)), is_wanted=every, staging=staging)


def test_a_key_with_a_passphrase_is_opened_with_the_variable(
    sshd: Sshd, outbox: Path, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = staging.parent / "locked"
    asyncssh.read_private_key(str(sshd.key_file)).write_private_key(str(locked), "pkcs8-pem", passphrase=PASSWORD)
    source = bank(sshd, outbox, key_file=str(locked), password_variable=SECRET)
    monkeypatch.setenv(SECRET, PASSWORD)
    assert fetch(source, is_wanted=every, staging=staging) == ()
    monkeypatch.setenv(SECRET, "wrong")
    with pytest.raises(InputRefused, match=r"the key .*locked of bank cannot be used"):
        fetch(source, is_wanted=every, staging=staging)


def test_a_password_comes_from_its_variable_and_a_wrong_one_is_refused(
    outbox: Path, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with odd_server(outbox) as server:
        (outbox / "served" / "lots.csv").write_bytes(b"x")
        monkeypatch.setenv(SECRET, PASSWORD)
        assert names(fetch(odd(server), is_wanted=every, staging=staging)) == ["lots.csv"]
        monkeypatch.setenv(SECRET, "not-this-one")
        with pytest.raises(InputRefused, match="turned us away") as told:
            fetch(odd(server), is_wanted=every, staging=staging)
        assert "not-this-one" not in str(told.value)


# --- trouble underway


def changing(change: Callable[[Path], object]) -> type[asyncssh.SFTPServer]:
    """A server on which somebody changes a file when its first bytes are read."""

    class Changing(asyncssh.SFTPServer):
        is_done = False

        def read(self, file_obj: Any, offset: int, size: int) -> bytes:
            if not Changing.is_done:
                Changing.is_done = True
                change(Path(os.fsdecode(file_obj.name)))
            return bytes(super().read(file_obj, offset, size))

    return Changing


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize(
    "change",
    [append, lambda path: os.utime(path, (5, 5)), lambda path: os.truncate(path, 1), lambda path: path.unlink()],
    ids=["grows", "is touched", "shrinks", "vanishes"],
)
def test_a_file_that_changes_while_it_is_copied_is_to_be_tried_again(
    outbox: Path, staging: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    monkeypatch.setenv(SECRET, PASSWORD)
    with odd_server(outbox, changing(change)) as server:
        for name in ("lots.csv", "prices.csv"):
            (outbox / "served" / name).write_bytes(b"x" * 100_000)
        with pytest.raises(SourceUnreachable, match=r"lots\.csv of .* while it was copied"):
            fetch(odd(server), is_wanted=every, staging=staging)
        assert not (staging / "lots.csv").exists()


def test_a_server_cannot_name_a_file_outside_the_staging_folder(
    outbox: Path, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hostile(asyncssh.SFTPServer):
        async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
            assert path == b"/"
            for name in (b"../evil.csv", b"/tmp/evil.csv", b"..", b"a/b.csv", b"lots.csv"):
                yield asyncssh.SFTPName(name)

    monkeypatch.setenv(SECRET, PASSWORD)
    with odd_server(outbox, Hostile) as server:
        (outbox / "served" / "lots.csv").write_bytes(b"x")
        assert names(fetch(odd(server), is_wanted=every, staging=staging)) == ["lots.csv"]


def test_a_file_we_may_not_read_is_refused_by_name(
    outbox: Path, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Strict(asyncssh.SFTPServer):
        def open(self, path: bytes, *_: object) -> object:
            raise asyncssh.SFTPPermissionDenied(path.decode())

    monkeypatch.setenv(SECRET, PASSWORD)
    with odd_server(outbox, Strict) as server:
        (outbox / "served" / "lots.csv").write_bytes(b"x")
        with pytest.raises(InputRefused, match=r"of bank does not let us read /lots\.csv"):
            fetch(odd(server), is_wanted=every, staging=staging)


def big_file_underway(sshd: Sshd, outbox: Path, staging: Path, act: Callable[[Sshd], object]) -> None:
    """Fetch what takes seconds, and ``act`` when some of it has come."""
    with (outbox / "lots.csv").open("wb") as file:
        file.truncate(4 << 30)

    def watch() -> None:
        while not any(path.stat().st_size > 1 << 20 for path in staging.glob(".*.part")):
            time.sleep(0.005)
        act(sshd)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        fetch(bank(sshd, outbox), is_wanted=every, staging=staging)
    finally:
        watcher.join()


@pytest.mark.usefixtures("_no_settings_of_mine")
def test_a_server_that_dies_midway_is_unreachable_and_leaves_no_file(
    outbox: Path, staging: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with (
        sshd_in(own) as mortal,
        pytest.raises(SourceUnreachable, match=r"of bank did not answer or broke off"),
    ):
        big_file_underway(mortal, outbox, staging, Sshd.kill)
    assert sorted(path.name for path in staging.iterdir()) == [".lock"]


@pytest.mark.usefixtures("_no_settings_of_mine")
def test_a_server_that_falls_silent_midway_is_unreachable_after_a_while(
    outbox: Path, staging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setattr(module, "ANSWER_SECONDS", 2)
    monkeypatch.setattr(module, "_GOODBYE_SECONDS", 1)
    before = time.monotonic()
    with sshd_in(own) as sleeper, pytest.raises(SourceUnreachable, match="TimeoutError"):
        big_file_underway(sleeper, outbox, staging, lambda server: server.signal(signal.SIGSTOP))
    assert time.monotonic() - before < 15
    assert not (staging / "lots.csv").exists()


def test_a_server_that_is_not_there_is_unreachable(sshd: Sshd, outbox: Path, staging: Path) -> None:
    url = sshd.url(outbox).replace(str(sshd.port), str(free_port()))
    with pytest.raises(SourceUnreachable, match=r"of bank did not answer(.|\n)*Hint"):
        fetch(bank(sshd, outbox, url=url), is_wanted=every, staging=staging)


def test_a_server_that_never_says_a_word_is_unreachable_after_a_while(
    sshd: Sshd, outbox: Path, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 1)
    with closing(create_server(("127.0.0.1", 0))) as silent:
        url = sshd.url(outbox).replace(str(sshd.port), str(silent.getsockname()[1]))
        with pytest.raises(SourceUnreachable, match="did not answer"):
            fetch(bank(sshd, outbox, url=url), is_wanted=every, staging=staging)
