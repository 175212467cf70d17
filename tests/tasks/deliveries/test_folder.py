import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.errors import PlaceUnreachable, Terminal
from schemas.exports import Delivery
from tasks.deliveries import folder as module
from tasks.deliveries.place import open_place
from tests.support.delivery_scene import RUN, FolderScene, folder_scene
from tests.support.mounts import small_disk

FILES = (("accounts/a1.csv", b"one"), ("blocks.csv", b"two"), ("empty.csv", b""))
RANDOM = "0123456789abcdef"


@pytest.fixture
def place(tmp_path: Path) -> FolderScene:
    return folder_scene(tmp_path / "in")


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_folders_and_files_are_for_their_owner_alone_and_nothing_else_is_left(place: FolderScene) -> None:
    place.put(*FILES)
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.root.rglob("*")}
    assert modes == {
        "2026-03-02": 0o700,
        "run-1.2": 0o700,
        "accounts": 0o700,
        "a1.csv": 0o600,
        "blocks.csv": 0o600,
        "empty.csv": 0o600,
    }
    assert (place.root / RUN / "blocks.csv").stat().st_nlink == 1


def test_an_address_with_file_names_the_same_folder(tmp_path: Path) -> None:
    with open_place(Delivery(name="bank", url=(tmp_path / "in box").as_uri())) as there:
        there.put(RUN, FILES)
    assert folder_scene(tmp_path / "in box").contents() == dict(FILES)


def test_an_address_of_another_machine_is_refused() -> None:
    with (
        pytest.raises(Terminal, match="names the machine other; needed a folder of this one"),
        open_place(Delivery(name="bank", url="file://other/in")),
    ):
        pass


def test_what_gone_processes_left_of_these_files_goes_and_nothing_else(place: FolderScene) -> None:
    pid = dead_pid()
    doomed = {f".blocks.csv.{pid}-{RANDOM}.tmp"}
    kept = {
        f".blocks.csv.{os.getpid()}-{RANDOM}.tmp",
        f".other.csv.{pid}-{RANDOM}.tmp",
        f"blocks.csv.{pid}-{RANDOM}.tmp",
        f".blocks.csv.{pid}-short.tmp",
        ".hidden",
        "note",
    }
    for path in doomed | kept:
        place.plant(path, b"x")
    (place.root / RUN / f".empty.csv.{pid}-{RANDOM}.tmp").mkdir()
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
    assert place.contents() == {"note": b"x"} | ({"blocks.csv": b"x"} if kind == "link" else {})


def test_a_file_in_a_folders_place_is_refused(place: FolderScene) -> None:
    place.plant("accounts", b"x")
    with pytest.raises(Terminal, match=r"accounts.* of bank could not be read or written: Not a directory(.|\n)*Hint"):
        place.put(*FILES)
    assert place.contents() == {"accounts": b"x"}


# --- disks that refuse


def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "in") as root:
        place = folder_scene(root)
        place.put(("small.csv", b"x"))
        with pytest.raises(
            Terminal, match=r"of bank could not be read or written: No space left on device(.|\n)*make room"
        ):
            place.put(("first.csv", b"x" * 10_000), ("big.csv", b"x" * 500_000))
        assert place.contents() == {"small.csv": b"x"}


def test_a_disk_that_may_only_be_read_is_told_and_what_stands_there_is_found(tmp_path: Path) -> None:
    with small_disk(tmp_path / "in") as root:
        place = folder_scene(root)
        place.put(*FILES)
        subprocess.run(["mount", "-o", "remount,ro", root], check=True)
        with pytest.raises(Terminal, match="Read-only file system"):
            place.put(("more.csv", b"x"))
        place.put(*FILES)
        assert place.hashes("blocks.csv").keys() == {"blocks.csv"}


class Unlinkable:
    """Where links cannot be made, or something else happens in their place."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, source: Path, target: Path, *, follow_symlinks: bool) -> None:
        assert not follow_symlinks
        raise OSError(self.number, os.strerror(self.number), source, None, target)


def test_a_file_system_without_links_gets_the_files_by_a_rename_and_still_nothing_is_overwritten(
    place: FolderScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", Unlinkable(errno.EOPNOTSUPP))
    place.put(*FILES)
    assert place.contents() == dict(FILES)
    with pytest.raises(Terminal, match="is another file"):
        place.put(("blocks.csv", b"2"))
    assert place.contents() == dict(FILES)


def test_a_name_taken_just_before_the_rename_is_left_alone_too(
    place: FolderScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = Unlinkable(errno.EPERM)

    def beaten(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        place.plant("blocks.csv", b"theirs")
        refuse(source, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", beaten)
    with pytest.raises(Terminal, match="is another file"):
        place.put(("blocks.csv", b"ours"))
    assert place.contents() == {"blocks.csv": b"theirs"}


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EHOSTDOWN])
def test_a_mount_that_stumbles_is_worth_another_try(
    place: FolderScene, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", Unlinkable(number))
        with pytest.raises(PlaceUnreachable, match=r"needed the folder .*in\n\nHint"):
            place.put(*FILES)
    assert place.contents() == {}
    place.put(*FILES)
    assert place.contents() == dict(FILES)


@contextmanager
def rival(place: FolderScene, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Iterator[None]:
    """Somebody who takes a name between our look and our link."""
    link = os.link

    def beaten(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        place.plant("blocks.csv", content)
        link(source, target, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", beaten)
        yield


def test_a_name_taken_at_the_last_moment_is_never_overwritten(
    place: FolderScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rival(place, monkeypatch, b"theirs"), pytest.raises(Terminal, match="is another file"):
        place.put(("blocks.csv", b"ours"))
    assert place.contents() == {"blocks.csv": b"theirs"}
    with rival(place, monkeypatch, b"theirs"):
        place.put(("blocks.csv", b"theirs"))
    assert place.contents() == {"blocks.csv": b"theirs"}


def test_a_file_that_came_to_another_size_gets_no_name(place: FolderScene, monkeypatch: pytest.MonkeyPatch) -> None:
    write = module.write_file
    monkeypatch.setattr(module, "write_file", lambda path, content: write(path, content[:2]))
    with pytest.raises(PlaceUnreachable, match=r"has 2 bytes; needed the 3 that were written"):
        place.put(*FILES)
    assert place.contents() == {}


# --- killed

KILLED = """
import os, sys
from schemas.exports import Delivery
from tasks.deliveries.place import open_place
from tests.tasks.deliveries.test_folder import FILES, RUN

def killed_at(root, call):
    left = call

    def count(event, _):
        nonlocal left
        if event in {"open", "os.link", "os.mkdir", "os.remove", "os.scandir"}:
            left -= 1
            if left < 0:
                os._exit(9)

    with open_place(Delivery(name="bank", url=root)) as there:
        sys.addaudithook(count)
        there.put(RUN, FILES)
    os._exit(0)

call, status = 0, 9
while status == 9:
    child = os.fork()
    if child == 0:
        killed_at(f"{sys.argv[1]}/{call}", call)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    call += 1
print(call, status)
"""


def test_a_process_killed_at_any_step_leaves_whole_files_only_and_the_next_one_ends_its_work(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    calls, status = map(int, done.stdout.split())
    assert (calls > 20, status) == (True, 0)
    shown = set()
    for call in range(calls):
        place = folder_scene(tmp_path / str(call))
        whole = {path: content for path, content in place.contents().items() if not path.endswith(".tmp")}
        assert whole.items() <= dict(FILES).items()
        shown.add(len(whole))
        place.put(*FILES)
        assert place.contents() == dict(FILES)
    assert shown == {0, 1, 2, 3}
