import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_server
from typing import Any

import asyncssh
import pytest

from schemas.errors import PlaceUnreachable, Terminal
from schemas.exports import Delivery
from tasks.deliveries.place import open_place
from tasks.sources import sftp as sources
from tests.support.delivery_scene import RUN, FolderScene, sftp_scene
from tests.support.mounts import small_disk
from tests.support.odd_sftp import odd_server
from tests.support.servers import PASSWORD, Sshd, free_port, sshd_in

SECRET = "BANK_PASSWORD"  # noqa: S105 - a variable's name
FILES = (("accounts/a1.csv", b"one"), ("blocks.csv", b"two"), ("empty.csv", b""))
RANDOM = "0123456789abcdef"


@pytest.fixture
def place(sshd: Sshd, tmp_path: Path) -> FolderScene:
    return sftp_scene(sshd, tmp_path / "in")


def open_only(place: FolderScene, **changes: Any) -> None:
    with open_place(place.delivery.model_copy(update=changes)):
        pass


def test_a_whole_delivery_is_one_connection(sshd: Sshd, place: FolderScene) -> None:
    logins = (sshd.folder / "log").read_text().count("Accepted")
    with open_place(place.delivery) as there:
        there.put(RUN, FILES)
        there.put(RUN, [("_SUCCESS", b"x")])
        assert len(there.hashes(RUN, ["blocks.csv", "_SUCCESS"])) == 2
    assert (sshd.folder / "log").read_text().count("Accepted") == logins + 1


def test_it_works_beside_a_running_loop(place: FolderScene) -> None:
    async def beside() -> None:
        place.put(*FILES)

    asyncio.run(beside())
    assert place.contents() == dict(FILES)


def test_new_folders_and_files_are_for_their_owner_alone_and_old_folders_stay_as_they_are(place: FolderScene) -> None:
    place.root.mkdir(mode=0o755)
    place.put(*FILES)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (place.root, *place.root.rglob("*"))}
    assert modes == {
        "in": 0o755,
        "2026-03-02": 0o700,
        "run-1.2": 0o700,
        "accounts": 0o700,
        "a1.csv": 0o600,
        "blocks.csv": 0o600,
        "empty.csv": 0o600,
    }


def test_what_earlier_tries_left_of_these_files_goes_and_nothing_else(place: FolderScene) -> None:
    doomed = {f".blocks.csv.{RANDOM}.part", f"accounts/.a1.csv.{RANDOM}.part"}
    kept = {
        f".other.csv.{RANDOM}.part",
        f"blocks.csv.{RANDOM}.part",
        ".blocks.csv.short.part",
        f".blocks.csv.{RANDOM}.tmp",
        ".hidden",
        "note",
    }
    for path in doomed | kept:
        place.plant(path, b"x")
    place.plant("blocks.csv", b"two")
    place.put(*FILES)
    assert place.contents().keys() == kept | dict(FILES).keys()


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_a_name_that_is_no_files_is_refused(place: FolderScene, kind: str) -> None:
    place.plant("note", b"x")
    name = place.root / RUN / "blocks.csv"
    {"folder": name.mkdir, "pipe": lambda: os.mkfifo(name), "link": lambda: name.symlink_to("note")}[kind]()
    with pytest.raises(Terminal, match=r"blocks\.csv of bank exists and is no file; needed(.|\n)*Hint"):
        place.put(*FILES)
    with pytest.raises(Terminal, match="is no file"):
        place.hashes("blocks.csv")


def test_a_file_in_a_folders_place_is_refused(place: FolderScene) -> None:
    place.plant("accounts", b"x")
    with pytest.raises(Terminal, match=r"accounts of bank is a file; needed a folder\n\nHint"):
        place.put(*FILES)
    assert place.contents() == {"accounts": b"x"}


def test_a_full_disk_is_told_and_leaves_no_half_file(sshd: Sshd, tmp_path: Path) -> None:
    with small_disk(tmp_path / "in") as root:
        place = sftp_scene(sshd, root)
        place.put(("small.csv", b"x"))
        with pytest.raises(
            Terminal, match=r"bank refuses to write .*big\.csv \(SFTPFailure\); needed room(.|\n)*quota"
        ):
            place.put(("big.csv", b"x" * 500_000))
        assert place.contents() == {"small.csv": b"x"}


def test_a_disk_that_may_only_be_read_is_told_and_what_stands_there_is_found(sshd: Sshd, tmp_path: Path) -> None:
    with small_disk(tmp_path / "in") as root:
        place = sftp_scene(sshd, root)
        place.put(*FILES)
        subprocess.run(["mount", "-o", "remount,ro", root], check=True)
        for path in ("more.csv", "new/more.csv"):
            with pytest.raises(Terminal, match=r"bank refuses to write (.|\n)* or it is read-only"):
                place.put((path, b"x"))
        place.put(*FILES)
        assert place.hashes("blocks.csv").keys() == {"blocks.csv"}


