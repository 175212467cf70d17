import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import Retryable, Terminal
from tasks.runtime.atomic_folder import (
    check_same,
    explain_disk_errors,
    flush_tree,
    is_alive,
    make_folders,
    place,
    remove_leftovers,
    staging,
    temporary_name,
    write_file,
)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def folder_with(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def dead_pid() -> int:
    """Number of a process that ended just now."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_folder_is_made_beside_its_place_for_its_owner_alone(tmp_path: Path) -> None:
    final = tmp_path / "exports" / "2026-03-02" / "run"
    with staging(final) as folder:
        write_file(folder / "a.csv", b"a")
        flush_tree(folder)
        assert place(folder, final)
    assert (final / "a.csv").read_bytes() == b"a"
    assert [mode(path) for path in (final / "a.csv", final, final.parent, final.parent.parent)] == [0o600, *[0o700] * 3]
    assert list(final.parent.iterdir()) == [final]


def stop_after_a_file(final: Path) -> None:
    with staging(final) as folder:
        write_file(folder / "a.csv", b"a")
        raise KeyboardInterrupt


def lose_the_folder(final: Path) -> None:
    with explain_disk_errors(final), staging(final) as folder:
        folder.rmdir()
        write_file(folder / "a.csv", b"a")


def test_a_staging_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stop_after_a_file(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_never_written_twice(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


FULL = """
import resource, sys
from tasks.runtime.atomic_folder import write_file
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_file(sys.argv[1], b"x" * 300)
except OSError as error:
    print(error.strerror)
"""


def test_a_file_of_which_only_a_part_finds_room_is_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout == "File too large\n"
    assert (tmp_path / "a").stat().st_size == 100


def test_a_taken_name_is_left_alone(tmp_path: Path) -> None:
    final = folder_with(tmp_path / "run", a="theirs")
    ours = folder_with(tmp_path / "ours", a="ours")
    assert not place(ours, final)
    assert (final / "a").read_text() == "theirs"
    assert ours.exists()


def test_a_file_in_the_folders_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("theirs")
    assert not place(folder_with(tmp_path / "ours", a="ours"), tmp_path / "run")
    assert (tmp_path / "run").read_text() == "theirs"


def test_what_a_dead_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    pid = dead_pid()
    random = "0123456789abcdef"
    doomed = tmp_path / f".run.{pid}-{random}.tmp"
    kept = [
        tmp_path / f".run.{os.getpid()}-{random}.tmp",
        tmp_path / f".run.2.{pid}-{random}.tmp",
        tmp_path / f".other.{pid}-{random}.tmp",
        tmp_path / f".run.{pid}-{random}",
        tmp_path / f"run.{pid}-{random}.tmp",
        tmp_path / f".run.{pid}-short.tmp",
        tmp_path / f".run.99999999999-{random}.tmp",
    ]
    for path in (doomed, *kept):
        folder_with(path, a="a")
    remove_leftovers(tmp_path / "run")
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_names_of_our_own_are_recognised_and_never_the_same(tmp_path: Path) -> None:
    final = tmp_path / "run.2"
    mine = temporary_name(final)
    assert mine != temporary_name(final)
    gone = mine.with_name(mine.name.replace(str(os.getpid()), str(dead_pid()), 1))
    folder_with(gone, a="a")
    remove_leftovers(final)
    assert not gone.exists()


def test_this_process_and_that_of_another_user_are_alive() -> None:
    assert is_alive(os.getpid())
    assert is_alive(1)
    assert not is_alive(dead_pid())


def test_a_folder_is_the_same_only_with_exactly_the_files_expected(tmp_path: Path) -> None:
    final = folder_with(tmp_path / "run", a="1", b="2")
    hashes = {name: hashlib.sha256(text).hexdigest() for name, text in (("a", b"1"), ("b", b"2"))}
    check_same(final, hashes)
    with pytest.raises(Terminal, match="is not this export: b does not belong to it"):
        check_same(final, {"a": hashes["a"]})
    with pytest.raises(Terminal, match="is not this export: c/d is missing"):
        check_same(final, {**hashes, "c/d": "00"})
    with pytest.raises(Terminal, match="is not this export: a was changed"):
        check_same(final, {**hashes, "a": hashes["b"]})
    with pytest.raises(Terminal, match="a is missing"):
        check_same(tmp_path / "nowhere", hashes)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_is_explained_and_needs_a_person(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(Terminal, match=r"run could not be written to .*\n\nHint: nothing was exported"),
        explain_disk_errors(tmp_path / "run"),
    ):
        raise OSError(number, os.strerror(number))


def test_a_folder_removed_under_the_writer_is_worth_another_try(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match="was removed while it was written"):
        lose_the_folder(tmp_path / "run")


def test_a_folder_that_cannot_be_listed_is_not_taken_for_flushed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        flush_tree(tmp_path / "nowhere")


def test_existing_folders_keep_their_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    make_folders(tmp_path / "shared" / "new")
    assert mode(tmp_path / "shared") == 0o755
    assert mode(tmp_path / "shared" / "new") == 0o700
