import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.errors import InputRefused, SourceUnreachable
from schemas.sources import Source
from tasks.sources.folder import fetch


def every(_: str) -> bool:
    return True


def test_wanted_files_are_taken_in_place_with_their_hash(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "notes.txt"):
        (tmp_path / name).write_text(name)
    os.utime(tmp_path / "a.csv", (1_000_000_000, 1_000_000_000))
    first, second = fetch(Source(name="bank", url=str(tmp_path)), is_wanted=lambda name: name.endswith(".csv"))
    assert (first.name, first.path, second.name) == ("a.csv", tmp_path / "a.csv", "b.csv")
    assert (first.source, first.size_bytes, first.sha256) == ("bank", 5, hashlib.sha256(b"a.csv").hexdigest())
    assert first.modified_at == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)


def test_no_folder_or_an_empty_one_delivers_nothing(tmp_path: Path) -> None:
    assert fetch(Source(url=str(tmp_path)), is_wanted=every) == ()
    assert fetch(Source(url=str(tmp_path / "2026-01-02")), is_wanted=every) == ()


def test_hidden_and_unfinished_files_are_not_taken_and_links_are(tmp_path: Path) -> None:
    for name in (".hidden.csv", "lots.csv.part", "lots.csv.TMP", "real.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert [file.name for file in fetch(Source(url=str(tmp_path)), is_wanted=every)] == ["link.csv", "real.csv"]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Path.mkdir, "is a folder"),
        (os.mkfifo, "is a pipe or a device"),
        (lambda path: path.symlink_to("nowhere"), "is a link to nothing"),
    ],
)
def test_what_only_has_the_name_of_a_file_is_refused_where_it_is_wanted(
    tmp_path: Path, make: Callable[[Path], object], what: str
) -> None:
    make(tmp_path / "lots.csv")
    assert fetch(Source(url=str(tmp_path)), is_wanted="cash.csv".__eq__) == ()
    with pytest.raises(InputRefused, match=rf"lots\.csv {what}; needed a file"):
        fetch(Source(url=str(tmp_path)), is_wanted=every)


def test_a_marker_says_which_files_are_complete(tmp_path: Path) -> None:
    for name in ("lots.csv", "cash.csv", "cash.csv.done"):
        (tmp_path / name).write_text("x")
    source = Source(url=str(tmp_path), marker=".done")
    assert [file.name for file in fetch(source, is_wanted="cash.csv".__eq__)] == ["cash.csv"]
    with pytest.raises(SourceUnreachable, match=r"lots\.csv has no lots\.csv\.done beside it"):
        fetch(source, is_wanted=every)


def test_an_address_with_file_is_a_folder_of_this_machine(tmp_path: Path) -> None:
    folder = tmp_path / "in box"
    folder.mkdir()
    (folder / "lots.csv").write_text("x")
    assert len(fetch(Source(url=f"file://{tmp_path}/in%20box"), is_wanted=every)) == 1
    with pytest.raises(InputRefused, match="names the machine share; needed a folder of this one"):
        fetch(Source(url="file://share/in"), is_wanted=every)


class Growing(type(Path())):  # type: ignore[misc]
    """A file that somebody appends to while it is read."""

    on_read: Callable[[Path], object]

    def iterdir(self) -> list[Path]:  # type: ignore[override]
        return [Growing(path) for path in super().iterdir()]

    def open(self, *words: str) -> object:  # type: ignore[override]
        file = super().open(*words)
        Growing.on_read(Path(self))
        return file


def grow_unnoticed(path: Path) -> None:
    before = path.stat().st_mtime_ns
    os.truncate(path, 9)
    os.utime(path, ns=(before, before))


@pytest.mark.parametrize(
    "change",
    [grow_unnoticed, lambda path: os.utime(path, (1, 1)), lambda path: path.write_text("other")],
    ids=["grows", "is touched", "is rewritten in the same size"],
)
def test_a_file_that_changes_while_it_is_read_is_to_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    (tmp_path / "lots.csv").write_text("hello")
    Growing.on_read = staticmethod(change)
    monkeypatch.setattr("schemas.addresses.Path", Growing)
    with pytest.raises(SourceUnreachable, match=r"lots\.csv of source is still being written: it had 5 bytes, now"):
        fetch(Source(url=str(tmp_path)), is_wanted=every)


def test_a_file_that_vanishes_while_the_folder_is_read_is_to_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lots.csv").write_text("hello")
    Growing.on_read = staticmethod(lambda path: path.unlink())
    monkeypatch.setattr("schemas.addresses.Path", Growing)
    with pytest.raises(SourceUnreachable, match=r"lots\.csv of source could not be read: No such file"):
        fetch(Source(url=str(tmp_path)), is_wanted=every)