# --- getting in


@pytest.mark.parametrize("known", ["nothing", "another key"])
def test_a_server_whose_key_is_not_the_known_one_gets_no_files(
    sshd: Sshd, place: FolderScene, tmp_path: Path, known: str
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    (tmp_path / "known").write_text("" if known == "nothing" else f"[127.0.0.1]:{sshd.port} {key}")
    with pytest.raises(
        Terminal, match=r"of bank (has no key in|shows another key than) .*known; needed(.|\n)*ssh-keyscan"
    ):
        place.put(*FILES, known_hosts=str(tmp_path / "known"))
    assert not place.root.exists()


def test_a_key_that_the_server_does_not_know_is_refused(place: FolderScene, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(tmp_path / "stranger"))
    with pytest.raises(Terminal, match="of bank turned us away; needed a user"):
        open_only(place, key_file=str(tmp_path / "stranger"))


def test_a_variable_that_is_not_set_is_refused(place: FolderScene) -> None:
    with pytest.raises(Terminal, match=f"the variable {SECRET} is not set"):
        open_only(place, password_variable=SECRET)


def test_a_server_that_is_not_there_is_unreachable(sshd: Sshd, place: FolderScene) -> None:
    with pytest.raises(PlaceUnreachable, match=r"of bank did not answer(.|\n)*Hint"):
        open_only(place, url=place.delivery.url.replace(str(sshd.port), str(free_port())))


def test_a_server_that_never_says_a_word_is_unreachable_after_a_while(
    sshd: Sshd, place: FolderScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ANSWER_SECONDS", 1)
    with closing(create_server(("127.0.0.1", 0))) as silent, pytest.raises(PlaceUnreachable, match="did not answer"):
        open_only(place, url=place.delivery.url.replace(str(sshd.port), str(silent.getsockname()[1])))


@pytest.mark.usefixtures("_no_settings_of_mine")
def test_a_server_that_falls_silent_is_unreachable_after_a_while_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sshd").mkdir()
    with sshd_in(tmp_path / "sshd") as sleeper:
        place = sftp_scene(sleeper, tmp_path / "in")
        monkeypatch.setattr(sources, "ANSWER_SECONDS", 1)
        monkeypatch.setattr(sources, "_GOODBYE_SECONDS", 1)
        before = time.monotonic()
        with open_place(place.delivery) as there:
            there.put(RUN, FILES)
            sleeper.signal(signal.SIGSTOP)
            with pytest.raises(PlaceUnreachable, match=r"did not answer or broke off \(TimeoutError\)"):
                there.put(RUN, [("more.csv", b"x")])
        assert time.monotonic() - before < 10
        sleeper.signal(signal.SIGCONT)
        place.put(("more.csv", b"x"))
        assert place.contents() == {**dict(FILES), "more.csv": b"x"}


class Stop(BaseException):
    """A person who has had enough."""


def test_an_interrupted_wait_ends_at_once() -> None:
    def stop(*_: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    start = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Stop), sources.own_loop() as run:
            run(asyncio.sleep(60))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 5


# --- odd servers


@contextmanager
def odd_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[asyncssh.SFTPServer]
) -> Iterator[FolderScene]:
    """A place on a server that behaves like ``kind``."""
    monkeypatch.setenv(SECRET, PASSWORD)
    with odd_server(tmp_path, kind) as server:
        known = {"known_hosts": str(server.known_hosts), "password_variable": SECRET}
        yield FolderScene(Delivery(name="bank", url=server.url("/in"), **known), tmp_path / "served" / "in")


def test_a_wrong_password_is_refused_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with odd_place(tmp_path, monkeypatch, asyncssh.SFTPServer) as place:
        place.put(*FILES)
        monkeypatch.setenv(SECRET, "not-this-one")
        with pytest.raises(Terminal, match="turned us away") as told:
            place.put(*FILES)
    assert "not-this-one" not in str(told.value)


class NoRename(asyncssh.SFTPServer):
    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported(f"{oldpath!r} {newpath!r}")


class NoLeaveToRename(asyncssh.SFTPServer):
    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied(f"{oldpath!r} {newpath!r}")


@pytest.mark.parametrize("kind", [NoRename, NoLeaveToRename])
def test_a_server_that_does_not_rename_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[asyncssh.SFTPServer]
) -> None:
    with odd_place(tmp_path, monkeypatch, kind) as place:
        with pytest.raises(
            Terminal, match=r"does not rename \.\S+ to \S+ \(SFTP\w+\); needed that(.|\n)*Hint: ask whoever"
        ):
            place.put(*FILES)
        assert place.contents() == {}


