import hashlib
import os
import resource
from pathlib import Path

import pytest

from schemas.errors import SourceUnreachable, Terminal
from schemas.sources import Source
from tasks.sources.fetched_file import FetchedFile
from tasks.sources.staging import INDEX, open_staging

SOURCE = Source(name="bank", url="sftp://u@host/out")


def stored(folder: Path, content: bytes, stamp: str, source: Source = SOURCE) -> FetchedFile:
    with open_staging(folder, source) as stage, stage.incoming() as incoming:
        incoming.write(content[:2])
        incoming.write(content[2:])
        return stage.place(incoming, "lots.csv", stamp)


def kept(folder: Path, stamp: str, source: Source = SOURCE) -> FetchedFile | None:
    with open_staging(folder, source) as stage:
        return stage.earlier_copy("lots.csv", stamp)


def test_a_placed_file_has_its_bytes_its_hash_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = stored(tmp_path / "night" / "bank", b"hello", "5 1")
    assert file == FetchedFile("bank", "lots.csv", file.path, 5, hashlib.sha256(b"hello").hexdigest())
    assert file.path.read_bytes() == b"hello"
    assert [path.stat().st_mode & 0o777 for path in (file.path, file.path.parent, file.path.with_name(INDEX))] == [
        0o600,
        0o700,
        0o600,
    ]


def test_a_file_is_kept_while_its_stamp_and_its_copy_are_the_same(tmp_path: Path) -> None:
    file = stored(tmp_path, b"hello", "5 1")
    assert kept(tmp_path, "5 1") == file
    assert kept(tmp_path, "5 2") is None


def test_a_copy_that_was_cut_touched_or_removed_is_not_kept(tmp_path: Path) -> None:
    file = stored(tmp_path, b"hello", "5 1")
    placed_ns = file.path.stat().st_mtime_ns
    os.truncate(file.path, 3)
    os.utime(file.path, ns=(placed_ns, placed_ns))
    assert kept(tmp_path, "5 1") is None
    stored(tmp_path, b"hello", "5 1")
    os.utime(file.path, (1, 1))
    assert kept(tmp_path, "5 1") is None
    stored(tmp_path, b"hello", "5 1")
    file.path.unlink()
    assert kept(tmp_path, "5 1") is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"url": "sftp://u@host/out", "files": {"lots.csv": {}}}', b"\xff"]
)
def test_a_damaged_index_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    stored(tmp_path, b"hello", "5 1")
    (tmp_path / INDEX).write_bytes(damage)
    assert kept(tmp_path, "5 1") is None


def test_what_came_from_another_address_is_not_kept(tmp_path: Path) -> None:
    stored(tmp_path, b"hello", "5 1")
    assert kept(tmp_path, "5 1", SOURCE.model_copy(update={"url": "sftp://u@other/out"})) is None


def test_a_file_that_is_not_placed_leaves_nothing(tmp_path: Path) -> None:
    with open_staging(tmp_path, SOURCE) as stage, stage.incoming() as incoming:
        incoming.write(b"half")
    assert list(tmp_path.glob(".*.part")) == []
    assert kept(tmp_path, "5 1") is None


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".abc.part").write_bytes(b"half")
    kept(tmp_path, "5 1")
    assert not (tmp_path / ".abc.part").exists()


def test_two_processes_do_not_fetch_into_one_folder(tmp_path: Path) -> None:
    with (
        open_staging(tmp_path, SOURCE),
        pytest.raises(SourceUnreachable, match="bank are being fetched by another process"),
        open_staging(tmp_path, SOURCE),
    ):
        pytest.fail("the folder is held")
    kept(tmp_path, "5 1")


def test_a_disk_that_refuses_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Terminal, match=r"could not be written: .*; needed room(.|\n)*Hint"):
        kept(tmp_path / "file" / "night", "5 1")


def test_a_full_disk_is_an_error_in_words_and_leaves_no_file(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(Terminal, match=r"\.part could not be written: File too large; needed room"):
            stored(tmp_path, b"x" * 2000, "2000 1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]