class Overwriting(asyncssh.SFTPServer):
    """Renames over files, against the draft."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        Path(os.fsdecode(self.map_path(oldpath))).replace(os.fsdecode(self.map_path(newpath)))


def test_a_server_that_renames_over_files_gets_nothing_to_rename_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with odd_place(tmp_path, monkeypatch, Overwriting) as place:
        place.plant("blocks.csv", b"theirs")
        with pytest.raises(Terminal, match="is another file"):
            place.put(*FILES)
        assert place.contents() == {"blocks.csv": b"theirs"}


@pytest.mark.parametrize("theirs", [b"two", b"2"])
def test_a_name_taken_at_the_last_moment_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: bytes
) -> None:
    class Beaten(asyncssh.SFTPServer):
        def rename(self, oldpath: bytes, newpath: bytes) -> None:
            Path(os.fsdecode(self.map_path(newpath))).write_bytes(theirs)
            raise asyncssh.SFTPFailure(f"{oldpath!r} is in the way")

    with odd_place(tmp_path, monkeypatch, Beaten) as place:
        if theirs == b"two":
            place.put(("blocks.csv", b"two"))
        else:
            with pytest.raises(Terminal, match="is another file"):
                place.put(("blocks.csv", b"two"))
        assert place.contents() == {"blocks.csv": theirs}


class Forgetful(asyncssh.SFTPServer):
    """Keeps half of what it is sent."""

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        super().write(file_obj, offset, data[: len(data) // 2])
        return len(data)


def test_a_file_that_came_to_another_size_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with odd_place(tmp_path, monkeypatch, Forgetful) as place:
        with pytest.raises(PlaceUnreachable, match=r"has 2 bytes; needed the 4 that were sent"):
            place.put(("blocks.csv", b"four"))
        assert [name for name in place.contents() if not name.endswith(".part")] == []


class Strict(asyncssh.SFTPServer):
    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if pflags & asyncssh.FXF_WRITE:
            raise asyncssh.SFTPPermissionDenied(f"{path!r} {attrs}")
        return super().open(path, pflags, attrs)


class NoFolders(asyncssh.SFTPServer):
    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        raise asyncssh.SFTPPermissionDenied(f"{path!r} {attrs}")


class NoLook(asyncssh.SFTPServer):
    def scandir(self, path: bytes) -> Any:
        raise asyncssh.SFTPPermissionDenied(f"{path!r}")


@pytest.mark.parametrize("kind", [Strict, NoFolders, NoLook])
def test_a_server_that_gives_no_leave_is_refused_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[asyncssh.SFTPServer]
) -> None:
    with odd_place(tmp_path, monkeypatch, kind) as place:
        with pytest.raises(
            Terminal, match=r"bank gives no access to /in/2026-03-02/\S+; needed leave to list, read, write"
        ):
            place.put(*FILES)
        assert place.contents() == {}


class Sweeping(asyncssh.SFTPServer):
    """Somebody takes files away before they have their names."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        Path(os.fsdecode(self.map_path(oldpath))).unlink()
        super().rename(oldpath, newpath)


def test_a_file_that_is_taken_away_underway_is_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        odd_place(tmp_path, monkeypatch, Sweeping) as place,
        pytest.raises(PlaceUnreachable, match=r"vanished while it was written; needed a file that stays(.|\n)*Hint"),
    ):
        place.put(*FILES)


class Plain(asyncssh.SFTPServer):
    """Cannot flush."""

    def fsync(self, file_obj: object) -> None:
        raise asyncssh.SFTPOpUnsupported(str(file_obj))


def test_a_server_that_cannot_flush_gets_the_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with odd_place(tmp_path, monkeypatch, Plain) as place:
        place.put(*FILES)
        assert place.contents() == dict(FILES)


def test_a_try_that_failed_leaves_nothing_to_the_next_one_over_the_same_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ANSWER_SECONDS", 1)
    awake = threading.Event()

    class Sleeping(asyncssh.SFTPServer):
        async def fsync(self, file_obj: object) -> None:
            assert file_obj
            await asyncio.to_thread(awake.wait, 10)

    with odd_place(tmp_path, monkeypatch, Sleeping) as place, open_place(place.delivery) as there:
        with pytest.raises(PlaceUnreachable, match="TimeoutError"):
            there.put(RUN, FILES)
        assert all(name.endswith(".part") for name in place.contents())
        awake.set()
        there.put(RUN, FILES)
        assert place.contents() == dict(FILES)
